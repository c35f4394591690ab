"""
What a storage in SQL tables reads, whichever database has them.

SQLite's dialect is PostgreSQL's too as far as these statements go; a link runs them in its database's own way.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

from attrs import define

from opencode_a2a_server.app.ports.interrupts import Registered
from opencode_a2a_server.app.ports.tasks import Page, Place, Wanted
from opencode_a2a_server.domain.ids import ContextId, Principal, RequestId, Seq, SessionId, TaskId
from opencode_a2a_server.domain.push import Outbox
from opencode_a2a_server.domain.session import Binding, Directory, Ownership, Session
from opencode_a2a_server.domain.state import TaskState

from . import interrupt_statements, listing, push_statements, statements
from .codec import can_be_kept
from .pressing import unpressed
from .statements import Statement, place, snapshot_of
from .storage import READ_BYTES, Head, Line, Standing, Stored, fitting
from .tables import SEQ_BITS

_LAST = 2**SEQ_BITS - 1


class Link(Protocol):
    """A connection to a database."""

    async def run(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
        """Run a statement and give its rows."""
        ...


class Changing(Protocol):
    """A storage that lends connections, for what is in tables of its own."""

    def reading(self) -> AbstractAsyncContextManager[Link]:
        """Lend one for reading."""
        ...

    def changing(self) -> AbstractAsyncContextManager[Link]:
        """Lend the one that writes, in one transaction; what was run is committed at the end."""
        ...


class Asked(Protocol):
    """A database that can be asked in the driver's own words."""

    def asking(self) -> AbstractAsyncContextManager[Any]:
        """Lend a connection, in a transaction."""
        ...


@define(eq=False, repr=False, slots=False)
class SqlReads(ABC):
    """The reading half of a storage."""

    _owners: ClassVar[Statement] = statements.OWNERS
    _sizes: ClassVar[Statement] = statements.SIZES
    _lines: ClassVar[Statement] = statements.LINES

    @abstractmethod
    def reading(self) -> AbstractAsyncContextManager[Link]:
        """Lend a connection for reading; what the database complains of is raised in words of ours."""

    def _runs(self, owner: int | None) -> bool:
        """Whether a task of this owner is run by this process."""
        return owner is None

    async def load(self, task_id: TaskId) -> Stored | None:
        """Give a task by one look-up."""
        if not can_be_kept(task_id):
            return None
        async with self.reading() as link:
            rows = await link.run(statements.LOAD, {"id": task_id})
        if not rows:
            return None
        key, context_id, principal, created_at, state, status_at, seq, *snapshot, owner = rows[0]
        head = Head(task_id, ContextId(context_id), Principal(principal), created_at, key)
        return Stored(head, Standing(TaskState(state), status_at, Seq(seq), snapshot_of(*snapshot)), self._runs(owner))

    async def read(self, head: Head, after: Seq, upto: Seq | None = None) -> Sequence[Line]:
        """Give rows; their sizes are looked at first, since one may be as large as thousands, and again unpressed."""
        start = place(head, 0)
        wanted = {
            "after": start + after,
            "upto": start + (upto or _LAST),
            "of": head.task_id,
            "known_as": head.key,
        }
        async with self.reading() as link:
            sizes = await link.run(self._sizes, wanted)
            if not sizes:
                return ()
            wanted["upto"], _ = sizes[fitting(size for _, size in sizes) - 1]
            rows = await link.run(self._lines, wanted)
        lines: list[Line] = []
        room = READ_BYTES
        for where, at, kept in rows:
            body = unpressed(kept)
            room -= len(body)
            if room < 0 and lines:
                break
            lines.append((Seq(where - start), at, body))
        return lines

    async def unfinished(self) -> Sequence[TaskId]:
        """Name them, by an index which has no others."""
        async with self.reading() as link:
            return [TaskId(name) for (name,) in await link.run(statements.UNFINISHED, {})]

    async def page(self, principal: Principal, wanted: Wanted, size: int, after: Place) -> Page:
        """List tasks by an index that is in their order, and count them where they are counted already."""
        if not can_be_kept(wanted.context_id or ""):
            return Page.of([], size, 0)
        values = listing.values(principal, wanted, size, after)
        async with self.reading() as link:
            rows = await link.run(listing.page(wanted), values)
            ((total,),) = await link.run(listing.total(wanted), values)
        return Page.of([Place(at, TaskId(name)) for at, name in rows], size, int(total))

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """Give a binding."""
        if not can_be_kept(context_id):
            return None
        async with self.reading() as link:
            rows = await link.run(statements.FIND, {"principal": principal, "context_id": context_id})
        if not rows:
            return None
        session_id, directory = rows[0]
        return Binding(principal, context_id, Session(SessionId(session_id), Directory(directory)))

    async def page_of_owners(self, after: SessionId, most: int) -> Sequence[Ownership]:
        """List ownerships."""
        async with self.reading() as link:
            rows = await link.run(statements.PAGE_OF_OWNERS, {"after": after, "most": most})
        return [statements.owner_of(row) for row in rows]

    async def owners(self, sessions: Sequence[SessionId]) -> Sequence[Ownership]:
        """Give whom they belong to, by one look-up."""
        async with self.reading() as link:
            rows = await link.run(self._owners, {"sessions": json.dumps(sessions)})
        return [statements.owner_of(row) for row in rows]

    async def find_interrupt(self, principal: Principal, request: RequestId) -> Registered | None:
        """Look one up, by the primary key."""
        if not can_be_kept(request):
            return None
        async with self.reading() as link:
            rows = await link.run(interrupt_statements.FIND, {"whose": principal, "which": request})
        return Registered(TaskId(rows[0][0]), rows[0][1]) if rows else None

    async def waiting(self, principal: Principal) -> Sequence[TaskId]:
        """Name their tasks, by an index which has no others."""
        async with self.reading() as link:
            return [TaskId(name) for (name,) in await link.run(interrupt_statements.WAITING, {"whose": principal})]

    async def push_configs(self, task_id: TaskId) -> Sequence[Outbox]:
        """Give those of a task."""
        if not can_be_kept(task_id):
            return ()
        async with self.reading() as link:
            return [push_statements.outbox_of(row) for row in await link.run(push_statements.OF_TASK, {"of": task_id})]

    async def outboxes(self, *, stopped: bool) -> Sequence[Outbox]:
        """Give those which have stopped, or have not."""
        wanted = push_statements.STOPPED if stopped else push_statements.LIVE
        async with self.reading() as link:
            return [push_statements.outbox_of(row) for row in await link.run(wanted, {"nothing": ""})]
