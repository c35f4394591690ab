"""Where it is counted what principals use, over all processes of the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen


@frozen
class Entry:
    """So much of something, used by an account in a span of time, which is named by its first second."""

    account: str
    measure: str
    span: int
    amount: float


class Ledger(Protocol):
    """
    Adds up.

    All methods raise `JournalUnavailable` while the store cannot be used.
    """

    async def add(self, entries: Sequence[Entry]) -> Sequence[float]:
        """Add all or nothing; gives what each comes to with it. An amount of 0 only asks."""
        ...

    async def forget(self, before: int) -> None:
        """Forget the spans which began before a moment."""
        ...
