"""The clock on the wall."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from attrs import frozen

T = TypeVar("T")


@frozen
class SystemClock:
    """Real time: the only place that sleeps."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def within(self, seconds: float, awaitable: Awaitable[T]) -> T:
        """Wait for something, but not longer. It costs one timer of the loop and no task."""
        async with asyncio.timeout(seconds):
            return await awaitable
