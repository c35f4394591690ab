"""A runtime's sessions without a runtime: the ports of `app.ports.sessions` over a dictionary."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, evolve, field

from opencode_a2a_server.app.ports.sessions import (
    FileDiff,
    SessionDetails,
    SessionFilter,
    SessionState,
    Spoken,
    SpokenPage,
    Todo,
)
from opencode_a2a_server.domain.errors import InvalidRequest, SessionNotFound
from opencode_a2a_server.domain.ids import MessageId, SessionId
from opencode_a2a_server.domain.session import Directory


@define(eq=False)
class FakeReader:
    """See `SessionReader`. `raises` is what every method raises instead."""

    sessions: dict[SessionId, SessionDetails] = field(factory=dict)
    spoken: dict[SessionId, list[Spoken]] = field(factory=dict)
    busy: dict[SessionId, SessionState] = field(factory=dict)
    things: dict[SessionId, list[Todo]] = field(factory=dict)
    changed: dict[SessionId, list[FileDiff]] = field(factory=dict)
    asked: list[SessionFilter] = field(factory=list)
    raises: Exception | None = None

    def add(self, *details: SessionDetails) -> None:
        """Have sessions."""
        self.sessions |= {one.id: one for one in details}

    async def list(self, wanted: SessionFilter) -> Sequence[SessionDetails]:
        """See `SessionReader.list`."""
        self._check()
        self.asked.append(wanted)
        found = [one for one in self.sessions.values() if self._fits(one, wanted)]
        return sorted(found, key=lambda one: -(one.updated or 0))[: wanted.limit]

    def _fits(self, one: SessionDetails, wanted: SessionFilter) -> bool:
        return (
            wanted.directory in (None, one.directory)
            and not (wanted.roots and one.parent_id)
            and (wanted.search or "") in one.title
            and (one.updated or 0) * 1000 >= (wanted.start or 0)
        )

    async def get(self, session: SessionId) -> SessionDetails:
        """See `SessionReader.get`."""
        self._check()
        if session not in self.sessions:
            raise SessionNotFound(f"the runtime has no session {session}")
        return self.sessions[session]

    async def children(self, session: SessionId) -> Sequence[SessionDetails]:
        """See `SessionReader.children`."""
        await self.get(session)
        return [one for one in self.sessions.values() if one.parent_id == session]

    async def states(self, directory: Directory | None) -> Sequence[SessionState]:
        """See `SessionReader.states`."""
        self._check()
        return [
            state
            for name, state in self.busy.items()
            if directory is None or self.sessions[name].directory == directory
        ]

    async def todos(self, session: SessionId) -> Sequence[Todo]:
        """See `SessionReader.todos`."""
        await self.get(session)
        return self.things.get(session, [])

    async def changes(self, session: SessionId, message: MessageId | None) -> Sequence[FileDiff]:
        """See `SessionReader.changes`."""
        await (self.get(session) if message is None else self.message(session, message))
        return self.changed.get(session, [])

    async def messages(self, session: SessionId, limit: int, before: str | None) -> SpokenPage:
        """See `SessionReader.messages`."""
        await self.get(session)
        if before is not None and not before.isdigit():
            raise InvalidRequest("before must be the next_cursor of an earlier page", "before")
        every = self.spoken.get(session, [])
        end = len(every) if before is None else int(before)
        start = max(0, end - limit)
        return SpokenPage(every[start:end], str(start) if start else None)

    async def message(self, session: SessionId, message: MessageId) -> Spoken:
        """See `SessionReader.message`."""
        await self.get(session)
        found = [one for one in self.spoken.get(session, []) if one.id == message]
        if not found:
            raise SessionNotFound(f"the runtime has no message {message} in session {session}")
        return found[0]

    def retitle(self, session: SessionId, title: str) -> SessionDetails:
        """Give a session another title."""
        self.sessions[session] = evolve(self.sessions[session], title=title)
        return self.sessions[session]

    def _check(self) -> None:
        if self.raises is not None:
            raise self.raises
