"""What the replicas say to each other in passing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

LONGEST: Final = 7000
"""Characters of ASCII that one word may have."""


class Talk(Protocol):
    """
    Words that reach all replicas that are there, within some milliseconds, or get lost.

    Nothing may depend on one: whoever needs an answer asks again.
    """

    async def say(self, word: str) -> None:
        """
        Say something to all others, if there are any.

        Raises:
            JournalUnavailable: It cannot be said now.

        """
        ...

    def listen(self, ear: Callable[[str], None]) -> None:
        """Have it called with whatever is said."""
        ...
