"""
The directories OpenCode has opened for us.

OpenCode keeps an instance for each directory it was ever asked about and frees none by itself: memory grows with them
until it hangs. Those that nobody used for a while are disposed of here, and the longest unused ones when there are too
many. A later request opens them again; what an instance had in memory (what was always allowed) is asked for anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from typing import Self

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.errors import Refusal
from opencode_a2a_server.domain.session import Directory

from .client import Client

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 60.0


@frozen
class Keep:
    """How many directories are kept open, and for how long without use; 0 is without bound."""

    most: int = 8
    idle_seconds: float = 1800.0


@define(eq=False)
class Instances:
    """Who is used when; a context manager while which idle ones are disposed of. The home is never among them."""

    client: Client
    clock: Clock
    home: Callable[[], Awaitable[Directory]]
    keep: Keep = field(factory=Keep)
    _used: OrderedDict[Directory, float] = field(factory=OrderedDict, init=False)
    """When each was used last, the longest unused one first."""
    _at_work: Counter[Directory] = field(factory=Counter, init=False)
    _keeper: asyncio.Task[None] | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        if self.keep.most or self.keep.idle_seconds:
            self._keeper = asyncio.get_running_loop().create_task(self._tidy_up(), name="opencode instances")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    def use(self, directory: str) -> None:
        """Note that a directory is used."""
        named = Directory(directory)
        self._used[named] = self.clock.monotonic()
        self._used.move_to_end(named)

    def enter(self, directory: Directory) -> None:
        """Keep a directory open until it is left as often as it was entered."""
        self._at_work[directory] += 1
        self.use(directory)

    def leave(self, directory: Directory) -> None:
        """See `enter`."""
        self._at_work[directory] -= 1
        if not self._at_work[directory]:
            del self._at_work[directory]
        self.use(directory)

    async def tidy(self) -> None:
        """Dispose of what is idle for too long or too much, unless OpenCode works there or waits for an answer."""
        crowded = bool(self.keep.most) and len(self._used) > self.keep.most
        if not (crowded or any(map(self._is_stale, self._used))):
            return  # as nearly always: OpenCode is not bothered
        home = await self.home()
        idle = [directory for directory in self._used if directory != home and not self._at_work[directory]]
        spare = max(0, len(self._used.keys() - {home}) - self.keep.most) if self.keep.most else 0
        for place, directory in enumerate(idle):
            if place < spare or self._is_stale(directory):
                await self._dispose(directory)

    def _is_stale(self, directory: Directory) -> bool:
        idle = self.keep.idle_seconds
        return bool(idle) and self.clock.monotonic() - self._used[directory] >= idle

    async def _dispose(self, directory: Directory) -> None:
        used = self._used[directory]
        if await self.client.is_in_use(directory) or self._used[directory] != used or self._at_work[directory]:
            return  # somebody works there, or began to while we asked
        del self._used[directory]
        await self.client.dispose(directory)
        _log.info(
            "the instance of %s was disposed of: nobody used it for %.0f s", directory, self.clock.monotonic() - used
        )

    async def _tidy_up(self) -> None:
        while True:
            await self.clock.sleep(_LOOK_SECONDS)
            try:
                await self.tidy()
            except Refusal as refusal:
                _log.info("idle instances cannot be looked after now: %s", refusal)
            except Exception:  # noqa: BLE001 - whatever it was, the next look tries again
                _log.exception("looking after idle instances broke")
