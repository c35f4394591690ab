"""
A PostgreSQL database, which any number of processes and hosts may share.

A commit survives what the server's settings say it survives; with its own defaults, the loss of its power.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, ClassVar, Self

import asyncpg
from attrs import define, field, frozen
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import Seq, TaskId
from opencode_a2a_server.domain.push import Outbox

from . import statements
from .changes import changes
from .errors import Fenced
from .reads import SqlReads
from .replica import CHANNEL, RELEASED, SETTLED, TELL, UPDATES, Replica
from .schema import CURRENT, VERSIONS, Schema, bring_up, judge
from .statements import Statement, task_row, update_row
from .storage import Batch, Row
from .sweep import sweep
from .tables import METADATA, NOT_ENDED, SEQ_BITS

_log = logging.getLogger(__name__)

_READERS = 4
_CALL_SECONDS = 10.0
"""For one statement, before the connection is taken for dead."""
_CONNECT_SECONDS = 5.0
_MIGRATING = 0x0A2A
"""The advisory lock under which tables are brought up: of two who start at once, one waits."""
_SHARDS = 64
_INHERITING = 0x0A2B
"""The advisory lock under which tasks are taken over: each by one."""
_SWEEPING = 0x0A2C
_IDLE_MILLISECONDS = 4000
"""A transaction whose process has stopped in its midst ends, before others wait for it in vain."""
_MUCH = 64 * 1024
"""Bytes that are not pressed between two steps of the event loop: it takes two milliseconds."""
_TOLD_MOST = 7900
"""Bytes of a notification; PostgreSQL takes less than 8000."""

_ADD_UPDATES = (
    "INSERT INTO updates (place, at, body) SELECT * FROM unnest($1::bigint[], $2::float8[], $3::bytea[]) "
    "ON CONFLICT (place) DO NOTHING"
)

_ADD_UPDATES_FENCED = f"""
WITH fence AS MATERIALIZED (SELECT id FROM replicas WHERE id = $1 FOR KEY SHARE), added AS (
  INSERT INTO updates (place, at, body)
  SELECT place, at, body FROM unnest($2::bigint[], $3::float8[], $4::bytea[]) AS row (place, at, body)
  WHERE EXISTS (SELECT FROM fence) ON CONFLICT (place) DO NOTHING
)
SELECT (SELECT count(*) FROM fence), (SELECT count(pg_notify('{CHANNEL}', word)) FROM unnest($5::text[]) AS word)
"""  # noqa: S608 - no value is in it
"""The same for updates alone; that no row was added says that none was new, or that the fence is down."""
_FENCE = "SELECT 1 FROM replicas WHERE id = $1 FOR KEY SHARE"
_INHERIT = (
    "UPDATE tasks SET owner = $1 WHERE id IN ("  # noqa: S608 - no value is in it
    f"SELECT id FROM tasks WHERE {NOT_ENDED} "
    "UNION SELECT task_id FROM errands WHERE outcome IS NULL "
    "UNION SELECT task_id FROM push_configs WHERE stopped = '') "
    "AND NOT EXISTS (SELECT FROM replicas WHERE replicas.id = tasks.owner) RETURNING created_at, key, id"
)
_LAST = (
    f"SELECT key, (SELECT place FROM updates WHERE place > key << {SEQ_BITS} AND place < (key + 1) << {SEQ_BITS} "  # noqa: S608
    "ORDER BY place DESC LIMIT 1) FROM unnest($1::bigint[]) AS key"
)
_PUSHED_ELSEWHERE = (
    "SELECT task_id FROM push_configs JOIN tasks ON tasks.id = push_configs.task_id "
    "WHERE stopped = '' AND tasks.owner IS DISTINCT FROM $1"
)
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_RELEASE = "DELETE FROM holds WHERE ticket = ANY($1::bigint[]) RETURNING name"
_SETTLE = "UPDATE errands SET outcome = $2 WHERE id = $1 AND outcome IS NULL"

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
    """A storage in a database; one connection writes, a few read, one is this replica's own."""

    _owners: ClassVar[Statement] = statements.OWNERS_ON_POSTGRES

    url: URL
    replica: Replica
    _pool: Any
    _writing: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _pen: Any = field(default=None, init=False)
    _living: asyncio.Task[None] = field(init=False)

    @classmethod
    async def open(cls, url: URL, clock: Clock) -> Self:
        """
        Open the database; its tables are made, or brought to this release's, if need be.

        Raises:
            StoreUnusable: The database is not of this release.
            JournalUnavailable: It cannot be used now.

        """
        with _reasons(url):
            await migrate(url)
            pool = await asyncpg.create_pool(
                **_address(url),
                min_size=1,
                max_size=_READERS,
                reset=_as_it_is,
                command_timeout=_CALL_SECONDS,
                timeout=_CONNECT_SECONDS,
            )
        name = f"{socket.gethostname()}:{os.getpid()}"
        storage = cls(url, Replica(name, partial(_connect, url), partial(_reasons, url), clock), pool)
        try:
            await storage.replica.join()
        except BaseException:
            pool.terminate()
            raise
        storage._living = asyncio.get_running_loop().create_task(storage.replica.run(), name="replica")
        return storage

    async def write(self, batch: Batch) -> None:
        """
        Write one transaction.

        Raises:
            Fenced: This process was taken for dead.

        """
        token = self.replica.held()  # now: what is to be written is this life's
        if batch.rows and batch.only_rows:
            await self._add_rows(token, batch.rows)
            return
        async with self._transaction(token) as pen:
            for head in batch.begun:
                task = statements.ADD_TASK.order(task_row(head, batch.standings[head], token))
                head.key = await pen.fetchval(statements.ADD_TASK.numbered, *task)
            for statement, values in await _laid_out(_snapshots(batch), lambda: list(changes(batch))):
                await pen.execute(statement.numbered, *statement.order(values))
            if batch.rows:
                await pen.execute(_ADD_UPDATES, *await _columns(batch.rows))
            for errand, outcome in batch.outcomes.items():
                await pen.execute(_SETTLE, errand, outcome)
                await pen.execute(TELL, f"{SETTLED}:{errand}")
            if batch.released:
                for (name,) in await pen.fetch(_RELEASE, batch.released):
                    await pen.execute(TELL, f"{RELEASED}:{name}")
            if batch.rows and self.replica.others:
                for told in _told({head.key for head, *_ in batch.rows}):
                    await pen.execute(TELL, told)

    async def _add_rows(self, token: int, rows: Sequence[Row]) -> None:
        """Write updates, behind the fence as all else, in one question: five would take most of the time."""
        columns = await _columns(rows)
        told = list(_told({head.key for head, *_ in rows})) if self.replica.others else []
        async with self._lent() as pen:
            passed, _ = await pen.fetchrow(_ADD_UPDATES_FENCED, token, *columns, told)
        if not passed:
            raise self._taken_for_dead(token)

    async def inherit(self) -> Sequence[TaskId]:
        """Take over the tasks whose replica is gone and which are not done with, oldest first."""
        token = self.replica.held()
        async with self._transaction(token) as pen:
            await pen.execute("SELECT pg_advisory_xact_lock($1)", _INHERITING)
            taken = sorted(await pen.fetch(_INHERIT, token))
        return [TaskId(task_id) for _, _, task_id in taken]

    async def outboxes(self, *, stopped: bool) -> Sequence[Outbox]:
        """Give all which have stopped; of those which have not, none of tasks that other replicas run."""
        found = await super().outboxes(stopped=stopped)
        if stopped or not found:
            return found
        async with self.reading() as link:
            rows = await link.connection.fetch(_PUSHED_ELSEWHERE, self.replica.id)
        elsewhere = {task_id for (task_id,) in rows}
        return [outbox for outbox in found if outbox.config.task_id not in elsewhere]

    async def last(self, keys: Collection[int]) -> Mapping[int, Seq]:
        """Give the last update of tasks, by their keys."""
        async with self.reading() as link:
            rows = await link.connection.fetch(_LAST, keys)
        return {key: Seq(where - (key << SEQ_BITS)) for key, where in rows if where is not None}

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[_Link]:
        """Lend the connection that writes, in a transaction."""
        async with self._transaction(self.replica.held()) as pen:
            yield _Link(pen)

    def sweeping(self) -> AbstractAsyncContextManager[_Link]:
        """Lend the connection that writes."""
        return self.changing()

    async def used(self) -> int:
        """Ask for the size of our tables and indexes; what was freed in them counts until PostgreSQL has reused it."""
        async with self.reading() as link:
            return int(await link.connection.fetchval(_USED))

    @asynccontextmanager
    async def fenced(self) -> AsyncIterator[Any]:
        """Lend a connection of the driver's own, in a transaction of a replica that is not taken for dead."""
        async with self._transaction(self.replica.held()) as pen:
            yield pen

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Any]:
        """Lend a connection of the driver's own, in a transaction that no fence is before."""
        async with self.reading() as link, link.connection.transaction():
            yield link.connection

    async def sweep(self, keeping: Keeping, now: float, *, dry: bool = False) -> Swept:
        """See `Retention.sweep`. One replica sweeps at a time: two would remove twice as much as is too much."""
        async with self.reading() as link:
            if not await link.connection.fetchval("SELECT pg_try_advisory_lock($1)", _SWEEPING):
                return Swept()
            try:
                return await sweep(self, keeping, now, dry=dry)
            finally:
                await link.connection.execute("SELECT pg_advisory_unlock($1)", _SWEEPING)

    async def probe(self) -> None:
        """Begin a transaction that may write, and undo it."""
        async with self._transaction(self.replica.held()) as pen:
            if await pen.fetchval("SHOW transaction_read_only") == "on":
                raise JournalUnavailable(f"the database {_named(self.url)} takes no writes")

    async def close(self) -> None:
        """Leave the others, and close all connections."""
        self._living.cancel()
        await asyncio.gather(self._living, return_exceptions=True)
        await self.replica.leave()
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
    async def _transaction(self, token: int) -> AsyncIterator[Any]:
        """Lend the connection that writes, in a transaction of this life."""
        async with self._lent() as pen, pen.transaction():
            await self._pass_fence(pen, token)
            yield pen

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[Any]:
        """
        Lend the connection that writes; one on which something broke is of no more use.

        Nor is one whose borrower is cancelled: it cannot be known whether the server has begun or ended the transaction
        by then, and in one that was left open all later ones would be made, and lost with it.
        """
        async with self._writing:
            with _reasons(self.url):
                pen = await self._connected()
                try:
                    yield pen
                except BaseException as error:
                    if not isinstance(error, Exception) or pen.is_closed() or pen.is_in_transaction():
                        self._pen = None
                        pen.terminate()
                    raise

    async def _pass_fence(self, pen: Any, token: int) -> None:
        """See that this process is not taken for dead before the transaction ends; heartbeats do not wait for it."""
        if await pen.fetchval(_FENCE, token) is None:
            raise self._taken_for_dead(token)

    def _taken_for_dead(self, token: int) -> Fenced:
        self.replica.lose(token)
        return Fenced(f"replica {token} was taken for dead")

    async def _connected(self) -> Any:
        if self._pen is None or self._pen.is_closed():
            self._pen = await _connect(
                self.url,
                # So that none waits for another's lock on a count.
                {
                    "a2a.shard": str(self.replica.id % _SHARDS),
                    "idle_in_transaction_session_timeout": str(_IDLE_MILLISECONDS),
                },
            )
        return self._pen

    def _runs(self, owner: int | None) -> bool:
        return owner is not None and owner == self.replica.id

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[_Link]:
        """See `SqlReads.reading`."""
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
    async with connected(url) as connection:
        tables = [name for (name,) in await connection.fetch(_TABLES)]
        return judge(await connection.fetchval(CURRENT) if VERSIONS in tables else None, tables)


