"""Retain no more than the rules say: a job of its own, off everybody's way."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.retention import Keeping, Retention
from opencode_a2a_server.app.usecases.beside import Beside
from opencode_a2a_server.domain.errors import Unavailable

_log = logging.getLogger(__name__)


@define(eq=False)
class Retain:
    """
    Sweep the store now and then, if there are rules; a context manager while which it does.

    `others` are called each time: what else there is to forget, rules or not.

    A clock that was set forward is believed from the next sweep on, if it still says so: what is removed by mistake of the
    clock is gone for good.
    """

    retention: Retention
    clock: Clock
    keeping: Keeping
    others: Sequence[Callable[[], Awaitable[object]]] = ()
    interval: float = 3600.0
    first: float = 60.0
    """Seconds from the start to the first sweep: the start has other work."""
    _beside: Beside = field(factory=Beside, init=False)
    _looked: tuple[float, float] = field(init=False)
    """The time of day at the last look, and by the clock that nobody sets."""

    @_looked.default
    def _at_first(self) -> tuple[float, float]:
        return self.clock.now(), self.clock.monotonic()

    async def __aenter__(self) -> Self:
        if self.keeping.bounded or self.others:
            self._beside.begin(self._run(), "retention")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._beside.end()

    async def _run(self) -> None:
        await self.clock.sleep(self.first)
        while True:
            for forget in (self._sweep, *self.others):
                try:
                    await forget()
                except Unavailable as error:
                    _log.warning("the store could not be swept: %s", error)
                except Exception:  # noqa: BLE001 - whatever it was, the next sweep tries again
                    _log.exception("sweeping the store broke")
            await self.clock.sleep(self.interval)

    async def _sweep(self) -> None:
        if not self.keeping.bounded:
            return
        swept = await self.retention.sweep(self.keeping, self._now())
        if swept.folded or swept.removed:
            _log.info("%d tasks folded, %d removed, %d bytes freed", swept.folded, swept.removed, swept.freed)

    def _now(self) -> float:
        """Give the time of day, but no more of it than has passed since the last look."""
        before, then = self._looked
        now, steady = self._looked = self.clock.now(), self.clock.monotonic()
        return min(now, before + (steady - then))
