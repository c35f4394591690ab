"""Time."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """All time passes here: tests turn it by hand."""

    def now(self) -> float:
        """Seconds since the epoch, UTC: for people."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back: for durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...

    async def within(self, seconds: float, awaitable: Awaitable[T]) -> T:
        """
        Wait for something, but not longer.

        Raises:
            TimeoutError: It took longer; it was cancelled.

        """
        ...
