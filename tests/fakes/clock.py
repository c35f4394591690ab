"""A clock turned by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from attrs import define, field

T = TypeVar("T")

_ROUNDS = 10_000
_QUIET = 3


@define(eq=False)
class _Alarm:
    at: float
    ring: Callable[[], None]


@define(eq=False)
class TurnedClock:
    """
    Time stands until a test turns it: `await clock.turn(5)`.

    Everything that is due rings in its order, and whoever it wakes goes as far as it can before the next one rings.
    """

    _now: float = 1_700_000_000.0
    _since: float = 0.0
    _alarms: list[_Alarm] = field(factory=list, init=False)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now + self._since

    def monotonic(self) -> float:
        """Seconds turned so far."""
        return self._since

    @property
    def waiting(self) -> int:
        """How many wait for time to pass."""
        return len(self._alarms)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was turned this far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        rung = asyncio.Event()
        alarm = self._set(seconds, rung.set)
        try:
            await rung.wait()
        finally:
            self._unset(alarm)

    async def within(self, seconds: float, awaitable: Awaitable[T]) -> T:
        """Wait for something until the clock was turned this far."""
        async with asyncio.timeout(None if seconds > 0 else 0) as limit:
            past = asyncio.get_running_loop().time()
            alarm = self._set(seconds, lambda: limit.reschedule(past))
            try:
                return await awaitable
            finally:
                self._unset(alarm)

    async def turn(self, seconds: float = 0.0) -> None:
        """Let time pass; returns when nobody can go on without more of it."""
        end = self._since + seconds
        await settled()
        while due := [alarm for alarm in self._alarms if alarm.at <= end]:
            alarm = min(due, key=lambda one: one.at)
            self._alarms.remove(alarm)
            self._since = max(self._since, alarm.at)
            alarm.ring()
            await settled()
        self._since = end

    def _set(self, seconds: float, ring: Callable[[], None]) -> _Alarm:
        alarm = _Alarm(self._since + seconds, ring)
        self._alarms.append(alarm)
        return alarm

    def _unset(self, alarm: _Alarm) -> None:
        with suppress(ValueError):
            self._alarms.remove(alarm)


async def settled() -> None:
    """Wait until all other jobs of the loop wait for something outside of it."""
    quiet = 0
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined] # to look at all jobs, dead ones too, takes long
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
        quiet = 0 if ready else quiet + 1
        if quiet == _QUIET:
            return
    raise AssertionError("some job never waits for anything")
