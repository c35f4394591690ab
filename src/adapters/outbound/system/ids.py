"""Random identifiers."""

from __future__ import annotations

from uuid import uuid4

from attrs import frozen


@frozen
class RandomIds:
    """UUIDs of version 4, from the system's own randomness."""

    def new(self) -> str:
        """Give an identifier that nobody else has or can guess."""
        return str(uuid4())
