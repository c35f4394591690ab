"""The contract of the port `Owners`, for each of its storages and for the fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.stores.owners import RECENT
from opencode_a2a_server.app.ports.owners import Owners
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Ownership
from tests.fakes.clock import TurnedClock
from tests.fakes.owners import FakeOwners
from tests.fakes.stores import IN_MEMORY, KINDS, Stores

pytestmark = pytest.mark.anyio

ALICE, BOB = Principal("alice"), Principal("bob")
SESSION, OTHER = SessionId("ses_1"), SessionId("ses_2")


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(params=[*KINDS, "fake"])
async def owners(
    request: pytest.FixtureRequest, tmp_path: Path, clock: TurnedClock, anyio_backend: str
) -> AsyncIterator[Owners]:
    async with _open(request.param, tmp_path, clock) as owners:
        yield owners


@asynccontextmanager
async def _open(kind: str, tmp_path: Path, clock: TurnedClock) -> AsyncIterator[Owners]:
    if kind == "fake":
        yield FakeOwners(clock)
        return
    async with Stores(clock, kind, tmp_path).live() as life:
        yield life.owners


def final(principal: Principal = ALICE, session: SessionId = SESSION) -> Ownership:
    return Ownership(session, principal)


def claim(clock: TurnedClock, principal: Principal = ALICE, seconds: float = 30) -> Ownership:
    return Ownership(SESSION, principal, clock.now() + seconds)


async def test_a_session_nobody_used_is_nobodys(owners: Owners) -> None:
    assert await owners.of([SESSION]) == {}


async def test_a_session_belongs_to_who_claims_it_first(owners: Owners, clock: TurnedClock) -> None:
    assert await owners.claim(claim(clock, ALICE))

    assert not await owners.claim(claim(clock, BOB))
    assert not await owners.claim(final(BOB))
    assert (await owners.of([SESSION]))[SESSION].principal == ALICE


async def test_of_two_who_claim_at_once_one_gets_it(owners: Owners, clock: TurnedClock) -> None:
    principals = [Principal(f"p-{number}") for number in range(8)]

    got = await asyncio.gather(*(owners.claim(claim(clock, principal)) for principal in principals))

    assert got.count(True) == 1
    assert (await owners.of([SESSION]))[SESSION].principal == principals[got.index(True)]


async def test_a_claim_runs_out(owners: Owners, clock: TurnedClock) -> None:
    await owners.claim(claim(clock, ALICE, 30))
    await clock.turn(30)

    assert await owners.of([SESSION]) == {}
    assert await owners.claim(claim(clock, BOB))


async def test_a_claim_is_renewed_and_never_shortened(owners: Owners, clock: TurnedClock) -> None:
    await owners.claim(claim(clock, ALICE, 30))
    await owners.claim(claim(clock, ALICE, 60))
    await owners.claim(claim(clock, ALICE, 10))
    await clock.turn(59)

    assert not await owners.claim(claim(clock, BOB))


async def test_what_is_final_stays_so(owners: Owners, clock: TurnedClock) -> None:
    await owners.claim(claim(clock, ALICE))
    assert await owners.claim(final(ALICE))

    assert await owners.claim(claim(clock, ALICE))
    await owners.release(SESSION, ALICE)
    await clock.turn(1_000_000)

    assert await owners.of([SESSION]) == {SESSION: final(ALICE)}


async def test_who_lets_go_of_a_claim_leaves_the_session_free(owners: Owners, clock: TurnedClock) -> None:
    await owners.claim(claim(clock, ALICE))

    await owners.release(SESSION, ALICE)

    assert await owners.of([SESSION]) == {}
    assert await owners.claim(claim(clock, BOB))


async def test_nobody_lets_go_of_anothers_claim(owners: Owners, clock: TurnedClock) -> None:
    await owners.claim(claim(clock, ALICE))

    await owners.release(SESSION, BOB)
    await owners.release(OTHER, BOB)

    assert not await owners.claim(claim(clock, BOB))


async def test_a_session_that_was_just_made_belongs_to_whom_it_was_made_for(owners: Owners, clock: TurnedClock) -> None:
    await owners.begin(SESSION, ALICE)

    assert not await owners.claim(claim(clock, BOB))
    assert await owners.claim(claim(clock, ALICE))
    await owners.release(SESSION, ALICE)
    assert await owners.of([SESSION]) == {SESSION: final(ALICE)}


async def test_many_are_asked_for_at_once(owners: Owners) -> None:
    await owners.claim(final(ALICE, SESSION))
    await owners.claim(final(BOB, OTHER))

    found = await owners.of([SESSION, SessionId("ses_'3\""), OTHER])

    assert found == {SESSION: final(ALICE, SESSION), OTHER: final(BOB, OTHER)}


@pytest.mark.parametrize("name", ["half \ud83d", "null \0"])
async def test_a_name_that_cannot_be_kept_is_refused(owners: Owners, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await owners.claim(final(ALICE, SessionId(name)))
    with pytest.raises(InvalidRequest):
        await owners.begin(SessionId(name), ALICE)


@pytest.mark.parametrize("kind", KINDS)
async def test_ownerships_outlive_a_restart(kind: str, tmp_path: Path, clock: TurnedClock) -> None:
    stores = Stores(clock, kind, tmp_path)
    third = SessionId("ses_3")
    async with stores.live() as life:
        await life.owners.claim(final(ALICE, SESSION))
        await life.owners.claim(Ownership(OTHER, BOB, clock.now() + 30))
        await life.owners.begin(third, ALICE)

    async with stores.live() as life:
        assert not await life.owners.claim(final(BOB, third))
        assert not await life.owners.claim(final(BOB, SESSION))
        assert not await life.owners.claim(final(ALICE, OTHER))
        await clock.turn(30)
        assert await life.owners.claim(final(ALICE, OTHER))


@pytest.mark.parametrize("kind", IN_MEMORY)
async def test_an_ownership_counts_before_it_is_written(kind: str, tmp_path: Path, clock: TurnedClock) -> None:
    async with Stores(clock, kind, tmp_path).live() as life:
        life.storage.shut()

        await life.owners.claim(claim(clock, ALICE))
        assert not await life.owners.claim(claim(clock, BOB))
        await life.owners.release(SESSION, ALICE)

        assert await life.owners.claim(claim(clock, BOB))


@pytest.mark.parametrize("kind", IN_MEMORY)
async def test_more_than_are_kept_in_memory_are_found(kind: str, tmp_path: Path, clock: TurnedClock) -> None:
    sessions = [SessionId(f"ses_{number}") for number in range(RECENT + 1)]
    async with Stores(clock, kind, tmp_path).live() as life:
        for session in sessions:
            await life.owners.claim(final(ALICE, session))

        assert len(await life.owners.of(sessions)) == len(sessions)
        assert not await life.owners.claim(final(BOB, sessions[0]))


async def test_all_are_listed_in_pages_with_claims_that_ran_out(owners: Owners, clock: TurnedClock) -> None:
    await owners.claim(claim(clock, ALICE, 30))
    for name in ("ses_3", "ses_2"):
        await owners.claim(final(BOB, SessionId(name)))
    await clock.turn(60)

    first = await owners.page(SessionId(""), 2)
    rest = await owners.page(first[-1].session_id, 2)

    assert [held.session_id for held in (*first, *rest)] == ["ses_1", "ses_2", "ses_3"]
    assert not first[0].stands(clock.now())


async def test_what_is_forgotten_is_nobodys(owners: Owners) -> None:
    await owners.claim(final())

    await owners.forget(final())

    assert await owners.of([SESSION]) == {}
    assert list(await owners.page(SessionId(""), 9)) == []
    assert await owners.claim(final(BOB))


async def test_what_has_changed_since_it_was_looked_at_is_not_forgotten(owners: Owners, clock: TurnedClock) -> None:
    before = claim(clock, ALICE, 30)
    await owners.claim(before)
    await owners.claim(final())

    await owners.forget(before)
    await owners.forget(final(BOB))

    assert (await owners.of([SESSION]))[SESSION] == final()


@pytest.mark.parametrize("kind", IN_MEMORY)
async def test_nothing_is_looked_up_of_a_session_that_was_just_made(
    kind: str, tmp_path: Path, clock: TurnedClock
) -> None:
    async with Stores(clock, kind, tmp_path).live() as life:
        life.storage.shut()

        await life.owners.begin(SESSION, ALICE)

        assert await life.owners.of([SESSION]) == {SESSION: final(ALICE)}


@pytest.mark.parametrize("kind", KINDS)
async def test_more_new_sessions_than_are_kept_in_memory_are_found(
    kind: str, tmp_path: Path, clock: TurnedClock
) -> None:
    sessions = [SessionId(f"ses_{number}") for number in range(RECENT + 1)]
    async with Stores(clock, kind, tmp_path).live() as life:
        for session in sessions:
            await life.owners.begin(session, ALICE)

        assert len(await life.owners.of(sessions)) == len(sessions)
        assert not await life.owners.claim(final(BOB, sessions[0]))
