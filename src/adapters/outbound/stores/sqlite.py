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
from typing import Any, ClassVar, Self

import aiosqlite
from attrs import define, field, frozen
from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.domain.errors import JournalUnavailable

from . import pieces, statements
from .changes import changes
from .files import claim, existing, hold
from .pieces import Pieces, settle
from .reads import SqlReads
from .schema import CURRENT, VERSIONS, Schema, bring_up, judge
from .statements import Statement, task_row
from .storage import Batch
from .sweep import sweep

_READERS = 4
_PAGE = 1024
"""
Bytes of a page, of a file that is made now: one that was made with others keeps them.

Each transaction writes whole pages, into SQLite's log and later into the file. Of pages of 4096 bytes twice as much is
written for the same text.
"""
_LOG = 512 * 1024
"""Bytes of SQLite's log at which it is folded in: a page that many transactions wrote is then written once for all."""
_PRAGMAS = (
    "synchronous = NORMAL",
    "busy_timeout = 5000",  # somebody may look at the file with the sqlite3 program
    f"journal_size_limit = {_LOG}",
)

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"

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
    """A connection to the database; the driver runs it on a thread of its own."""

    _driver: aiosqlite.Connection

    @classmethod
    async def to(cls, path: Path) -> Self:
        link = cls(await aiosqlite.connect(path, factory=_Obliging))
        try:
            for pragma in _PRAGMAS:
                await link.command(f"PRAGMA {pragma}")
            ((page,),) = await link.ask("PRAGMA page_size")
            await link.command(f"PRAGMA wal_autocheckpoint = {_LOG // page}")
        except BaseException:
            await link.close()
            raise
        return link

    async def close(self) -> None:
        await self._driver.close()

    async def run(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        return list(await self._driver.execute_fetchall(statement.sql, statement.order(values)))

    async def command(self, sql: str) -> None:
        await self._driver.execute_fetchall(sql)

    async def ask(self, sql: str) -> list[Any]:
        return list(await self._driver.execute_fetchall(sql))

    async def write(self, batch: Batch, gathering: Pieces) -> None:
        await self._driver.executemany("", partial(_write, batch, gathering))  # see _Obliging

    async def settle(self) -> None:
        await self._driver.executemany("", settle)

    async def rollback(self) -> None:
        await self._driver.rollback()

    async def schema(self) -> Schema:
        tables = [name for (name,) in await self.ask(_TABLES)]
        rows = await self.ask(CURRENT) if VERSIONS in tables else []
        return judge(rows[0][0] if rows else None, tables)


@define(eq=False, repr=False)
class SqliteStorage(SqlReads):
    """A storage in one file."""

    _sizes: ClassVar[Statement] = pieces.SIZES
    _lines: ClassVar[Statement] = pieces.LINES

    path: Path
    _held: ExitStack
    _writing: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _pen: _Link | None = field(default=None, init=False)
    _pieces: Pieces = field(factory=Pieces, init=False)
    _readers: int = field(default=0, init=False)
    _free: asyncio.LifoQueue[_Link] = field(factory=asyncio.LifoQueue, init=False)
    """Those of the readers that nobody reads with: a connection whose maker is cancelled is lost, so all are made first."""

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
        storage = cls(path, held)
        try:
            async with storage._transaction() as pen:
                if not (await pen.schema()).ready:
                    await asyncio.to_thread(_bring_up, path)
                await pen.command("PRAGMA journal_mode = WAL")
                for _ in range(_READERS):
                    storage._free.put_nowait(await _Link.to(path))
                    storage._readers += 1
        except BaseException:
            await storage.close()
            raise
        return storage

    async def write(self, batch: Batch) -> None:
        """Write one transaction."""
        async with self._transaction() as pen:
            await pen.write(batch, self._pieces)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[_Link]:
        """Lend the connection that writes."""
        async with self._transaction() as pen:
            await pen.command("BEGIN IMMEDIATE")
            yield pen
            await pen.command("COMMIT")

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[_Link]:
        """Lend the connection that writes; pieces are put in their places before."""
        async with self.changing() as pen:
            await pen.settle()
            yield pen

    async def used(self) -> int:
        """Count the pages with something in them."""
        async with self.reading() as link:
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
        async with self._writing, AsyncExitStack() as closing:
            closing.callback(self._held.close)
            while self._readers:
                self._readers -= 1
                closing.push_async_callback((await self._free.get()).close)
            if self._pen is not None:
                closing.push_async_callback(self._pen.close)
                self._pen = None

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[_Link]:
        """Lend the connection that writes; what is not committed when something breaks is undone."""
        async with self._writing:
            with _reasons(self.path):
                if self._pen is None:
                    self._pen = await _Link.to(self.path)
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
                await pen.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[_Link]:
        """See `SqlReads.reading`."""
        if not self._readers:
            raise JournalUnavailable(f"the database {self.path} is closed")
        link = await self._free.get()
        try:
            with _reasons(self.path):
                yield link
        finally:
            self._free.put_nowait(link)


async def vacuum(path: Path) -> None:
    """
    Write the database anew, without the room of what was removed; writers wait meanwhile.

    Raises:
        JournalUnavailable: It cannot be used now.

    """
    async with _opened(path) as link:
        await link.command("VACUUM")


async def check_schema(path: Path) -> Schema:
    """
    Say which tables a database has and which this release wants; changes nothing.

    Raises:
        SchemaUnknown: They are a newer release's or another program's.
        JournalUnavailable: The database cannot be read.

    """
    if existing(path) is None:
        return Schema(None)
    async with _opened(path) as link:
        return await link.schema()


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[_Link]:
    with _reasons(path):
        link = await _Link.to(path)
        try:
            yield link
        finally:
            await link.close()


def _bring_up(path: Path) -> None:
    """Make the tables, or bring them to this release's, on a thread that may wait: of two who start at once, one does."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        hide_parameters=True,  # errors are logged, and parameters are prompts
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA page_size = {_PAGE}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        bring_up(connection)
        connection.commit()


def _write(batch: Batch, gathering: Pieces, database: sqlite3.Connection) -> None:
    """Write a transaction, on the driver's thread."""

    def run(statement: Statement, values: Mapping[str, Any]) -> sqlite3.Cursor:
        return database.execute(statement.sql, statement.order(values))

    for head in batch.begun:
        (head.key,) = run(statements.ADD_TASK, task_row(head, batch.standings[head])).fetchone()
    for statement, values in changes(batch):
        run(statement, values)
    gathered = gathering.write(batch.rows, database)
    database.commit()
    gathering.written(gathered)


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Say what SQLite says in words of ours, at this one edge."""
    try:
        yield
    except DBAPIError as error:
        raise JournalUnavailable(f"the database {path}: {error.orig}") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise JournalUnavailable(f"the database {path}: {error}") from error
