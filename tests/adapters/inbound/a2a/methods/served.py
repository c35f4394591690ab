"""All use cases behind extension methods, over runtimes that are none."""

from __future__ import annotations

from opencode_a2a_server.adapters.inbound.a2a.methods.row import MethodServices
from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.usecases.check_capability import CheckCapability
from opencode_a2a_server.app.usecases.look_around import LookAround
from opencode_a2a_server.app.usecases.read_files import ReadFiles
from opencode_a2a_server.app.usecases.tend_workspaces import TendWorkspaces
from tests.app.usecases.workshop import Workshop
from tests.fakes.around import FakeCatalog, FakeFiles, FakeWorkspaces


def every_service(workshop: Workshop | None = None, *, enabled: frozenset[Capability] = frozenset()) -> MethodServices:
    """Give them all; nothing is switched on but what is said."""
    workshop = workshop or Workshop(enabled=enabled)
    choose = workshop.reach.choose
    check = CheckCapability(enabled, lambda *_: True)
    return MethodServices(
        sessions=workshop.read,
        changes=workshop.change,
        work=workshop.work,
        around=LookAround(FakeCatalog(), choose),
        workspaces=TendWorkspaces(FakeWorkspaces(), choose, check),
        files=ReadFiles(FakeFiles(), choose),
        enabled=enabled,
    )
