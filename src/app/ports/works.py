"""What is under way in sessions without a task that tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Session


@frozen
class Working:
    """A session that works for a principal. `since` is when it last changed before that, by the runtime's clock."""

    session: Session
    principal: Principal
    begun_at: float
    since: float


class Works(Protocol):
    """
    The register of such work. It outlives restarts: the runtime works on, and may ask something.

    All methods raise `JournalUnavailable` while the store cannot be used.
    """

    async def begin(self, working: Working) -> None:
        """Note what begins, in place of what its session did before."""
        ...

    async def end(self, session: SessionId) -> None:
        """Forget what a session did."""
        ...

    async def of(self, principal: Principal) -> Sequence[Working]:
        """Give what is under way for a principal, the oldest first."""
        ...

    async def every(self) -> Sequence[Working]:
        """Give all that is under way, the oldest first."""
        ...
