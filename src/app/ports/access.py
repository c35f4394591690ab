"""Who is known, and what they may touch."""

from __future__ import annotations

from typing import Protocol

from opencode_a2a_server.domain.access import UNBOUNDED, Caller, Reach
from opencode_a2a_server.domain.ids import Principal


class Credentials(Protocol):
    """
    Knows who comes with what.

    Raises:
        Unavailable: Whether it is good cannot be found out now. Nobody is let in then.

    """

    async def bearer(self, token: bytes) -> Caller | None:
        """Say whose token this is, None for nobody's."""
        ...

    async def basic(self, user: str, password: bytes) -> Caller | None:
        """Say whose name and password these are, None for nobody's."""
        ...


class Reaches(Protocol):
    """Says what a principal may touch."""

    def __call__(self, principal: Principal) -> Reach:
        """Say it, at once."""
        ...


def unbounded(principal: Principal) -> Reach:  # noqa: ARG001 - whoever it is
    """Let everybody touch everything."""
    return UNBOUNDED


__all__ = ["Credentials", "Reaches", "unbounded"]
