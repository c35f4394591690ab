"""Whom a session belongs to, and who may use it."""

from __future__ import annotations

import asyncio

import pytest

from opencode_a2a_server.app.usecases.use_session import UseSession
from opencode_a2a_server.domain.errors import JournalUnavailable, SessionNotFound
from opencode_a2a_server.domain.ids import SessionId
from opencode_a2a_server.domain.session import Directory, FoundSession, Ownership, Session
from tests.app.house import ALICE, BOB, House

pytestmark = pytest.mark.anyio

NOBODYS = SessionId("ses-of-nobody")


@pytest.fixture
async def begun(house: House) -> SessionId:
    """A session that was not begun by the service."""
    return (await house.agent.open_session("begun elsewhere")).id


@pytest.fixture
def use(house: House) -> UseSession:
    return house.bind.sessions


async def test_the_first_who_uses_a_session_with_success_owns_it(use: UseSession, begun: SessionId) -> None:
    async with use(ALICE, begun) as used:
        assert used.session.id == begun

    assert (await use.owners.of([begun]))[begun] == Ownership(begun, ALICE)


async def test_a_session_in_use_for_the_first_time_is_nobody_elses(use: UseSession, begun: SessionId) -> None:
    async with use(ALICE, begun):
        with pytest.raises(SessionNotFound):
            await use.see(BOB, begun)
        with pytest.raises(SessionNotFound):
            await use.claim(BOB, begun)


async def test_a_use_may_last_longer_than_a_claim(house: House, use: UseSession, begun: SessionId) -> None:
    async with use(ALICE, begun):
        await house.clock.turn(200)

        with pytest.raises(SessionNotFound):
            await use.claim(BOB, begun)


async def test_a_use_that_fails_leaves_the_session_free(use: UseSession, begun: SessionId) -> None:
    with pytest.raises(ZeroDivisionError):
        async with use(ALICE, begun):
            raise ZeroDivisionError

    async with use(BOB, begun):
        pass


async def test_a_use_that_says_it_failed_leaves_the_session_free(use: UseSession, begun: SessionId) -> None:
    async with use(ALICE, begun) as used:
        used.failed = True

    await use.claim(BOB, begun)


async def test_a_later_use_that_fails_takes_nothing_away(use: UseSession, begun: SessionId) -> None:
    await use.own(ALICE, begun)

    with pytest.raises(ZeroDivisionError):
        async with use(ALICE, begun):
            raise ZeroDivisionError

    with pytest.raises(SessionNotFound):
        await use.claim(BOB, begun)


async def test_who_fails_leaves_it_to_who_uses_it_at_the_same_time(use: UseSession, begun: SessionId) -> None:
    async with use(ALICE, begun):
        with pytest.raises(ZeroDivisionError):
            async with use(ALICE, begun):
                raise ZeroDivisionError

        with pytest.raises(SessionNotFound):
            await use.claim(BOB, begun)


async def test_a_use_that_is_cut_off_runs_out(house: House, use: UseSession, begun: SessionId) -> None:
    async def cut_off() -> None:
        async with use(ALICE, begun):
            await asyncio.Event().wait()

    job = asyncio.ensure_future(cut_off())
    await house.clock.turn()
    job.cancel()
    await house.clock.turn()

    with pytest.raises(SessionNotFound):
        await use.claim(BOB, begun)
    await house.clock.turn(30)
    await use.claim(BOB, begun)


async def test_what_is_anothers_is_told_as_what_is_unknown(house: House, use: UseSession, begun: SessionId) -> None:
    await use.own(ALICE, begun)
    told = []
    for session_id in (begun, NOBODYS):
        house.agent.calls.clear()
        with pytest.raises(SessionNotFound) as refused:
            await use.see(BOB, session_id)
        told.append((str(refused.value).replace(session_id, "it"), [*house.agent.calls]))

    assert told[0] == told[1] == ("there is no session it", ["find_session"])
    assert begun not in house.agent.looked_up  # what it would show, and how fast, is not its own


async def test_a_session_outside_the_workspace_is_unknown(house: House, use: UseSession) -> None:
    house.stage.scripted.directory = "/work"
    house.stage.paths.directories |= {"/work", "/work/a", "/elsewhere"}
    inside = await house.agent.open_session("", Directory("/work/a"))
    outside = await house.agent.open_session("", Directory("/elsewhere"))

    assert (await use.see(ALICE, inside.id)).session == inside
    with pytest.raises(SessionNotFound):
        await use.see(ALICE, outside.id)


async def test_a_sub_agents_session_belongs_to_whom_it_works_for(house: House, use: UseSession) -> None:
    parent = await house.agent.open_session("")
    child = Session(SessionId("ses-child"), Directory("/"))
    house.agent.found[child.id] = FoundSession(child, parent.id)

    async with use(ALICE, child.id) as used:
        assert used.session == child

    assert (await use.see(ALICE, child.id)).parent == parent.id
    for session_id in (parent.id, child.id):
        with pytest.raises(SessionNotFound):
            await use.see(BOB, session_id)


async def test_who_only_looks_claims_nothing(use: UseSession, begun: SessionId) -> None:
    await use.see(ALICE, begun)

    assert await use.owners.of([begun]) == {}


async def test_the_visible_ones_are_ones_own_and_nobodys(use: UseSession, begun: SessionId) -> None:
    alices, bobs = SessionId("ses-a"), SessionId("ses-b")
    await use.own(ALICE, alices)
    await use.own(BOB, bobs)

    assert await use.visible(ALICE, [alices, bobs, begun]) == {alices, begun}
    use.claimable = False
    assert await use.visible(ALICE, [alices, bobs, begun]) == {alices}


async def test_what_was_not_begun_here_may_be_forbidden(use: UseSession, begun: SessionId) -> None:
    use.claimable = False

    for attempt in (use.see, use.claim):
        with pytest.raises(SessionNotFound):
            await attempt(ALICE, begun)
    assert await use.own(ALICE, begun)
    assert (await use.claim(ALICE, begun)).session.id == begun


async def test_a_success_is_one_although_the_store_breaks_meanwhile(
    house: House, use: UseSession, begun: SessionId
) -> None:
    async with use(ALICE, begun):
        house.stage.owners.broken = JournalUnavailable("full")
    house.stage.owners.broken = None

    with pytest.raises(SessionNotFound):
        await use.claim(BOB, begun)


async def test_a_session_of_anothers_cannot_be_owned(use: UseSession, begun: SessionId) -> None:
    await use.own(ALICE, begun)

    assert not await use.own(BOB, begun)
