"""Where it is kept who did what."""

from __future__ import annotations

from typing import Protocol

from opencode_a2a_server.domain.audit import Record


class Audit(Protocol):
    """Keeps records, in the order they are given; none is ever changed or taken back."""

    async def record(self, record: Record) -> None:
        """
        Keep a record; it outlives the process on return.

        Raises nothing: what was done is done, and the journal has it. A record that cannot be kept is said aloud.
        """
        ...
