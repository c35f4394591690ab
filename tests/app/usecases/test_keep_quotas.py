"""Quotas: turns at once, tokens and cost a day, requests over several processes."""

from __future__ import annotations

import pytest
from attrs import evolve

from opencode_a2a_server.adapters.outbound.stores.ledger import MemoryLedger
from opencode_a2a_server.adapters.outbound.stores.works import MemoryWorks
from opencode_a2a_server.app.ports.works import Working
from opencode_a2a_server.app.usecases.keep_quotas import KeepQuotas
from opencode_a2a_server.app.usecases.limit_requests import LimitAttempts, LimitRequests
from opencode_a2a_server.app.usecases.share_counts import ATTEMPTS, REQUESTS, ShareCounts
from opencode_a2a_server.domain.access import Quota, Reach
from opencode_a2a_server.domain.errors import JournalUnavailable, RateLimited
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.usage import Usage
from tests.app.house import ALICE, BOB
from tests.fakes.audit import FakeAudit
from tests.fakes.clock import TurnedClock
from tests.fakes.holds import FakeHolds
from tests.fakes.journal import FakeJournal

pytestmark = pytest.mark.anyio

NOON = 1_700_000_000.0  # 22:13:20 UTC, 6400 seconds before the day ends
REST = 86_400 - NOON % 86_400


def kept(clock: TurnedClock, quota: Quota, ledger: MemoryLedger | None = None) -> KeepQuotas:
    def reach_of(principal: Principal) -> Reach:
        return Reach(quota=quota) if principal == ALICE else Reach()

    return KeepQuotas(ledger or MemoryLedger(), FakeJournal(clock), clock, reach_of)


async def test_a_day_ends_when_its_tokens_are_used_up_and_another_begins() -> None:
    clock = TurnedClock()
    quotas = kept(clock, Quota(tokens=100))
    await quotas.check(ALICE)
    await quotas.charge(ALICE, Usage(output_tokens=10), Usage(output_tokens=60, input_tokens=49))
    await quotas.check(ALICE)
    await quotas.charge(ALICE, None, Usage(reasoning_tokens=1))

    with pytest.raises(RateLimited) as refused:
        await quotas.check(ALICE)
    await quotas.check(BOB)
    await clock.turn(REST)
    await quotas.check(ALICE)

    assert refused.value.retry_after == REST


async def test_the_cost_of_a_day_has_its_bound_too() -> None:
    quotas = kept(TurnedClock(), Quota(cost=0.5))
    await quotas.charge(ALICE, Usage(cost=1.0), Usage(cost=1.5))

    with pytest.raises(RateLimited, match=r"cost of 0\.5"):
        await quotas.check(ALICE)


async def test_what_two_processes_charge_is_added_up() -> None:
    clock, ledger = TurnedClock(), MemoryLedger()
    one, other = kept(clock, Quota(tokens=100), ledger), kept(clock, Quota(tokens=100), ledger)
    await one.charge(ALICE, None, Usage(output_tokens=60))
    await other.charge(ALICE, None, Usage(output_tokens=40))

    for quotas in (one, other):
        with pytest.raises(RateLimited):
            await quotas.check(ALICE)


async def test_turns_are_counted_from_when_they_are_let_in() -> None:
    quotas = kept(TurnedClock(), Quota(turns=2))

    with quotas.beginning(ALICE, lambda: 1, 0):
        with pytest.raises(RateLimited, match="2 turns at once"), quotas.beginning(ALICE, lambda: 1, 0):
            pass
        with quotas.beginning(BOB, lambda: 7, 0):
            pass
    with quotas.beginning(ALICE, lambda: 1, 0):
        pass
    with pytest.raises(RateLimited), quotas.beginning(ALICE, lambda: 0, 2):
        pass


async def test_a_store_that_cannot_be_used_holds_up_no_turns_end(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryLedger):
        async def add(self, entries: object) -> list[float]:
            raise JournalUnavailable("no room")

    quotas = evolve(kept(TurnedClock(), Quota(tokens=1)), ledger=Broken())

    await quotas.charge(ALICE, None, Usage(output_tokens=7))

    assert "7 tokens and a cost of 0 of alice are not charged" in caplog.text


async def test_requests_of_two_processes_count_together_within_a_second() -> None:
    clock, ledger = TurnedClock(), MemoryLedger()
    one, other = LimitRequests(clock, 60, 4), LimitRequests(clock, 60, 4)
    shared = [shared_requests(limit, ledger) for limit in (one, other)]
    for limit in (one, other):
        for _ in range(2):
            limit(ALICE)
    for share in (*shared, *shared):
        await share()
    one.windows.touched.add(ALICE)
    await shared[0]()

    for limit in (one, other):
        with pytest.raises(RateLimited):
            limit(ALICE)
        limit(BOB)


def shared_requests(limit: LimitRequests, ledger: MemoryLedger) -> ShareCounts:
    return ShareCounts(REQUESTS, limit, ledger)


async def test_attempts_at_two_processes_count_together_and_apart_from_requests() -> None:
    clock, ledger, audit = TurnedClock(), MemoryLedger(), FakeAudit()
    one, other = (LimitAttempts(clock, audit, 60, 3) for _ in range(2))
    shared = [ShareCounts(ATTEMPTS, limit, ledger) for limit in (one, other)]
    requests = LimitRequests(clock, 60, 1)
    for _ in range(2):
        await one.failed("192.0.2.1", "unknown bearer")
    await other.failed("192.0.2.1", "unknown bearer")
    assert other.wait("192.0.2.1") == 0

    for share in shared:
        await share()

    assert other.wait("192.0.2.1") > 0
    assert other.wait("192.0.2.2") == 0
    await shared_requests(requests, ledger)()
    requests(Principal("192.0.2.1"))


async def test_a_flood_of_addresses_is_told_in_parts() -> None:
    clock, ledger = TurnedClock(), MemoryLedger()
    limit = LimitAttempts(clock, FakeAudit(), 60, 3)
    for number in range(300):
        await limit.failed(f"10.0.{number // 250}.{number % 250}", "unknown bearer")
    share = ShareCounts(ATTEMPTS, limit, ledger)

    told = []
    for _ in range(3):
        await share()
        told.append(len(ledger._amounts))

    assert told == [200, 300, 300]


async def test_counts_that_could_not_be_told_are_told_later() -> None:
    clock, ledger = TurnedClock(), MemoryLedger()
    limit = LimitRequests(clock, 60, 4)
    limit(ALICE)

    class Broken(MemoryLedger):
        async def add(self, entries: object) -> list[float]:
            raise JournalUnavailable("no room")

    with pytest.raises(JournalUnavailable):
        await shared_requests(limit, Broken())()
    await shared_requests(limit, ledger)()

    assert [*ledger._amounts.values()] == [1]


async def test_work_that_is_no_tasks_counts_over_all_processes() -> None:
    clock, works = TurnedClock(), MemoryWorks()
    quotas = kept(clock, Quota(turns=2))
    quotas.shared, quotas.works = FakeHolds(), works
    working = Working(Session(SessionId("ses_1"), Directory("/w")), ALICE, clock.now(), 0.0)
    await works.begin(working)
    async with quotas.admitted(ALICE, lambda: 0):
        pass

    await works.begin(evolve(working, session=Session(SessionId("ses_2"), Directory("/w"))))

    with pytest.raises(RateLimited, match="2 turns at once"):
        async with quotas.admitted(ALICE, lambda: 0):
            pass
