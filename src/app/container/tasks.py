"""Tasks: begun, followed, canceled, and taken up where another life left them."""

from __future__ import annotations

from dependency_injector import providers

from opencode_a2a_server.app.usecases.anywhere import AcceptAnywhere, CancelAnywhere
from opencode_a2a_server.app.usecases.check_wishes import CheckWishes
from opencode_a2a_server.app.usecases.recover import Recover
from opencode_a2a_server.app.usecases.subscribe import Subscribe

from .given import Given
from .interrupts import Interrupts
from .turns import Turns


class Tasks(Interrupts):
    """From a message to its task."""

    accept = providers.Singleton(
        AcceptAnywhere,
        errands=Given.errands,
        agent=Given.agent,
        journal=Given.journal,
        turns=Turns.turns,
        answer=Interrupts.answer,
        wishes=providers.Singleton(
            CheckWishes,
            bindings=Given.bindings,
            sessions=Turns.sessions,
            places=Turns.places,
            bind=Turns.bind,
            choice=Turns.choice,
        ),
        ids=Given.ids,
        to_working=Given.settings.provided.turn.to_working,
        quotas=Turns.quotas,
    )
    subscribe = providers.Singleton(Subscribe, journal=Given.journal, meter=Given.meter)
    cancel = providers.Singleton(CancelAnywhere, errands=Given.errands, journal=Given.journal, turns=Turns.turns)
    recover = providers.Singleton(Recover, journal=Given.journal, turns=Turns.turns, replicas=Given.replicas)
