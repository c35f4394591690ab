"""Read the runtime's sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from opencode_a2a_server.app.ports.sessions import (
    FileDiff,
    SessionDetails,
    SessionFilter,
    SessionReader,
    SessionState,
    Spoken,
    SpokenPage,
    Todo,
)
from opencode_a2a_server.app.usecases.choose_directory import HERE, Named, Place, ReachSession
from opencode_a2a_server.domain.errors import SessionNotFound
from opencode_a2a_server.domain.ids import MessageId, Principal, SessionId

_MOST = 1000
"""Sessions that are looked through for those which may be seen."""


@frozen
class ReadSessions:
    """
    Read sessions which are the principal's own or nobody's yet; reading claims nothing.

    One object for all reads, since they are one decision, may they see it, before a question to the port. Raises what
    `ReachSession` and `SessionReader` raise.
    """

    reader: SessionReader
    reach: ReachSession

    async def list(self, principal: Principal, wanted: SessionFilter, place: Place = HERE) -> Sequence[SessionDetails]:
        """List sessions, the last changed first."""
        wanted = evolve(wanted, directory=await self.reach.choose(principal, place))
        size = wanted.limit
        while True:
            found = await self.reader.list(evolve(wanted, limit=size))
            seen = await self._visible(principal, found)
            if len(seen) >= wanted.limit or len(found) < size or size >= _MOST:
                return seen[: wanted.limit]
            size = min(size * 4, _MOST)

    async def get(self, principal: Principal, named: Named) -> SessionDetails:
        """Give one."""
        await self.reach.see(principal, named)
        return await self.reader.get(named.id)

    async def children(self, principal: Principal, named: Named) -> Sequence[SessionDetails]:
        """Give the sessions of its sub-agents."""
        await self.reach.see(principal, named)
        return await self.reader.children(named.id)

    async def states(self, principal: Principal, place: Place = HERE) -> Sequence[SessionState]:
        """Say which sessions do not rest, and what they are at."""
        states = await self.reader.states(await self.reach.choose(principal, place))
        details = {state.session_id: await self._details(state.session_id) for state in states}
        known = [one for one in details.values() if one is not None]
        visible = {one.id for one in await self._visible(principal, known)}
        return [state for state in states if state.session_id in visible]

    async def todos(self, principal: Principal, named: Named) -> Sequence[Todo]:
        """Give what the session means to do."""
        await self.reach.see(principal, named)
        return await self.reader.todos(named.id)

    async def diffs(self, principal: Principal, named: Named, message: MessageId | None) -> Sequence[FileDiff]:
        """Give what the turn of a message changed, or the last one that changed anything."""
        await self.reach.see(principal, named)
        return await self.reader.changes(named.id, message)

    async def messages(self, principal: Principal, named: Named, limit: int, before: str | None) -> SpokenPage:
        """Give a page of its history."""
        await self.reach.see(principal, named)
        return await self.reader.messages(named.id, limit, before)

    async def message(self, principal: Principal, named: Named, message: MessageId) -> Spoken:
        """Give one message."""
        await self.reach.see(principal, named)
        return await self.reader.message(named.id, message)

    async def _details(self, session: SessionId) -> SessionDetails | None:
        try:
            return await self.reader.get(session)
        except SessionNotFound:  # it was deleted meanwhile
            return None

    async def _visible(self, principal: Principal, found: Sequence[SessionDetails]) -> Sequence[SessionDetails]:
        """Keep those which may be seen; a sub-agent's session is seen by whom the one it works for is."""
        by_id = {one.id: one for one in found}
        visible = await self.reach.use.visible(principal, [*by_id])
        return [
            one
            for one in found
            if await self._may_see(principal, one, by_id, visible)
            and await self.reach.choose.check.within(principal, one.session.directory)
        ]

    async def _may_see(
        self,
        principal: Principal,
        one: SessionDetails,
        by_id: Mapping[SessionId, SessionDetails],
        visible: frozenset[SessionId],
    ) -> bool:
        seen: set[SessionId] = set()
        while one.parent_id is not None and one.parent_id in by_id and one.parent_id not in seen:
            seen.add(one.id)
            one = by_id[one.parent_id]
        if one.parent_id is None:
            return one.id in visible
        try:
            await self.reach.use.see(principal, one.id)
        except SessionNotFound:
            return False
        return True
