"""The contract of the port `Holds`: within a process, and over two replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
from attrs import frozen

from opencode_a2a_server.adapters.outbound.stores.holds import OwnHolds, SharedHolds
from opencode_a2a_server.adapters.outbound.stores.reads import Asked
from opencode_a2a_server.app.ports.holds import Holds
from opencode_a2a_server.domain.errors import JournalUnavailable
from tests.fakes.holds import FakeHolds
from tests.fakes.sharing import Sharing

pytestmark = pytest.mark.anyio

Pair: TypeAlias = tuple[Holds, Holds]
"""What two who want the same thing use: two replicas, where there are two."""


@asynccontextmanager
async def pair(kind: str) -> AsyncIterator[Pair]:
    if kind == "two replicas":
        async with Sharing.opened() as sharing:
            yield (await sharing.join()).stores.holds, (await sharing.join()).stores.holds
        return
    one: Holds = FakeHolds() if kind == "fake" else OwnHolds()
    yield one, one


@pytest.fixture(params=["fake", "one process", "two replicas"])
async def both(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Pair]:
    async with pair(request.param) as both:
        yield both


async def test_what_one_has_alone_another_waits_for(both: Pair) -> None:
    order: list[str] = []

    async def have(holds: Holds, name: str) -> None:
        async with holds.alone("session"):
            order.append(f"{name} has it")
            await asyncio.sleep(0.01)
            order.append(f"{name} gives it back")

    await asyncio.gather(have(both[0], "a"), have(both[1], "b"), have(both[0], "c"))

    assert [said.partition(" ")[2] for said in order] == ["has it", "gives it back"] * 3


async def test_different_things_are_had_at_the_same_time(both: Pair) -> None:
    async with both[0].alone("one"), both[1].alone("other"):
        pass


async def test_who_asked_first_has_it_first(both: Pair) -> None:
    order: list[int] = []

    async def have(number: int) -> None:
        async with both[number % 2].alone("session"):
            order.append(number)

    async with both[0].alone("session"):
        waiting = []
        for number in (1, 2):
            waiting.append(asyncio.ensure_future(have(number)))
            await asyncio.sleep(0.1)
    await asyncio.gather(*waiting)

    assert order == [1, 2]


async def test_at_once_is_had_only_what_nobody_has(both: Pair) -> None:
    async with both[0].at_once("session") as first, both[1].at_once("session") as second:
        assert (first, second) == (True, False)

        async with both[0].at_once("session") as third:
            assert not third

    async def free() -> bool:
        async with both[1].at_once("session") as again:
            return again

    async with asyncio.timeout(5):
        while not await free():
            pass


async def test_who_stops_waiting_is_not_waited_for(both: Pair) -> None:
    async with both[0].alone("session"):
        gone = asyncio.ensure_future(both[1].alone("session").__aenter__())
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)

    async with asyncio.timeout(5), both[0].alone("session"):
        pass


async def test_what_breaks_in_the_body_gives_it_back(both: Pair) -> None:
    with pytest.raises(RuntimeError):
        async with both[0].alone("session"):
            raise RuntimeError

    async with asyncio.timeout(5), both[1].alone("session"):
        pass


# Replicas


async def test_what_a_dead_replica_had_is_had_by_the_next() -> None:
    async with Sharing.opened() as sharing:
        one, other = await sharing.join(), await sharing.join()
        await one.stores.holds.alone("session").__aenter__()
        waiting = asyncio.ensure_future(other.stores.holds.alone("session").__aenter__())
        await one.silence()

        await other.bury()

        await asyncio.wait_for(waiting, 5)


async def test_who_waits_is_not_passed_over_when_his_replica_begins_anew() -> None:
    async with Sharing.opened() as sharing:
        one, other = await sharing.join(), await sharing.join()
        async with one.stores.holds.alone("session"):
            waiting = asyncio.ensure_future(other.stores.holds.alone("session").__aenter__())
            await asyncio.sleep(0.1)
            await other.silence()
            await one.bury()
            await other.revive()
        await asyncio.wait_for(waiting, 5)

        async with one.stores.holds.at_once("session") as taken:
            assert not taken


@frozen
class _Deaf:
    """A database whose answers to the next commits do not arrive."""

    beneath: Asked
    commits: list[None]

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Any]:
        async with self.beneath.asking() as connection:
            yield connection
        if self.commits:
            self.commits.pop()
            raise JournalUnavailable("the connection was closed in the midst of the operation")


@pytest.mark.parametrize("how", ["alone", "at_once"])
async def test_what_was_drawn_without_our_hearing_of_it_keeps_nobody_out(how: str) -> None:
    async with Sharing.opened() as sharing:
        one, other = await sharing.join(), await sharing.join()
        holds = one.stores.holds
        assert isinstance(holds, SharedHolds)
        async with holds.alone("session"):
            pass
        holds._storage = _Deaf(holds._storage, [None, None])
        with pytest.raises(JournalUnavailable):
            await getattr(holds, how)("session").__aenter__()

        async with asyncio.timeout(5):
            async with other.stores.holds.alone("session"):
                pass
            async with holds.alone("session"), other.stores.holds.at_once("session") as taken:
                assert not taken


async def test_what_was_given_back_is_not_taken_for_had() -> None:
    async with Sharing.opened() as sharing:
        holds = (await sharing.join()).stores.holds
        assert isinstance(holds, SharedHolds)

        async with holds.alone("session"), holds.at_once("other"):
            assert len(holds._drawn) == 2

        assert (len(holds._drawn), len(holds._given_back)) == (0, 2)


async def test_a_name_may_hold_anything_and_be_of_any_length() -> None:
    async with Sharing.opened() as sharing:
        one = await sharing.join()

        async with one.stores.holds.alone("\ud800" + "x" * 100_000):
            pass
