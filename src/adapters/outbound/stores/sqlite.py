"""
One SQLite database in WAL mode: one connection writes, a few read.

A commit survives the end of the process at any moment. A loss of power may take the last commits with it, never the
database (synchronous=NORMAL; sqlite.org/wal.html).
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiosqlite
from attrs import define, field, frozen
from sqlalchemy import URL, AsyncAdaptedQueuePool, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from opencode_a2a_server.app.ports.tasks import Page, Place, Wanted
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import ContextId, Principal, Seq, SessionId, TaskId
from opencode_a2a_server.domain.push import Outbox
from opencode_a2a_server.domain.session import Binding, Directory, Ownership, Session
from opencode_a2a_server.domain.state import TaskState

from . import listing, push_statements, statements
from .files import claim, existing
from .schema import Schema, bring_up, look
from .statements import (
    Statement,
    binding_row,
    owner_row,
    place,
    snapshot_of,
    snapshot_row,
    standing_row,
    task_row,
    update_row,
)
from .storage import Batch, Head, Line, Standing, Stored, fitting
from .tables import SEQ_BITS

_READERS = 4
_PRAGMAS = (
    "synchronous = NORMAL",
    "busy_timeout = 5000",  # somebody may look at the file with the sqlite3 program
    "wal_autocheckpoint = 64",  # pages: the log is folded in at 256 KB, so that it stays small beside the text
    "journal_size_limit = 262144",
)
_LAST = 2**SEQ_BITS - 1

# At DEBUG it logs each statement with its parameters: prompts, and the agent's output.
logging.getLogger("aiosqlite").setLevel(logging.INFO)


class _Obliging(sqlite3.Connection):
    """
    A connection whose `executemany` runs what it is given, if that can be called.

    The driver runs each call on a thread of its own, and the way there and back costs more than SQLite's work: this
    makes a transaction one call.
    """

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        if callable(parameters):
            parameters(self)
            return self.cursor()
        return super().executemany(sql, parameters)


@frozen
class _Link:
    """A connection to the database: SQLAlchemy's, and the driver's own which runs the statements."""

    connection: AsyncConnection
    _driver: aiosqlite.Connection

    @classmethod
    async def of(cls, connection: AsyncConnection) -> Self:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, aiosqlite.Connection)  # noqa: S101 - the engine's URL names it
        return cls(connection, driver)

    async def run(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        return list(await self._driver.execute_fetchall(statement.sql, statement.order(values)))

    async def command(self, sql: str) -> None:
        await self._driver.execute_fetchall(sql)

    async def write(self, batch: Batch) -> None:
        await self._driver.executemany("", partial(_write, batch))  # see _Obliging

    async def rollback(self) -> None:
        await self._driver.rollback()


@define(eq=False, repr=False)
class SqliteStorage:
    """A storage in one file."""

    path: Path
    _engine: AsyncEngine
    _writing: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _pen: _Link | None = field(default=None, init=False)

    @classmethod
    async def open(cls, path: Path) -> Self:
        """
        Open the database; it is made, or brought to this release's tables, if need be.

        Raises:
            StoreUnusable: The file is not ours to use, or not of this release.
            JournalUnavailable: The database cannot be used now.

        """
        claim(path)
        storage = cls(path, _engine(path))
        try:
            async with storage._transaction() as pen:
                await pen.connection.exec_driver_sql("BEGIN IMMEDIATE")  # of two who start at once, one waits
                await pen.connection.run_sync(bring_up)
                await pen.connection.commit()
                await pen.command("PRAGMA journal_mode = WAL")
                await storage._connect_readers()
        except BaseException:
            await storage.close()
            raise
        return storage

    async def _connect_readers(self) -> None:
        """Fill the pool now: the driver leaks a connection whose maker is cancelled, and readers come and go."""
        async with AsyncExitStack() as opened:
            for _ in range(_READERS):
                _ = await opened.enter_async_context(self._engine.connect())

    async def write(self, batch: Batch) -> None:
        """Write one transaction."""
        async with self._transaction() as pen:
            await pen.write(batch)

    async def load(self, task_id: TaskId) -> Stored | None:
        """Give a task by one look-up."""
        async with self._reading() as link:
            rows = await link.run(statements.LOAD, {"id": task_id})
        if not rows:
            return None
        key, context_id, principal, created_at, state, status_at, seq, *snapshot = rows[0]
        head = Head(task_id, ContextId(context_id), Principal(principal), created_at, key)
        return Stored(head, Standing(TaskState(state), status_at, Seq(seq), snapshot_of(*snapshot)))

    async def read(self, head: Head, after: Seq, upto: Seq | None = None) -> Sequence[Line]:
        """Give rows; their sizes are looked at first, since one may be as large as thousands."""
        start = place(head, 0)
        wanted = {"after": start + after, "upto": start + (upto or _LAST)}
        async with self._reading() as link:
            sizes = await link.run(statements.SIZES, wanted)
            if not sizes:
                return ()
            wanted["upto"], _ = sizes[fitting(size for _, size in sizes) - 1]
            lines = await link.run(statements.LINES, wanted)
        return [(Seq(where - start), at, body) for where, at, body in lines]

    async def unfinished(self) -> Sequence[TaskId]:
        """Name them, by an index which has no others."""
        async with self._reading() as link:
            return [TaskId(name) for (name,) in await link.run(statements.UNFINISHED, {})]

    async def page(self, principal: Principal, wanted: Wanted, size: int, after: Place) -> Page:
        """List tasks by an index that is in their order, and count them where they are counted already."""
        values = listing.values(principal, wanted, size, after)
        async with self._reading() as link:
            rows = await link.run(listing.page(wanted), values)
            ((total,),) = await link.run(listing.total(wanted), values)
        return Page.of([Place(at, TaskId(name)) for at, name in rows], size, total)

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """Give a binding."""
        async with self._reading() as link:
            rows = await link.run(statements.FIND, {"principal": principal, "context_id": context_id})
        if not rows:
            return None
        session_id, directory = rows[0]
        return Binding(principal, context_id, Session(SessionId(session_id), Directory(directory)))

    async def owners(self, sessions: Sequence[SessionId]) -> Sequence[Ownership]:
        """Give whom they belong to, by one look-up."""
        async with self._reading() as link:
            rows = await link.run(statements.OWNERS, {"sessions": json.dumps(sessions)})
        return [Ownership(SessionId(name), Principal(principal), until) for name, principal, until in rows]

    async def push_configs(self, task_id: TaskId) -> Sequence[Outbox]:
        """Give those of a task."""
        async with self._reading() as link:
            return [push_statements.outbox_of(row) for row in await link.run(push_statements.OF_TASK, {"of": task_id})]

    async def outboxes(self, *, stopped: bool) -> Sequence[Outbox]:
        """Give those which have stopped, or have not."""
        wanted = push_statements.STOPPED if stopped else push_statements.LIVE
        async with self._reading() as link:
            return [push_statements.outbox_of(row) for row in await link.run(wanted, {"nothing": ""})]

    async def probe(self) -> None:
        """Take the lock for writing, and leave it."""
        async with self._transaction() as pen:
            await pen.command("BEGIN IMMEDIATE")
            await pen.rollback()

    async def close(self) -> None:
        """Close all connections; the last one folds SQLite's log into the database."""
        async with self._writing:
            if self._pen is not None:
                await self._pen.connection.close()
                self._pen = None
            await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[_Link]:
        """Lend the connection that writes; what is not committed when something breaks is undone."""
        async with self._writing:
            with _reasons(self.path):
                if self._pen is None:
                    self._pen = await _Link.of(await self._engine.connect())
                try:
                    yield self._pen
                except BaseException:
                    await self._undo(self._pen)
                    raise

    async def _undo(self, pen: _Link) -> None:
        try:
            await pen.rollback()
        except Exception:  # noqa: BLE001 - whatever it is, this connection is of no more use
            self._pen = None
            with suppress(Exception):
                await pen.connection.invalidate()
                await pen.connection.close()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[_Link]:
        with _reasons(self.path):
            async with self._engine.connect() as connection:
                yield await _Link.of(connection)


