"""The runtime's own: sessions, models, workspaces and files, as far as it offers them and the operator allows it."""

from __future__ import annotations

from collections.abc import Callable

from dependency_injector import providers

from opencode_a2a_server.adapters.inbound.a2a.methods.row import InterruptServices, MethodServices
from opencode_a2a_server.app.ports.offers import Offers
from opencode_a2a_server.app.usecases.change_sessions import ChangeSessions
from opencode_a2a_server.app.usecases.check_capability import CheckCapability
from opencode_a2a_server.app.usecases.choose_directory import ChooseDirectory, ReachSession
from opencode_a2a_server.app.usecases.look_around import LookAround
from opencode_a2a_server.app.usecases.read_files import ReadFiles
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.tend_workspaces import TendWorkspaces
from opencode_a2a_server.app.usecases.work_in_session import WorkInSession

from .given import Given
from .interrupts import Interrupts
from .replicas import Replicas
from .turns import Turns


def _services(  # noqa: PLR0913 - what the use cases are made of, each by its name
    *,
    offers: Offers,
    reach: ReachSession,
    turns: RunTurns,
    check: CheckCapability,
    work: Callable[[], WorkInSession],
    interrupts: InterruptServices,
) -> MethodServices:
    """Make the use cases for what the runtime offers."""
    sessions, catalog, workspaces, files = offers.sessions, offers.catalog, offers.workspaces, offers.files
    choose = reach.choose
    return MethodServices(
        sessions=None if sessions is None else ReadSessions(sessions.read, reach),
        changes=None if sessions is None else ChangeSessions(sessions.edit, reach, turns, check),
        work=None if sessions is None else work(),
        around=None if catalog is None else LookAround(catalog, choose),
        workspaces=None if workspaces is None else TendWorkspaces(workspaces, choose, check),
        files=None if files is None else ReadFiles(files, choose),
        interrupts=interrupts,
        enabled=check.enabled,
    )


class Methods(Replicas):
    """What there is besides tasks."""

    reach = providers.Singleton(
        ReachSession, use=Turns.sessions, choose=providers.Singleton(ChooseDirectory, check=Turns.places)
    )
    check_capability = providers.Singleton(
        CheckCapability,
        enabled=Given.settings.provided.methods.capabilities,
        may=Given.credentials.provided.may,
        switches=Given.settings.provided.methods.switches,
    )
    work = providers.Singleton(
        WorkInSession,
        quotas=Turns.quotas,
        agent=Given.agent,
        sessions=Turns.offers.provided.sessions,
        follow=Interrupts.follow_work,
        reach=reach,
        turns=Turns.turns,
        check=check_capability,
        audit=Given.audit,
        clock=Given.clock,
        most=Given.settings.provided.turn.limits.seconds,
    )
    methods = providers.Singleton(
        _services,
        offers=Turns.offers,
        reach=reach,
        turns=Turns.turns,
        check=check_capability,
        work=work.provider,
        interrupts=Interrupts.interrupt_services,
    )
