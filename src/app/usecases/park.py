"""
Park turns that wait for somebody, so that they cost next to nothing meanwhile.

A turn that is under way is a job with all that it has heard, the fold of its task, and a place to go on at: 20 KB. When
all it does is wait for an answer, its job ends. What is kept says how to go on: by an answer or a cancellation, by
what the runtime says, at a deadline, and from time to time since nothing the runtime says is trusted to be heard.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.usecases.beside import Beside
from opencode_a2a_server.app.usecases.job import Job, Pace, Rest
from opencode_a2a_server.app.usecases.stay import Stay
from opencode_a2a_server.domain.errors import TaskNotFound, Unavailable
from opencode_a2a_server.domain.ids import TaskId

_log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Turns that are looked after at a time: each is as dear as any while that lasts, and asks the runtime."""


@define(eq=False)
class Parked:
    """A turn that waits for somebody."""

    task: TaskId
    stay: Stay
    rest: Rest
    waiting: int
    """How many interrupts wait for an answer."""
    place: int
    """Its number among those that are to be looked after."""
    _called: asyncio.Queue[Parked]

    def call(self) -> None:
        """Have it looked after."""
        self._called.put_nowait(self)


@define(eq=False)
class Park:
    """The turns that are parked; while its jobs run, they are looked after."""

    journal: Journal
    clock: Clock
    pace: Pace
    go_on: Callable[[TaskLog], Job | None]
    """Goes on with a task that is parked here."""
    _parked: dict[TaskId, Parked] = field(factory=dict, init=False)
    _due: list[tuple[float, int, TaskId]] = field(factory=list, init=False)
    """When to look after which, the next one first; some went on meanwhile."""
    _order: count[int] = field(factory=count, init=False)
    _earlier: asyncio.Event = field(factory=asyncio.Event, init=False)
    _called: asyncio.Queue[Parked] = field(factory=asyncio.Queue, init=False)
    _beside: Beside = field(factory=Beside, init=False)

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def waiting(self) -> int:
        """How many permissions and questions wait for an answer."""
        return sum(parked.waiting for parked in self._parked.values())

    def begin(self) -> None:
        """Look after what is parked, until `end`."""
        self._beside.begin(self._keep_time(), "parked turns")
        for number in range(_AT_ONCE):
            self._beside.begin(self._look_after(), f"parked turns {number}")

    async def end(self) -> None:
        """Leave all sessions; the next life of the service takes the turns up."""
        await self._beside.end()
        await self._leave(self._clear())

    def let_go(self) -> None:
        """Forget all: another replica goes on with it."""
        self._beside.begin(self._leave(self._clear()), "leave parked turns")

    def put(self, task: TaskId, stay: Stay, rest: Rest, waiting: int) -> None:
        """Park a turn, whose job ends with this; one of which something may be unknown is looked after in its turn."""
        look = min(self.pace.waiting * float(2 ** min(rest.looks, 20)), self.pace.waiting_most)
        due = min([self.clock.monotonic() + look, *(due for _, due in rest.expiries)])
        parked = self._parked[task] = Parked(task, stay, rest, waiting, 0, self._called)
        self._look_at(due, parked)
        if stay.hearing is not None:
            stay.hearing.attend(parked.call)
        if rest.missed:
            parked.call()

    def take(self, task: TaskId) -> Parked | None:
        """Give what is parked of a task, which is parked no longer."""
        parked = self._parked.pop(task, None)
        if parked is not None and parked.stay.hearing is not None:
            parked.stay.hearing.attend(None)
        return parked

    def _clear(self) -> list[Stay]:
        stays = [parked.stay for parked in self._parked.values()]
        self._parked.clear()
        self._due.clear()
        return stays

    async def _leave(self, stays: list[Stay]) -> None:
        cut = asyncio.CancelledError()  # nobody knows how these turns end
        for stay in stays:
            with suppress(Exception):
                stay.kept = False
                await stay.__aexit__(type(cut), cut, None)

    def _look_at(self, due: float, parked: Parked) -> None:
        parked.place = next(self._order)
        heapq.heappush(self._due, (due, parked.place, parked.task))
        if self._due[0][1] == parked.place:
            self._earlier.set()

    def _look_later(self, task: TaskId) -> None:
        if (parked := self._parked.get(task)) is not None:
            self._look_at(self.clock.monotonic() + self.pace.retry_most, parked)

    async def _keep_time(self) -> None:
        """Call those that are due."""
        while True:
            self._earlier.clear()
            now = self.clock.monotonic()
            while self._due and (self._due[0][0] <= now or self._next_due() is None):
                if (parked := self._next_due()) is not None:
                    parked.call()
                heapq.heappop(self._due)
            if not self._due:
                await self._earlier.wait()
                continue
            with suppress(TimeoutError):
                await self.clock.within(self._due[0][0] - now, self._earlier.wait())

    def _next_due(self) -> Parked | None:
        """Give the next one to look after; None if it went on meanwhile, or is due at another time."""
        _, place, task = self._due[0]
        parked = self._parked.get(task)
        return parked if parked is not None and parked.place == place else None

    async def _look_after(self) -> None:
        while True:
            parked = await self._called.get()
            if self._parked.get(parked.task) is parked:
                try:
                    await self._go_on(parked.task)
                except Exception:  # noqa: BLE001 - whatever it was, the others are looked after
                    _log.exception("looking after task %s, which waits for somebody, broke", parked.task)
                    self._look_later(parked.task)

    async def _go_on(self, task: TaskId) -> None:
        try:
            log = await self.journal.open(task)
        except TaskNotFound:
            if (parked := self.take(task)) is not None:
                await self._leave([parked.stay])
            return
        except Unavailable as error:
            _log.warning("task %s, which waits for somebody, cannot be looked after yet: %s", task, error)
            self._look_later(task)
            return
        if (job := self.go_on(log)) is not None:
            await asyncio.wait([job.caught_up])
