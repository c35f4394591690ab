"""
One SQLite database in WAL mode: one connection writes, a few read.

A commit survives the end of the process at any moment. A loss of power may take the last commits with it, never the
database (synchronous=NORMAL; sqlite.org/wal.html).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiosqlite
from attrs import define, field, frozen
from sqlalchemy import URL, AsyncAdaptedQueuePool, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.domain.errors import JournalUnavailable

from . import statements
from .changes import changes
from .files import claim, existing, hold
from .reads import Link, SqlReads
from .schema import Schema, bring_up, look
from .statements import Statement, task_row, update_row
from .storage import Batch
from .sweep import sweep

_READERS = 4
_PRAGMAS = (
    "synchronous = NORMAL",
    "busy_timeout = 5000",  # somebody may look at the file with the sqlite3 program
    "wal_autocheckpoint = 64",  # pages: the log is folded in at 256 KB, so that it stays small beside the text
    "journal_size_limit = 262144",
)

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

    async def ask(self, sql: str) -> list[Any]:
        return list(await self._driver.execute_fetchall(sql))

    async def write(self, batch: Batch) -> None:
        await self._driver.executemany("", partial(_write, batch))  # see _Obliging

    async def rollback(self) -> None:
        await self._driver.rollback()


@define(eq=False, repr=False)
class SqliteStorage(SqlReads):
    """A storage in one file."""

    path: Path
    _engine: AsyncEngine
    _held: ExitStack
    _writing: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _pen: _Link | None = field(default=None, init=False)

    @classmethod
    async def open(cls, path: Path, *, alone: bool = True) -> Self:
        """
        Open the database; it is made, or brought to this release's tables, if need be.

        Args:
            path: Of its file.
            alone: Whether nobody else may serve from it meanwhile.

        Raises:
            StoreUnusable: The file is not ours to use, or not of this release, or another process uses it.
            JournalUnavailable: The database cannot be used now.

        """
        claim(path)
        held = ExitStack()
        if alone:
            held.enter_context(hold(path))
        storage = cls(path, _engine(path), held)
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

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Link]:
        """Lend the connection that writes."""
        async with self._transaction() as pen:
            await pen.command("BEGIN IMMEDIATE")
            yield pen
            await pen.command("COMMIT")

    async def used(self) -> int:
        """Count the pages with something in them."""
        async with self._reading() as link:
            ((pages,),), ((free,),), ((size,),) = [
                await link.ask(f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size")
            ]
        return int((pages - free) * size)

    async def sweep(self, keeping: Keeping, now: float, *, dry: bool = False) -> Swept:
        """See `Retention.sweep`."""
        return await sweep(self, keeping, now, dry=dry)

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
            self._held.close()

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


async def vacuum(path: Path) -> None:
    """
    Write the database anew, without the room of what was removed; writers wait meanwhile.

    Raises:
        JournalUnavailable: It cannot be used now.

    """
    engine = _engine(path)
    try:
        with _reasons(path):
            async with engine.connect() as connection:
                await (await _Link.of(connection)).command("VACUUM")
    finally:
        await engine.dispose()


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

    for head in batch.begun:
        (head.key,) = run(statements.ADD_TASK, task_row(head, batch.standings[head])).fetchone()
    for statement, values in changes(batch):
        run(statement, values)
    database.executemany(statements.ADD_UPDATE.sql, map(update_row, batch.rows))
    database.commit()


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
