"""One answer for all who ask the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from attrs import define, field

from opencode_a2a_server.adapters.outbound.opencode.joined import Joined
from opencode_a2a_server.domain.errors import AgentUnreachable
from tests.fakes.clock import settled

pytestmark = pytest.mark.anyio


@define
class Calls:
    """Calls which are answered when the test says so."""

    joined: Joined = field(factory=Joined)
    open: list[asyncio.Future[str]] = field(factory=list)

    async def call(self) -> str:
        self.open.append(asyncio.get_running_loop().create_future())
        return await self.open[-1]

    async def ask(self, many: int, kind: str = "a kind") -> list[asyncio.Task[str]]:
        """Ask so many times, and let happen what happens."""
        call: Callable[[], Awaitable[str]] = self.call
        asking = [asyncio.ensure_future(self.joined.ask(kind, call)) for _ in range(many)]
        await settled()
        return asking


@pytest.fixture
async def calls(anyio_backend: str) -> Calls:
    return Calls()


async def test_who_asks_at_the_same_time_gets_the_answer_to_one_call(calls: Calls) -> None:
    asking = await calls.ask(3)

    calls.open[0].set_result("yes")

    assert await asyncio.gather(*asking) == ["yes"] * 3
    assert len(calls.open) == 1


async def test_who_asks_while_a_call_is_under_way_gets_the_answer_to_the_next(calls: Calls) -> None:
    first = await calls.ask(1)
    others = await calls.ask(3)
    assert len(calls.open) == 1

    calls.open[0].set_result("old")
    await settled()
    calls.open[1].set_result("new")

    assert (await first[0], await asyncio.gather(*others)) == ("old", ["new"] * 3)
    assert (len(calls.open), calls.joined._lines) == (2, {})


async def test_what_is_of_another_kind_waits_for_nobody(calls: Calls) -> None:
    await calls.ask(1, "one")
    await calls.ask(1, "other")

    assert len(calls.open) == 2


async def test_all_are_told_of_a_fault_and_the_next_is_asked_anew(calls: Calls) -> None:
    asking = await calls.ask(2)
    calls.open[0].set_exception(AgentUnreachable("no route"))
    faults = await asyncio.gather(*asking, return_exceptions=True)

    (again,) = await calls.ask(1)
    calls.open[1].set_result("yes")

    assert [type(fault) for fault in faults] == [AgentUnreachable] * 2
    assert await again == "yes"


async def test_a_call_goes_on_while_somebody_waits_for_it(calls: Calls) -> None:
    gone, stays = await calls.ask(2)
    gone.cancel()
    await settled()

    calls.open[0].set_result("yes")

    assert await stays == "yes"


async def test_a_call_that_is_never_answered_holds_nobody_up_for_whom_it_was_not_made(calls: Calls) -> None:
    (gives_up,) = await calls.ask(1)
    others = await calls.ask(2)

    gives_up.cancel()
    await settled()
    calls.open[1].set_result("yes")

    assert await asyncio.gather(*others) == ["yes"] * 2
    assert calls.open[0].cancelled()


async def test_who_gives_up_before_the_call_is_made_has_none_made(calls: Calls) -> None:
    (first,) = await calls.ask(1)
    (gives_up,) = await calls.ask(1)

    gives_up.cancel()
    await settled()
    calls.open[0].set_result("yes")
    await first
    await settled()

    assert (len(calls.open), calls.joined._lines) == (1, {})


async def test_who_comes_just_when_another_gives_up_is_answered(calls: Calls) -> None:
    (first,) = await calls.ask(1)
    (gives_up,) = await calls.ask(1)
    gives_up.cancel()
    coming = asyncio.ensure_future(calls.joined.ask("a kind", calls.call))
    await settled()

    calls.open[0].set_result("old")
    await settled()
    calls.open[1].set_result("new")

    assert (await first, await coming) == ("old", "new")
