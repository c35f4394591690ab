"""
One answer for all who ask the same at the same time.

OpenCode lists what is at work, and what waits for an answer, for a whole directory. Hundreds of turns which ask after a
gap of the feed would each be told of all the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class _Call:
    """A call that is made, or is about to be."""

    job: asyncio.Task[Any]
    askers: int = 0


@define(eq=False)
class _Line:
    """The calls of one kind: one is under way at a time, and one is next."""

    now: _Call | None = None
    next: _Call | None = None


@define(eq=False)
class Joined:
    """
    Calls by kinds; no answer is older than its question.

    Who asks while a call is under way is given the answer to the next one, with all others who ask meanwhile. A call that
    nobody waits for any more is cancelled.
    """

    _lines: dict[Hashable, _Line] = field(factory=dict, init=False)

    async def ask(self, kind: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """Have the call made, or join those who are about to make one of this kind; raises what it raises."""
        line = self._lines.setdefault(kind, _Line())
        mine = line.next
        if mine is None:
            job = asyncio.get_running_loop().create_task(self._make(kind, line, call), name=f"{kind}")
            job.add_done_callback(_seen)
            mine = line.next = _Call(job)
        mine.askers += 1
        try:
            answer: T = await asyncio.shield(mine.job)
        finally:
            mine.askers -= 1
            if not mine.askers:
                mine.job.cancel()
                if line.next is mine:  # it has not begun, and nobody is to join it
                    line.next = None
        return answer

    async def _make(self, kind: Hashable, line: _Line, call: Callable[[], Awaitable[T]]) -> T:
        while (before := line.now) is not None:
            await asyncio.wait([before.job])
        mine, line.next = line.next, None
        line.now = mine
        try:
            return await call()
        finally:
            line.now = None
            if line.next is None:
                self._lines.pop(kind, None)


def _seen(job: asyncio.Task[Any]) -> None:
    """Whoever asked may have gone away just then: what was raised is not to be complained of as never seen."""
    if not job.cancelled():
        job.exception()
