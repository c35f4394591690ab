"""Read the runtime's sessions."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.app.ports.sessions import SessionDetails, SessionFilter, SessionReader
from opencode_a2a_server.domain.ids import Principal, SessionId


@frozen
class ReadSessions:
    """
    One object for all reads, since they are one thing: the same question asked of a port.

    Raises what `SessionReader` raises.
    """

    reader: SessionReader

    async def list(self, principal: Principal, wanted: SessionFilter) -> Sequence[SessionDetails]:  # noqa: ARG002
        """List sessions, the last changed first."""
        return await self.reader.list(wanted)

    async def get(self, principal: Principal, session: SessionId) -> SessionDetails:  # noqa: ARG002
        """Give one."""
        return await self.reader.get(session)
