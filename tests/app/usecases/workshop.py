"""The use cases behind extension methods, wired to a runtime of sessions that is none."""

from __future__ import annotations

from attrs import define, field

from opencode_a2a_server.app.ports.capabilities import Capability, May
from opencode_a2a_server.app.ports.sessions import SessionDetails
from opencode_a2a_server.app.usecases.change_sessions import ChangeSessions
from opencode_a2a_server.app.usecases.check_capability import CheckCapability
from opencode_a2a_server.app.usecases.choose_directory import Named, ReachSession
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.work_in_session import WorkInSession
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Directory, Ownership
from tests.fakes.audit import FakeAudit
from tests.fakes.binding import bind_session
from tests.fakes.clock import TurnedClock
from tests.fakes.holds import FakeHolds
from tests.fakes.journal import FakeJournal
from tests.fakes.owners import FakeOwners
from tests.fakes.sessions import FakeSessions

ALICE, BOB = Principal("alice"), Principal("bob")


@define(eq=False)
class Workshop:
    """Everything a test touches. Bob may not use capabilities at all."""

    runtime: FakeSessions = field(factory=FakeSessions)
    clock: TurnedClock = field(factory=TurnedClock)
    audit: FakeAudit = field(factory=FakeAudit)
    enabled: frozenset[Capability] = frozenset(Capability)
    most: float | None = None
    may: May = lambda principal, _: principal == ALICE
    owners: FakeOwners = field(init=False)
    turns: RunTurns = field(init=False)
    reach: ReachSession = field(init=False)
    read: ReadSessions = field(init=False)
    change: ChangeSessions = field(init=False)
    work: WorkInSession = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.owners = FakeOwners(self.clock)
        self.reach = self.runtime.reach(self.clock, self.owners)
        agent = self.runtime.agent
        bind = bind_session(agent, self.clock, owners=self.owners)
        self.turns = RunTurns(agent, FakeJournal(self.clock), bind, FakeHolds(), self.clock, self.audit)
        check = CheckCapability(self.enabled, self.may)
        self.read = ReadSessions(self.runtime.reader, self.reach)
        self.change = ChangeSessions(self.runtime.editor, self.reach, self.turns, check)
        self.work = WorkInSession(
            agent, self.runtime.ports, self.reach, self.turns, check, self.audit, self.clock, self.most
        )

    def have(
        self,
        name: str,
        *,
        of: Principal | None = None,
        parent: Named | None = None,
        directory: str = "/w",
        at: float = 0,
    ) -> Named:
        """Have a session, somebody's or nobody's."""
        named = Named(SessionId(name))
        above = None if parent is None else parent.id
        self.runtime.reader.add(SessionDetails(named.id, Directory(directory), name, updated=at, parent_id=above))
        if of is not None:
            self.owners.held[named.id] = Ownership(named.id, of)
        return named

    def owner(self, named: Named) -> Principal | None:
        """Say whom a session belongs to for good."""
        held = self.owners.held.get(named.id)
        return None if held is None or held.until is not None else held.principal
