"""The end of the service, told to all that would otherwise go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field


@define(eq=False)
class Drain:
    """
    Whether the service is about to end; once begun it does not go back.

    A server that stops waits for its open responses, and a stream has no end of its own: `begin` ends all of them.
    Whoever runs the service lets turns finish first, then begins the drain, then stops the server.
    """

    _began: asyncio.Event = field(factory=asyncio.Event, init=False)
    _listeners: set[Callable[[], None]] = field(factory=set, init=False)

    @property
    def ending(self) -> bool:
        """Whether the end has begun."""
        return self._began.is_set()

    @property
    def listening(self) -> int:
        """How many there are to tell: the streams that are open."""
        return len(self._listeners)

    def begin(self) -> None:
        """Tell everyone; from the event loop's own thread."""
        self._began.set()
        for listener in tuple(self._listeners):
            listener()

    async def wait(self) -> None:
        """Wait for the end to begin."""
        await self._began.wait()

    @contextmanager
    def telling(self, listener: Callable[[], None]) -> Iterator[None]:
        """Have the listener called when the end begins, if it has not yet."""
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)