async def check_schema(path: Path) -> Schema:
    """
    Say which tables a database has and which this release wants; changes nothing.

    Raises:
        SchemaUnknown: They are a newer release's or another program's.
        JournalUnavailable: The database cannot be read.

    """
    engine = _engine(existing(path))
    try:
        with _reasons(path):
            async with engine.connect() as connection:
                return await connection.run_sync(look)
    finally:
        await engine.dispose()


def _write(batch: Batch, database: sqlite3.Connection) -> None:
    """Write a transaction, on the driver's thread."""

    def run(statement: Statement, values: Mapping[str, Any]) -> sqlite3.Cursor:
        return database.execute(statement.sql, statement.order(values))

    begun = set(batch.begun)
    for head in batch.begun:
        (head.key,) = run(statements.ADD_TASK, task_row(head, batch.standings[head])).fetchone()
    for head, standing in batch.standings.items():
        if head not in begun:
            run(statements.STAND, standing_row(head, standing))
        if standing.snapshot is not None:
            run(statements.KEEP_SNAPSHOT, snapshot_row(head, standing.snapshot))
    for binding, at in batch.bindings.values():
        run(statements.BIND, binding_row(binding, at))
    for session_id, ownership in batch.owners.items():
        if ownership is None:
            run(statements.DISOWN, {"of": session_id})
        else:
            run(statements.OWN, owner_row(ownership))
    _write_push(batch, run)
    database.executemany(statements.ADD_UPDATE.sql, map(update_row, batch.rows))
    database.commit()


def _write_push(batch: Batch, run: Callable[[Statement, Mapping[str, Any]], sqlite3.Cursor]) -> None:
    for key, outbox in batch.push.items():
        if outbox is None:
            run(push_statements.DELETE, push_statements.this(*key))
        else:
            run(push_statements.SAVE, push_statements.save_row(outbox))
    for mark in batch.marks.values():
        run(push_statements.MARK, push_statements.mark_row(mark))


def _engine(path: Path | None) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=None if path is None else str(path)),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=_READERS + 1,
        max_overflow=0,
        pool_reset_on_return=None,  # who only reads leaves nothing behind
        connect_args={"factory": _Obliging},
        hide_parameters=True,  # errors are logged, and parameters are prompts
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Say what SQLite says in words of ours, at this one edge."""
    try:
        yield
    except DBAPIError as error:
        raise JournalUnavailable(f"the database {path}: {error.orig}") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise JournalUnavailable(f"the database {path}: {error}") from error
