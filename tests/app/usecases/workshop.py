"""The use cases behind extension methods, wired to a runtime of sessions that is none."""

from __future__ import annotations

from attrs import define, field

from opencode_a2a_server.adapters.outbound.stores.ledger import MemoryLedger
from opencode_a2a_server.adapters.outbound.stores.works import MemoryWorks
from opencode_a2a_server.app.ports.capabilities import Capability, May
from opencode_a2a_server.app.ports.sessions import SessionDetails
from opencode_a2a_server.app.usecases.answer_work import AnswerWork
from opencode_a2a_server.app.usecases.change_sessions import ChangeSessions
from opencode_a2a_server.app.usecases.check_capability import CheckCapability
from opencode_a2a_server.app.usecases.choose_directory import Named, ReachSession
from opencode_a2a_server.app.usecases.follow_work import FollowWork
from opencode_a2a_server.app.usecases.keep_quotas import KeepQuotas
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.work_in_session import WorkInSession
from opencode_a2a_server.domain.access import Quota, Reach
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Directory, Ownership
from opencode_a2a_server.domain.terms import Terms
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
    works: MemoryWorks = field(factory=MemoryWorks)
    quota: Quota = field(factory=Quota)
    """Alice's."""
    terms: Terms = field(factory=Terms)
    quotas: KeepQuotas = field(init=False)
    follow: FollowWork = field(init=False)
    answer: AnswerWork = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.owners = FakeOwners(self.clock)
        self.reach = self.runtime.reach(self.clock, self.owners)
        agent = self.runtime.agent
        bind = bind_session(agent, self.clock, owners=self.owners)
        self.turns = RunTurns(agent, FakeJournal(self.clock), bind, FakeHolds(), self.clock, self.audit)
        check = CheckCapability(self.enabled, self.may)
        self.read = ReadSessions(self.runtime.reader, self.reach)
        self.change = ChangeSessions(self.runtime.editor, self.reach, self.turns, check)
        self.quotas = KeepQuotas(MemoryLedger(), self.turns.journal, self.clock, self._reach_of)
        self.live()

    def live(self) -> None:
        """Begin a life of what works in sessions."""
        agent, check = self.runtime.agent, CheckCapability(self.enabled, self.may)
        self.follow = FollowWork(
            agent,
            self.runtime.reader,
            self.works,
            self.clock,
            self.audit,
            self.terms,
            self.quotas,
            self.turns.working_for,
        )
        self.answer = AnswerWork(self.follow)
        self.work = WorkInSession(
            agent,
            self.runtime.ports,
            self.reach,
            self.turns,
            self.follow,
            check,
            self.audit,
            self.clock,
            self.most,
            self.quotas,
        )

    def _reach_of(self, principal: Principal) -> Reach:
        return Reach(quota=self.quota) if principal == ALICE else Reach()

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
