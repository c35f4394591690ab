"""What only one at a time may have."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Holds(Protocol):
    """
    Named things which one has alone, over all replicas that share the store: a session for a turn, a context for its begin.

    They are given back when the body ends; those of a replica that dies, when it is found dead. Who gives something
    back has what he put into the store before seen by whoever has it next.
    """

    def alone(self, name: str) -> AbstractAsyncContextManager[None]:
        """
        Have it alone, after all who asked before.

        Raises:
            JournalUnavailable: The store cannot be asked.

        """
        ...

    def at_once(self, name: str) -> AbstractAsyncContextManager[bool]:
        """
        Have it alone if nobody has it or waits for it; gives whether that is so.

        Raises:
            JournalUnavailable: The store cannot be asked.

        """
        ...
