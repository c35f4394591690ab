"""What only one at a time may have, in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field


@define(eq=False)
class FakeHolds:
    """The port `Holds`: a queue by name, whose first has it."""

    queues: dict[str, deque[asyncio.Event]] = field(factory=dict)

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """See `Holds.alone`."""
        queue, turn = self.queues.setdefault(name, deque()), asyncio.Event()
        queue.append(turn)
        try:
            if queue[0] is not turn:
                await turn.wait()
            yield
        finally:
            queue.remove(turn)
            if queue:
                queue[0].set()
            else:
                del self.queues[name]

    @asynccontextmanager
    async def at_once(self, name: str) -> AsyncIterator[bool]:
        """See `Holds.at_once`."""
        if name in self.queues:
            yield False
            return
        async with self.alone(name):
            yield True
