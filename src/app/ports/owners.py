"""Whom the runtime's sessions belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Ownership


class Owners(Protocol):
    """
    Ownerships outlive restarts. A session belongs to one principal at most; a claim that ran out counts for nothing.

    All methods raise `JournalUnavailable` while the store cannot be used. What is changed counts at once, and is
    durable no later than what is journaled after it.
    """

    async def claim(self, wanted: Ownership) -> bool:
        """
        Have a session belong to a principal, for a while or for good; False if it is somebody else's.

        Of two who claim at once one gets it. What is final stays so, and a claim is never shortened.

        Raises:
            InvalidRequest: A name in it cannot be kept.

        """
        ...

    async def begin(self, session_id: SessionId, principal: Principal) -> None:
        """
        Have a session that was just made belong to whom it was made for, for good.

        Nobody can have had it before it was there, so nothing is looked up.

        Raises:
            InvalidRequest: A name cannot be kept.

        """
        ...

    async def release(self, session_id: SessionId, principal: Principal) -> None:
        """Let go of a principal's claim; what is final, or somebody else's, stays."""
        ...

    async def page(self, after: SessionId, most: int) -> Sequence[Ownership]:
        """List some, also claims that ran out, in the order of their sessions' ids from behind one."""
        ...

    async def forget(self, held: Ownership) -> None:
        """Forget an ownership, if it still stands as it is given."""
        ...

    async def of(self, sessions: Sequence[SessionId]) -> Mapping[SessionId, Ownership]:
        """Give whom these sessions belong to; those that are nobody's are left out."""
        ...
