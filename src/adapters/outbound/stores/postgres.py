"""
A PostgreSQL database, which any number of processes and hosts may share.

A commit survives what the server's settings say it survives; with its own defaults, the loss of its power.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, ClassVar, Self

import asyncpg
from attrs import define, field, frozen
from sqlalchemy import URL, NullPool
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.domain.errors import JournalUnavailable

from . import statements
from .changes import changes
from .reads import SqlReads
from .schema import Schema, bring_up, look
from .statements import Statement, task_row, update_row
from .storage import Batch
from .sweep import sweep
from .tables import METADATA

_log = logging.getLogger(__name__)

_READERS = 4
_CALL_SECONDS = 10.0
"""For one statement, before the connection is taken for dead."""
_CONNECT_SECONDS = 5.0
_MIGRATING = 0x0A2A
"""The advisory lock under which tables are brought up: of two who start at once, one waits."""
_SHARDS = 64

_ADD_UPDATES = (
    "INSERT INTO updates (place, at, body) SELECT * FROM unnest($1::bigint[], $2::float8[], $3::bytea[]) "
    "ON CONFLICT (place) DO NOTHING"
)

_USED = "SELECT " + " + ".join(f"pg_total_relation_size('{table}')" for table in METADATA.tables)


@frozen
class _Link:
    """A connection of the driver's own: what SQLAlchemy would do around each statement costs more than the statement."""

    connection: Any

    async def run(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
        rows: Sequence[Any] = await self.connection.fetch(statement.numbered, *statement.order(values))
        return rows


@define(eq=False, repr=False, slots=False)
class PostgresStorage(SqlReads):
    """A storage in a database; one connection writes, a few read."""

    _owners: ClassVar[Statement] = statements.OWNERS_ON_POSTGRES

    url: URL
    _pool: Any
    _shard: int = 0
    _writing: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _pen: Any = field(default=None, init=False)

    @classmethod
    async def open(cls, url: URL, *, shard: int = 0) -> Self:
        """
        Open the database; its tables are made, or brought to this release's, if need be.

        Args:
            url: As SQLAlchemy writes it.
            shard: Which of the counts this process keeps; others may keep the same ones, and then wait for each other.

        Raises:
            StoreUnusable: The database is not of this release.
            JournalUnavailable: It cannot be used now.

        """
        with _reasons(url):
            await _migrate(url)
            pool = await asyncpg.create_pool(
                **_address(url), min_size=1, max_size=_READERS, command_timeout=_CALL_SECONDS, timeout=_CONNECT_SECONDS
            )
        return cls(url, pool, shard % _SHARDS)

    async def write(self, batch: Batch) -> None:
        """Write one transaction."""
        async with self._transaction() as pen:
            for head in batch.begun:
                task = statements.ADD_TASK.order(task_row(head, batch.standings[head]))
                head.key = await pen.fetchval(statements.ADD_TASK.numbered, *task)
            for statement, values in changes(batch):
                await pen.execute(statement.numbered, *statement.order(values))
            if batch.rows:
                places, moments, bodies = zip(*map(update_row, batch.rows), strict=True)
                await pen.execute(_ADD_UPDATES, places, moments, bodies)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[_Link]:
        """Lend the connection that writes, in a transaction."""
        async with self._transaction() as pen:
            yield _Link(pen)

    async def used(self) -> int:
        """Ask for the size of our tables and indexes; what was freed in them counts until PostgreSQL has reused it."""
        async with self._reading() as link:
            return int(await link.connection.fetchval(_USED))

    async def sweep(self, keeping: Keeping, now: float, *, dry: bool = False) -> Swept:
        """See `Retention.sweep`."""
        return await sweep(self, keeping, now, dry=dry)

    async def probe(self) -> None:
        """Begin a transaction that may write, and undo it."""
        async with self._transaction() as pen:
            if await pen.fetchval("SHOW transaction_read_only") == "on":
                raise JournalUnavailable(f"the database {_named(self.url)} takes no writes")

    async def close(self) -> None:
        """Close all connections."""
        async with self._writing:
            if self._pen is not None:
                with suppress(Exception):
                    await self._pen.close(timeout=_CONNECT_SECONDS)
                self._pen = None
            try:
                await asyncio.wait_for(self._pool.close(), _CONNECT_SECONDS)
            except Exception:  # noqa: BLE001 - whatever it is, the connections go
                self._pool.terminate()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        """Lend the connection that writes, in a transaction; one on which something broke is of no more use."""
        async with self._writing:
            with _reasons(self.url):
                pen = await self._connected()
                try:
                    async with pen.transaction():
                        yield pen
                except BaseException:
                    if pen.is_closed() or pen.is_in_transaction():
                        self._pen = None
                        pen.terminate()
                    raise

    async def _connected(self) -> Any:
        if self._pen is None or self._pen.is_closed():
            self._pen = await asyncpg.connect(
                **_address(self.url),
                timeout=_CONNECT_SECONDS,
                command_timeout=_CALL_SECONDS,
                server_settings={"a2a.shard": str(self._shard), "application_name": "opencode-a2a-server"},
            )
        return self._pen

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[_Link]:
        with _reasons(self.url):
            async with self._pool.acquire(timeout=_CALL_SECONDS) as connection:
                yield _Link(connection)


@asynccontextmanager
async def connected(url: URL) -> AsyncIterator[Any]:
    """
    Connect for as long as the body runs, without a bound on what one statement may take.

    Raises:
        JournalUnavailable: The database cannot be used.

    """
    with _reasons(url):
        connection = await asyncpg.connect(**_address(url), timeout=_CONNECT_SECONDS)
        try:
            yield connection
        finally:
            await connection.close()


async def check_postgres(url: URL) -> Schema:
    """
    Say which tables a database has and which this release wants; changes nothing.

    Raises:
        SchemaUnknown: They are a newer release's or another program's.
        JournalUnavailable: The database cannot be read.

    """
    engine = create_async_engine(url.set(drivername="postgresql+asyncpg"), poolclass=NullPool, hide_parameters=True)
    try:
        with _reasons(url):
            async with engine.connect() as connection:
                return await connection.run_sync(look)
    finally:
        await engine.dispose()


async def _migrate(url: URL) -> None:
    engine = create_async_engine(url.set(drivername="postgresql+asyncpg"), poolclass=NullPool, hide_parameters=True)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
            await connection.run_sync(bring_up)
    finally:
        await engine.dispose()


def _address(url: URL) -> dict[str, Any]:
    """Say the same to the driver; what the URL leaves out is for the driver's own environment variables."""
    named = {
        "host": url.query.get("host", url.host),
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "database": url.database,
        "ssl": url.query.get("ssl"),
    }
    return {name: value for name, value in named.items() if value is not None}


def _named(url: URL) -> str:
    """Name a database without its password."""
    return url.render_as_string(hide_password=True)


@contextmanager
def _reasons(url: URL) -> Iterator[None]:
    """Say what PostgreSQL says in words of ours, at this one edge."""
    try:
        yield
    except DBAPIError as error:
        raise JournalUnavailable(f"the database {_named(url)}: {error.orig}") from error
    except TimeoutError as error:
        raise JournalUnavailable(f"the database {_named(url)} does not answer in time") from error
    except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise JournalUnavailable(f"the database {_named(url)}: {str(error) or type(error).__name__}") from error
