"""What sessions do without a task, in a table of the same database, or in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, field, frozen
from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import sqlite

from opencode_a2a_server.app.ports.works import Working
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Directory, Session

from .codec import check_text
from .reads import Changing
from .statements import Statement
from .tables import SESSION_WORK

_COLUMNS = ("session_id", "principal", "directory", "begun_at", "since")
_BEGUN = sqlite.insert(SESSION_WORK)
_BEGIN = Statement.of(
    _BEGUN.on_conflict_do_update(
        index_elements=_COLUMNS[:1], set_={name: _BEGUN.excluded[name] for name in _COLUMNS[1:]}
    ),
    *_COLUMNS,
)
_END = Statement.of(delete(SESSION_WORK).where(SESSION_WORK.c.session_id == bindparam("of")))
_EVERY = select(SESSION_WORK).order_by(SESSION_WORK.c.begun_at, SESSION_WORK.c.session_id)
_ALL = Statement.of(_EVERY)
_OF = Statement.of(_EVERY.where(SESSION_WORK.c.principal == bindparam("of")))


@frozen
class StoredWorks:
    """The port `Works`, in a table."""

    _storage: Changing

    async def begin(self, working: Working) -> None:
        """See `Works.begin`."""
        session, directory = working.session.id, working.session.directory
        check_text(session, directory, working.principal)
        values = (session, working.principal, directory, float(working.begun_at), float(working.since))
        async with self._storage.changing() as link:
            await link.run(_BEGIN, dict(zip(_COLUMNS, values, strict=True)))

    async def end(self, session: SessionId) -> None:
        """See `Works.end`."""
        async with self._storage.changing() as link:
            await link.run(_END, {"of": session})

    async def of(self, principal: Principal) -> Sequence[Working]:
        """See `Works.of`."""
        async with self._storage.reading() as link:
            return _read(await link.run(_OF, {"of": principal}))

    async def every(self) -> Sequence[Working]:
        """See `Works.every`."""
        async with self._storage.reading() as link:
            return _read(await link.run(_ALL, {}))


@define(eq=False)
class MemoryWorks:
    """The port `Works`, forgotten at the end."""

    _kept: dict[SessionId, Working] = field(factory=dict, init=False)

    async def begin(self, working: Working) -> None:
        """See `Works.begin`."""
        self._kept[working.session.id] = working

    async def end(self, session: SessionId) -> None:
        """See `Works.end`."""
        self._kept.pop(session, None)

    async def of(self, principal: Principal) -> Sequence[Working]:
        """See `Works.of`."""
        return [working for working in await self.every() if working.principal == principal]

    async def every(self) -> Sequence[Working]:
        """See `Works.every`."""
        return sorted(self._kept.values(), key=lambda working: (working.begun_at, working.session.id))


def _read(rows: Iterable[Any]) -> Sequence[Working]:
    return [
        Working(Session(SessionId(session), Directory(directory)), Principal(principal), begun_at, since)
        for session, principal, directory, begun_at, since in rows
    ]
