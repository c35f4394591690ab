"""
One SQLite database in WAL mode: one connection writes, a few read.

A commit survives the end of the process at any moment. A loss of power may take the last commits with it, never the
database (synchronous=NORMAL; sqlite.org/wal.html).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiosqlite
from attrs import define, field, frozen
from sqlalchemy import URL, AsyncAdaptedQueuePool, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import ContextId, Principal, Seq, SessionId, TaskId
from opencode_a2a_server.domain.push import Outbox
from opencode_a2a_server.domain.session import Binding, Directory, Session
from opencode_a2a_server.domain.state import TaskState

from . import push_statements, statements
from .files import claim, existing
from .schema import Schema, bring_up, look
from .statements import Statement, binding_row, snapshot_row, standing_row, task_row
from .storage import Batch, Head, Line, Snapshot, Standing, Stored, fitting

_READERS = 4
_PRAGMAS = (
    "synchronous = NORMAL",
    "busy_timeout = 5000",  # somebody may look at the file with the sqlite3 program
    "wal_autocheckpoint = 256",  # pages: the log is folded in at 1 MB, so that it stays small beside the text
    "journal_size_limit = 1048576",
)
_FOR_EVER = 2**62

# At DEBUG it logs each statement with its parameters: prompts, and the agent's output.
logging.getLogger("aiosqlite").setLevel(logging.INFO)


class _Committing(sqlite3.Connection):
    """
    A connection which commits what it writes by `executemany`.

    The driver runs each call on a thread of its own, and the way there and back costs more than SQLite's work: this
    makes a transaction of text one call.
    """

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        cursor = super().executemany(sql, parameters)
        self.commit()
        return cursor


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

    async def commit(self, rows: Sequence[tuple[int, int, float, bytes]]) -> None:
        """Add updates to the transaction and end it."""
        await self._driver.executemany(statements.ADD_UPDATE.sql, rows)

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
        except BaseException:
            await storage.close()
            raise
        return storage

    async def write(self, batch: Batch) -> None:
        """Write one transaction."""
        async with self._transaction() as pen:
            await _write_tasks(pen, batch)
            for binding, at in batch.bindings.values():
                await pen.run(statements.BIND, binding_row(binding, at))
            await _write_push(pen, batch)
            await pen.commit([(head.key, seq, at, body) for head, seq, at, body in batch.rows])

    async def load(self, task_id: TaskId) -> Stored | None:
        """Give a task by one look-up."""
        async with self._reading() as link:
            rows = await link.run(statements.LOAD, {"id": task_id})
        if not rows:
            return None
        key, context_id, principal, created_at, state, status_at, seq, snapshot_seq, body = rows[0]
        head = Head(task_id, ContextId(context_id), Principal(principal), created_at, key)
        snapshot = None if body is None else Snapshot(Seq(snapshot_seq), body)
        return Stored(head, Standing(TaskState(state), status_at, Seq(seq), snapshot))

    async def read(self, head: Head, after: Seq, upto: Seq | None = None) -> Sequence[Line]:
        """Give rows; their sizes are looked at first, since one may be as large as thousands."""
        wanted = {"task": head.key, "after": after, "upto": upto or _FOR_EVER}
        async with self._reading() as link:
            sizes = await link.run(statements.SIZES, wanted)
            wanted["upto"] = after + fitting(size for (size,) in sizes)
            return await link.run(statements.LINES, wanted)

    async def unfinished(self) -> Sequence[TaskId]:
        """Name them, by an index which has no others."""
        async with self._reading() as link:
            return [TaskId(name) for (name,) in await link.run(statements.UNFINISHED, {})]

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """Give a binding."""
        async with self._reading() as link:
            rows = await link.run(statements.FIND, {"principal": principal, "context_id": context_id})
        if not rows:
            return None
        session_id, directory = rows[0]
        return Binding(principal, context_id, Session(SessionId(session_id), Directory(directory)))

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


async def _write_tasks(pen: _Link, batch: Batch) -> None:
    begun = set(batch.begun)
    for head in batch.begun:
        ((head.key,),) = await pen.run(statements.ADD_TASK, task_row(head, batch.standings[head]))
    for head, standing in batch.standings.items():
        if head not in begun:
            await pen.run(statements.STAND, standing_row(head, standing))
        if standing.snapshot is not None:
            await pen.run(statements.KEEP_SNAPSHOT, snapshot_row(head, standing.snapshot))


async def _write_push(pen: _Link, batch: Batch) -> None:
    for key, outbox in batch.push.items():
        if outbox is None:
            await pen.run(push_statements.DELETE, push_statements.this(*key))
        else:
            await pen.run(push_statements.SAVE, push_statements.save_row(outbox))
    for mark in batch.marks.values():
        await pen.run(push_statements.MARK, push_statements.mark_row(mark))


def _engine(path: Path | None) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=None if path is None else str(path)),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=_READERS + 1,
        max_overflow=0,
        pool_reset_on_return=None,  # who only reads leaves nothing behind
        connect_args={"factory": _Committing},
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
