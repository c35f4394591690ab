"""What decides about sessions, wired to fakes."""

from __future__ import annotations

from opencode_a2a_server.app.ports.access import Reaches, unbounded
from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.bindings import Bindings
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.owners import Owners
from opencode_a2a_server.app.ports.paths import Paths
from opencode_a2a_server.app.usecases.bind_session import BindSession
from opencode_a2a_server.app.usecases.check_place import CheckPlace
from opencode_a2a_server.app.usecases.use_session import UseSession
from tests.fakes.ids import CountedIds
from tests.fakes.journal import FakeBindings
from tests.fakes.owners import FakeOwners
from tests.fakes.paths import FakePaths


def bind_session(  # noqa: PLR0913 - what a test may want otherwise
    agent: Agent,
    clock: Clock,
    bindings: Bindings | None = None,
    owners: Owners | None = None,
    paths: Paths | None = None,
    *,
    override: bool = True,
    reach_of: Reaches = unbounded,
    claimable: bool = True,
) -> BindSession:
    """Wire it."""
    places = CheckPlace(agent, paths or FakePaths(), override, reach_of)
    sessions = UseSession(agent, owners or FakeOwners(clock), places, clock, CountedIds("chance"), claimable=claimable)
    return BindSession(agent, bindings or FakeBindings(), sessions, places)
