"""Faults of disks and databases as they really come: nothing is lost, and whoever waits is told what is wrong."""

from __future__ import annotations

import resource
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from opencode_a2a_server.adapters.outbound.stores.opening import Stores, open_stores
from opencode_a2a_server.adapters.outbound.stores.postgres import PostgresStorage
from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, Seq, TaskId
from opencode_a2a_server.domain.message import Message, Role
from opencode_a2a_server.domain.updates import ArtifactTold, BlockKind, TaskSubmitted, TextAppended
from tests.fakes.database import Database

pytestmark = pytest.mark.anyio

TASK = TaskId("task-1")
TEXT = ArtifactId("prt_1")
SUBMITTED = TaskSubmitted(ContextId("context"), Principal("alice"), Message(MessageId("m-1"), Role.USER, ()))
PACE = Pace(patience=0.3, retry=0.02, retry_most=0.1)
"""Real time passes here, so as little of it as shows the fault."""


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with Database() as database:
        yield database


async def begun(stores: Stores, task: TaskId = TASK) -> TaskLog:
    log = await stores.journal.create(task, SUBMITTED)
    log.append([ArtifactTold(TEXT, BlockKind.TEXT, ())])
    await log.durable()
    return log


async def until_durable(log: TaskLog) -> None:
    with anyio.fail_after(30):
        while True:
            try:
                await log.durable()
            except JournalUnavailable:
                continue
            return


async def text_of(stores: Stores, task: TaskId = TASK) -> str:
    return (await stores.journal.open(task)).task.artifacts[TEXT].text


# SQLite


@pytest.fixture
async def stores(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Stores]:
    async with open_stores(f"sqlite+aiosqlite:///{tmp_path}/tasks.db", SystemClock(), pace=PACE) as stores:
        yield stores


@contextmanager
def no_larger_files(size: int) -> Iterator[None]:
    """Let the system refuse to make files of this process larger, as a disk without room does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


async def test_a_disk_that_refuses_writes_is_told_and_made_up_for(stores: Stores) -> None:
    log = await begun(stores)

    with no_larger_files(4096):
        seq = log.append([TextAppended(TEXT, "x" * 1000)] * 100)
        with pytest.raises(JournalUnavailable, match=r"does not take writes: the database .*(disk|full)"):
            await log.durable()
        assert (await log.read(Seq(2)).next(patience=0)) == ()  # nobody is shown what could be lost

    await until_durable(log)
    reader, read = log.read(Seq(2)), 0
    while reader.position < seq:
        read += len(await reader.next())
    assert read == 100


async def test_a_lock_that_another_process_holds_is_told_and_waited_for(stores: Stores, tmp_path: Path) -> None:
    log = await begun(stores)
    holding = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); print(flush=True); input()"
    command = [sys.executable, "-S", "-c", holding, str(tmp_path / "tasks.db")]
    async with await anyio.open_process(command) as other:
        assert other.stdout is not None
        await other.stdout.receive()
        log.append([TextAppended(TEXT, "waited for")])

        with pytest.raises(JournalUnavailable, match="not answered for"):  # SQLite itself waits for the lock meanwhile
            await log.durable()
        other.kill()

    await until_durable(log)
    assert await text_of(stores) == "waited for"


async def test_a_database_that_became_read_only_is_told_and_made_up_for(stores: Stores, tmp_path: Path) -> None:
    log = await begun(stores)
    tell_pen = _pen_of(stores)
    await tell_pen("PRAGMA query_only = ON")

    log.append([TextAppended(TEXT, "kept")])
    with pytest.raises(JournalUnavailable, match="readonly"):
        await log.durable()
    await tell_pen("PRAGMA query_only = OFF")

    await until_durable(log)
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as looking:
        assert looking.execute("SELECT count(*) FROM updates").fetchone() == (3,)


def _pen_of(stores: Stores) -> Callable[[str], Awaitable[None]]:
    """Reach the connection that writes: a mount that turns read-only cannot be had without being root."""
    command: Callable[[str], Awaitable[None]] = stores.retention._pen.command  # type: ignore[attr-defined]
    return command


# PostgreSQL


async def test_a_killed_postgresql_is_told_waited_for_and_made_up_for(database: Database) -> None:
    task = TaskId("killed")
    async with open_stores(database.url, SystemClock(), pace=PACE) as stores:
        log = await begun(stores, task)
        database.kill()
        try:
            log.append([TextAppended(TEXT, "said meanwhile")])
            with pytest.raises(JournalUnavailable, match="does not take writes"):
                await log.durable()
            with pytest.raises(JournalUnavailable):
                await stores.journal.unfinished()
        finally:
            await to_thread.run_sync(database.start)

        await until_durable(log)
        assert task in await stores.journal.unfinished()
    async with open_stores(database.url, SystemClock(), pace=PACE) as stores:
        assert await text_of(stores, task) == "said meanwhile"


async def test_who_comes_first_after_a_postgresql_was_restarted_takes_nobody_for_dead(database: Database) -> None:
    async with open_stores(database.url, SystemClock(), pace=PACE) as stores:
        log = await begun(stores, TaskId("living"))
        storage = stores.retention
        assert isinstance(storage, PostgresStorage)
        storage._living.cancel()  # it is not the first to be back
        await storage.replica._line.execute("UPDATE replicas SET seen_at = seen_at - 30")
        database.kill()
        await to_thread.run_sync(database.start)

        async with open_stores(database.url, SystemClock(), pace=PACE) as newcomer:
            assert await newcomer.replicas.inherit() == []

        log.append([TextAppended(TEXT, "goes on")])
        await until_durable(log)
        assert log.mine


async def test_a_postgresql_that_hangs_is_told_and_waited_for(database: Database) -> None:
    task = TaskId("hung")
    async with open_stores(database.url, SystemClock(), pace=PACE) as stores:
        log = await begun(stores, task)
        database.pause()
        try:
            log.append([TextAppended(TEXT, "said meanwhile")])
            with pytest.raises(JournalUnavailable, match="not answered for"):
                await log.durable()
        finally:
            database.go_on()

        await until_durable(log)
        assert await text_of(stores, task) == "said meanwhile"


async def test_a_table_that_somebody_locks_is_waited_for(database: Database) -> None:
    task = TaskId("locked")
    async with open_stores(database.url, SystemClock(), pace=PACE) as stores:
        log = await begun(stores, task)
        async with database.connected() as other, other.transaction():
            await other.execute("LOCK TABLE updates")
            log.append([TextAppended(TEXT, "said meanwhile")])
            with pytest.raises(JournalUnavailable, match="not answered for"):
                await log.durable()

        await until_durable(log)
        assert await text_of(stores, task) == "said meanwhile"


async def test_connections_that_the_server_ends_are_made_anew(database: Database) -> None:
    task = TaskId("ended")
    async with open_stores(database.url, SystemClock(), pace=PACE) as stores:
        log = await begun(stores, task)
        async with database.connected() as other:
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

        log.append([TextAppended(TEXT, "kept")])
        await until_durable(log)
        assert await text_of(stores, task) == "kept"
