"""Retaining no more than the rules say."""

from __future__ import annotations

import pytest
from attrs import define, field

from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.app.usecases.retain import Retain
from opencode_a2a_server.domain.errors import JournalUnavailable
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

RULES = Keeping(seconds=60)
DAY = 86_400.0


@define(eq=False)
class FakeRetention:
    """The port `Retention`: when it was swept, by which rules."""

    swept: list[tuple[Keeping, float]] = field(factory=list)
    trouble: list[Exception] = field(factory=list)

    async def sweep(self, keeping: Keeping, now: float, *, dry: bool = False) -> Swept:
        self.swept.append((keeping, now))
        if self.trouble:
            raise self.trouble.pop()
        return Swept(removed=1)


async def test_the_store_is_swept_a_while_after_the_start_and_every_hour(anyio_backend: str) -> None:
    clock, retention = TurnedClock(), FakeRetention()
    began = clock.now()

    async with Retain(retention, clock, RULES):
        await clock.turn(2 * 3600)

    assert [(rules, at - began) for rules, at in retention.swept] == [(RULES, 60), (RULES, 3660)]


async def test_a_clock_that_is_set_forward_removes_nothing_unless_it_stays_so(anyio_backend: str) -> None:
    clock, retention = TurnedClock(), FakeRetention()
    began = clock.now()

    async with Retain(retention, clock, RULES):
        clock._now += 1000 * DAY
        await clock.turn(60)
        clock._now -= 1000 * DAY
        await clock.turn(3600)
        clock._now += 1000 * DAY
        await clock.turn(2 * 3600)

    assert [at - began for _, at in retention.swept] == [60, 3660, 7260, 10860 + 1000 * DAY]


@pytest.mark.parametrize("trouble", [JournalUnavailable("away"), ZeroDivisionError("a fault")])
async def test_a_sweep_that_breaks_is_tried_again(anyio_backend: str, trouble: Exception) -> None:
    clock, retention = TurnedClock(), FakeRetention(trouble=[trouble])

    async with Retain(retention, clock, RULES):
        await clock.turn(2 * 3600)

    assert len(retention.swept) == 2


async def test_without_rules_nothing_is_swept(anyio_backend: str) -> None:
    clock, retention = TurnedClock(), FakeRetention()

    async with Retain(retention, clock, Keeping()):
        await clock.turn(10 * 3600)

    assert (retention.swept, clock.waiting) == ([], 0)


async def test_what_else_is_to_be_forgotten_is_so_each_time_rules_or_not(anyio_backend: str) -> None:
    clock, retention, called = TurnedClock(), FakeRetention(), list[str]()

    async def breaks() -> None:
        called.append("breaks")
        raise JournalUnavailable("away")

    async def goes() -> None:
        called.append("goes")

    async with Retain(retention, clock, Keeping(), (breaks, goes)):
        await clock.turn(2 * 3600)

    assert called == ["breaks", "goes"] * 2
    assert retention.swept == []