async def _connect(url: URL, settings: Mapping[str, str] | None = None) -> Any:
    return await asyncpg.connect(
        **_address(url),
        timeout=_CONNECT_SECONDS,
        command_timeout=_CALL_SECONDS,
        server_settings={"application_name": "opencode-a2a-server", **(settings or {})},
    )


async def _columns(rows: Sequence[Row]) -> Sequence[Any]:
    """Give places, moments and bodies of updates."""
    size = sum(len(body) for *_, body in rows)
    return await _laid_out(size, lambda: list(zip(*map(update_row, rows), strict=True)))


def _snapshots(batch: Batch) -> int:
    """Give the bytes of a batch's snapshots."""
    return sum(len(standing.snapshot.body) for standing in batch.standings.values() if standing.snapshot is not None)


async def _laid_out(size: int, lay_out: Callable[[], list[Any]]) -> list[Any]:
    """Have what is written laid out, and so pressed; much of it by a thread, since nothing else would be done meanwhile."""
    return lay_out() if size < _MUCH else await asyncio.to_thread(lay_out)


async def _as_it_is(_connection: Any) -> None:
    """
    Give a connection back to the pool; an open transaction was rolled back before.

    Nobody sets anything on one, and who takes a lock gives it back: what the driver would have the server forget each
    time, as a question of its own, takes as long as most reads do.
    """


def _told(keys: Collection[int]) -> Iterator[str]:
    """Tell that tasks have updates, in as few notifications as hold their keys."""
    told = UPDATES + ":"
    for key in keys:
        if len(told) > _TOLD_MOST - 20:
            yield told
            told = UPDATES + ":"
        told += f"{key},"
    yield told


async def migrate(url: URL) -> None:
    """Bring the tables up to this release, if need be; of two who do so at once, one waits."""
    if (await check_postgres(url)).ready:
        return

    from sqlalchemy import NullPool
    from sqlalchemy.ext.asyncio import create_async_engine

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
