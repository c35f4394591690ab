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

    now = staticmethod(time.time)
    """Seconds since the epoch, UTC."""
    monotonic = staticmethod(time.monotonic)
    """Seconds since some moment; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def within(self, seconds: float, awaitable: Awaitable[T]) -> T:
        """Wait for something, but not longer. It costs one timer of the loop and no task."""
        async with asyncio.timeout(seconds):
            return await awaitable
