"""The contract of the port `Clock`, for the one on the wall and the one turned by hand."""

from __future__ import annotations

import asyncio

import pytest

from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.adapters.outbound.system.ids import RandomIds
from opencode_a2a_server.app.ports.clock import Clock
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[SystemClock, TurnedClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


async def test_time_does_not_go_back(clock: Clock) -> None:
    before = clock.monotonic()

    await clock.sleep(0)

    assert clock.monotonic() >= before
    assert clock.now() > 1_600_000_000


async def test_what_is_ready_in_time_is_given(clock: Clock) -> None:
    assert await clock.within(60, asyncio.sleep(0, "ready")) == "ready"


async def test_what_takes_too_long_is_cancelled(clock: Clock) -> None:
    waiting = asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        await clock.within(0, waiting)

    assert waiting.cancelled()


async def test_what_fails_in_time_fails(clock: Clock) -> None:
    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await clock.within(60, fail())


async def test_time_turned_by_hand_wakes_whoever_it_is_due_for() -> None:
    clock, woken = TurnedClock(), list[str]()

    async def wake(name: str, *pauses: float) -> None:
        for pause in pauses:
            await clock.sleep(pause)
            woken.append(f"{name} at {clock.monotonic():g}")

    jobs = [asyncio.ensure_future(wake("slow", 3)), asyncio.ensure_future(wake("quick", 1, 1, 5))]
    await clock.turn(4)

    assert woken == ["quick at 1", "quick at 2", "slow at 3"]
    assert clock.monotonic() == 4
    await clock.turn(3)
    assert woken[3:] == ["quick at 7"]
    await asyncio.gather(*jobs)


async def test_time_turned_by_hand_ends_patience() -> None:
    clock = TurnedClock()
    waiting = asyncio.ensure_future(clock.within(5, asyncio.Event().wait()))

    await clock.turn(4.9)
    assert not waiting.done()
    await clock.turn(0.1)

    with pytest.raises(TimeoutError):
        await waiting


def test_random_identifiers_are_new_each_time() -> None:
    ids = RandomIds()

    assert len({ids.new() for _ in range(1000)}) == 1000
