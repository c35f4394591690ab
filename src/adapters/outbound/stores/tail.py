"""The end of one journal, in memory: what has just been said and whoever follows it reads."""

from __future__ import annotations

from bisect import bisect_right

from attrs import define, field

from opencode_a2a_server.domain.ids import Seq
from opencode_a2a_server.domain.updates import Entry

from .storage import READ_BYTES, READ_ENTRIES

KEPT_ENTRIES = 256
KEPT_BYTES = 256 * 1024
"""What is kept of the durable entries, for readers who are a little behind."""


@define(repr=False)
class Tail:
    """Entries without holes up to the last one, and their sizes as a running sum."""

    _first: Seq
    _entries: list[Entry] = field(factory=list, init=False)
    _sums: list[int] = field(factory=lambda: [0], init=False)
    """The size of all entries before each one; one more than there are entries."""

    def add(self, entry: Entry, size: int) -> None:
        """Add the next entry."""
        self._entries.append(entry)
        self._sums.append(self._sums[-1] + size)

    def read(self, after: Seq, upto: Seq) -> list[Entry] | None:
        """Give entries from behind one up to another, a bounded number; None if the first is no longer here."""
        start = after + 1 - self._first
        if start < 0:
            return None
        stop = min(upto + 1 - self._first, start + READ_ENTRIES)
        most = self._sums[start] + READ_BYTES
        if self._sums[stop] > most:
            stop = max(start + 1, bisect_right(self._sums, most, start, stop) - 1)
        return self._entries[start:stop]

    def trim(self, durable: Seq) -> None:
        """Let go of the oldest of those which can be read from the storage."""
        held = durable + 1 - self._first
        if held <= 0:
            return
        dropped = max(held - KEPT_ENTRIES, bisect_right(self._sums, self._sums[held] - KEPT_BYTES, 0, held) - 1)
        if dropped > 0:
            del self._entries[:dropped]
            del self._sums[:dropped]
            self._first = Seq(self._first + dropped)
