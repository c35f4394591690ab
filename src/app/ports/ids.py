"""New identifiers."""

from __future__ import annotations

from typing import Protocol


class Ids(Protocol):
    """Where identifiers come from: random ones in production, counted ones in tests."""

    def new(self) -> str:
        """Give an identifier that nobody else has or can guess."""
        ...
