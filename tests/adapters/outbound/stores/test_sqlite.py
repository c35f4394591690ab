"""One SQLite database: its file, its tables, its faults."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine

from opencode_a2a_server.adapters.outbound.stores.errors import SchemaUnknown, StoreUnusable
from opencode_a2a_server.adapters.outbound.stores.sqlite import SqliteStorage, check_schema
from opencode_a2a_server.adapters.outbound.stores.statements import UNFINISHED
from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.domain.errors import JournalDamaged, JournalUnavailable
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, Seq, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import ArtifactTold, BlockKind, StatusChanged, TaskSubmitted, TextAppended
from tests.adapters.outbound.stores.of_sqlite import TABLES
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import Life, Stores

pytestmark = pytest.mark.anyio

TASK = TaskId("task-1")
TEXT = ArtifactId("prt_1")
SUBMITTED = TaskSubmitted(
    ContextId("context"), Principal("alice"), Message(MessageId("m-1"), Role.USER, (TextPart("Say something."),))
)
TOLD = ArtifactTold(TEXT, BlockKind.TEXT, ())
PROSE = "".join(random.Random(1).choices("etaoin shrdlu,cmfwyp", k=1000))  # noqa: S311 - as hard to compress as prose


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(TurnedClock(), "sqlite", tmp_path, prepared=False)


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Let files be made as open to others as their maker allows."""
    before = os.umask(0)
    yield
    os.umask(before)


async def made(path: Path) -> None:
    await (await SqliteStorage.open(path)).close()


def run(path: Path, sql: str, *values: Any) -> list[Any]:
    """Do something to the database from outside."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# The file


async def test_nobody_else_reads_the_files(stores: Stores, no_umask: None) -> None:
    async with stores.live() as life:
        log = await life.journal.create(TASK, SUBMITTED)
        await log.durable()

        files = sorted(stores.directory.iterdir())

        assert [file.name for file in files] == ["tasks.db", "tasks.db-shm", "tasks.db-wal", "tasks.db.lock"]
        assert {mode(file) for file in files} == {0o600}


async def test_files_that_others_could_read_are_closed_to_them(path: Path, no_umask: None) -> None:
    await made(path)
    path.chmod(0o666)
    side = path.with_name("tasks.db-wal")
    side.touch(0o666)

    storage = await SqliteStorage.open(path)

    assert {mode(path), mode(side)} == {0o600}
    await storage.close()


async def test_missing_directories_are_made_for_us_alone(tmp_path: Path, no_umask: None) -> None:
    await made(tmp_path / "a" / "b" / "tasks.db")

    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]


@pytest.mark.parametrize("name", ["tasks.db", "tasks.db-wal", "tasks.db-shm", "tasks.db-journal"])
async def test_a_symbolic_link_is_refused(tmp_path: Path, path: Path, name: str) -> None:
    await made(tmp_path / "other.db")
    (tmp_path / name).symlink_to(tmp_path / "other.db")

    with pytest.raises(StoreUnusable, match="symbolic link"):
        await SqliteStorage.open(path)


async def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, path: Path) -> None:
    path.symlink_to(tmp_path / "nowhere")

    with pytest.raises(StoreUnusable, match="symbolic link"):
        await SqliteStorage.open(path)


async def test_what_is_no_file_is_refused(path: Path) -> None:
    path.mkdir()

    with pytest.raises(StoreUnusable, match="no regular file"):
        await SqliteStorage.open(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_somebody_else_s_file_is_refused(path: Path) -> None:
    path.touch()
    os.chown(path, 12345, -1)

    with pytest.raises(StoreUnusable, match="belongs to uid 12345"):
        await SqliteStorage.open(path)


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnusable, match="cannot be used"):
        await SqliteStorage.open(tmp_path / "file" / "tasks.db")


async def test_a_file_that_is_no_database_is_told_and_left_alone(path: Path) -> None:
    path.write_bytes(b"something else" * 100)

    with pytest.raises(JournalUnavailable, match="not a database"):
        await SqliteStorage.open(path)

    assert path.read_bytes() == b"something else" * 100


# The tables


async def test_an_empty_file_gets_the_tables_this_release_knows(path: Path) -> None:
    await made(path)

    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), TABLES) == []
    engine.dispose()
    assert run(path, "PRAGMA journal_mode") == [("wal",)]


async def test_tables_that_are_there_are_taken_as_they_are(path: Path) -> None:
    await made(path)
    run(path, "INSERT INTO bindings VALUES ('alice', 'context', 'ses_1', '/work', 1.5)")

    storage = await SqliteStorage.open(path)

    assert await storage.find(Principal("alice"), ContextId("context")) is not None
    await storage.close()


async def test_tables_of_a_newer_release_are_refused_and_left_alone(path: Path) -> None:
    await made(path)
    run(path, "UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()

    with pytest.raises(SchemaUnknown, match="schema 9999, made by a newer release"):
        await SqliteStorage.open(path)

    assert path.read_bytes() == before


async def test_another_program_s_tables_are_refused_and_left_alone(path: Path) -> None:
    run(path, "CREATE TABLE tasks (id TEXT)")
    before = path.read_bytes()

    with pytest.raises(SchemaUnknown, match="another program"):
        await SqliteStorage.open(path)

    assert path.read_bytes() == before


async def test_a_migration_that_breaks_leaves_nothing(path: Path) -> None:
    with event_on_connect(lambda driver: driver.set_authorizer(no_bindings)), pytest.raises(JournalUnavailable):
        await SqliteStorage.open(path)

    assert run(path, "SELECT name FROM sqlite_master") == []
    await made(path)


async def test_checking_says_what_there_is_and_changes_nothing(path: Path) -> None:
    before = await check_schema(path)
    assert (before.current, before.ready) == (None, False)
    assert not path.exists()

    await made(path)

    schema = await check_schema(path)
    assert (schema.current, schema.ready) == (before.head, True)
    run(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaUnknown):
        await check_schema(path)


async def test_unfinished_tasks_are_found_by_an_index_of_their_own(path: Path) -> None:
    await made(path)

    plan = run(path, f"EXPLAIN QUERY PLAN {UNFINISHED.sql}")

    assert ["ix_tasks_unfinished" in step[-1] for step in plan] == [True]


# Size


async def test_its_pages_are_small(stores: Stores, path: Path) -> None:
    async with stores.live():
        ((page,),) = run(path, "PRAGMA page_size")

    assert page == 1024


@pytest.mark.parametrize("count", [1, 3, 4, 5, 85, 256, 1000])
async def test_updates_are_written_by_few_statements_all_of_them_in_order(stores: Stores, count: int) -> None:
    async with stores.live() as life:
        log = await life.journal.create(TASK, SUBMITTED)
        log.append([TOLD, *(TextAppended(TEXT, f"{number} ") for number in range(count))])
        await log.durable()
    async with stores.live() as life:
        read = await life.journal.open(TASK)

    assert read.task.artifacts[TEXT].text == "".join(f"{number} " for number in range(count))


async def test_text_takes_at_most_three_times_its_bytes(stores: Stores) -> None:
    letters = random.Random(1)  # noqa: S311 - a text that compresses as badly as prose
    texts = ["".join(letters.choices("etaoin shrdlu,cmfwyp", k=100)) for _ in range(10_000)]
    async with stores.live() as life:
        log = await life.journal.create(TASK, SUBMITTED)
        log.append([TOLD])
        sizes = list[int]()
        for start in range(0, len(texts), 100):
            for text in texts[start : start + 100]:
                log.append([TextAppended(TEXT, text)])
            await log.durable()
            sizes.append(size(stores) if start > 2000 else 0)
        log.append([StatusChanged(TaskState.COMPLETED)])
        await log.durable()
        sizes.append(size(stores))
    sizes.append(size(stores))

    assert max(sizes) < 3 * sum(map(len, texts))


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what a process writes")
async def test_eight_long_texts_write_less_than_three_times_their_bytes(stores: Stores) -> None:
    chance = random.Random(2)  # noqa: S311 - no secret
    texts = ["".join(chance.choices(PROSE, k=4000)) for _ in range(60)]
    async with stores.live() as life:
        logs = [await life.journal.create(TaskId(f"task-{number}"), SUBMITTED) for number in range(8)]
        for log in logs:
            log.append([TOLD])
            await log.durable()

        before = bytes_written()
        for text in texts:
            for log in logs:
                log.append([TextAppended(TEXT, text)])
            await log.durable()
        for log in logs:
            await log.durable(log.append([StatusChanged(TaskState.COMPLETED)]))
    written = bytes_written() - before  # with what closing folds in

    assert written < 3 * 8 * sum(map(len, texts))


def bytes_written() -> int:
    """Say how many bytes this process has given to the system to write, to files already written twice."""
    counted = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counted["wchar"])


def size(stores: Stores) -> int:
    return sum(file.stat().st_size for file in stores.directory.iterdir() if not file.name.endswith("-shm"))


# Faults


@contextmanager
def event_on_connect(act: Callable[[sqlite3.Connection], object]) -> Iterator[None]:
    """Do something to each connection that any engine makes."""

    def connected(connection: sqlite3.Connection, _: object) -> None:
        act(connection)

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)


def no_bindings(action: int, name: str | None, *_: str | None) -> int:
    creates = action == sqlite3.SQLITE_CREATE_TABLE and name == "bindings"
    return sqlite3.SQLITE_DENY if creates else sqlite3.SQLITE_OK


async def test_a_full_disk_is_told_and_nothing_is_lost_when_there_is_room(stores: Stores) -> None:
    stores.pace = Pace(linger=0, patience=float("inf"))
    clock = stores.clock
    assert isinstance(clock, TurnedClock)
    async with stores.live() as life:
        log = await life.journal.create(TASK, SUBMITTED)
        log.append([TOLD])
        await log.durable()
        await tell_pen(life, "PRAGMA max_page_count = 40")  # the disk is as large as this

        seq = log.append([TextAppended(TEXT, PROSE)] * 200)
        while "full" not in await life.journal.probe():
            await clock.turn()

        await tell_pen(life, "PRAGMA max_page_count = 1000000")
        reader = log.read(Seq(2))
        while log.written < seq:
            await clock.turn(1)
        await log.durable()
        assert [entry.seq for entry in await reader.next()] == list(range(3, 203))
        assert await life.journal.probe() == ""

    async with stores.live() as life:
        assert (await life.journal.open(TASK)).task.artifacts[TEXT].text == PROSE * 200


async def tell_pen(life: Life, sql: str) -> None:
    """Run something on the connection that writes."""
    await life.storage.beneath._pen.command(sql)  # type: ignore[attr-defined]


async def test_a_database_that_somebody_else_writes_is_told(stores: Stores) -> None:
    async with stores.live() as life:
        with closing(sqlite3.connect(stores.path)) as other:
            other.execute("BEGIN IMMEDIATE")
            await tell_pen(life, "PRAGMA busy_timeout = 0")  # it has no patience

            assert "locked" in await life.journal.probe()

        assert await life.journal.probe() == ""


async def test_a_connection_that_broke_is_replaced(stores: Stores) -> None:
    stores.pace = Pace(linger=0, patience=float("inf"))
    clock = stores.clock
    assert isinstance(clock, TurnedClock)
    async with stores.live() as life:
        log = await life.journal.create(TASK, SUBMITTED)
        await log.durable()
        await life.storage.beneath._pen._driver.close()  # type: ignore[attr-defined]

        seq = log.append([TOLD, TextAppended(TEXT, "kept")])
        while log.written < seq:
            await clock.turn(1)

    async with stores.live() as life:
        assert (await life.journal.open(TASK)).task.artifacts[TEXT].text == "kept"


async def test_who_reads_a_database_that_was_closed_is_told(path: Path) -> None:
    storage = await SqliteStorage.open(path)
    await storage.close()

    with pytest.raises(JournalUnavailable, match="is closed"):
        await storage.unfinished()


async def test_more_readers_than_connections_wait_for_each_other_and_closing_waits_for_all(path: Path) -> None:
    storage = await SqliteStorage.open(path)
    async with asyncio.TaskGroup() as readers:
        reading = [readers.create_task(storage.unfinished()) for _ in range(20)]
        await asyncio.sleep(0)
        await storage.close()

    assert [job.result() for job in reading] == [[]] * 20


async def test_a_damaged_snapshot_is_told(stores: Stores) -> None:
    async with stores.live() as life:
        log = await life.journal.create(TASK, SUBMITTED)
        log.append([StatusChanged(TaskState.COMPLETED)])
    run(stores.path, "UPDATE snapshots SET body = x'00'")

    async with stores.live() as life:
        with pytest.raises(JournalUnavailable, match="snapshot"):
            await life.journal.open(TASK)


async def test_a_row_that_was_lost_is_told(stores: Stores) -> None:
    async with stores.live() as life:
        log = await life.journal.create(TASK, SUBMITTED)
        log.append([TOLD])
    run(stores.path, "DELETE FROM updates WHERE place % 4294967296 = 1")
    async with stores.live() as life:
        with pytest.raises(JournalUnavailable, match="damaged"):
            await life.journal.open(TASK)

    run(stores.path, "DELETE FROM updates")
    async with stores.live() as life:
        with pytest.raises(JournalUnavailable, match="empty"):
            await life.journal.open(TASK)


async def test_a_task_that_has_lost_its_end_is_not_taken_for_one_at_work(stores: Stores) -> None:
    async with stores.live() as life:
        log = await life.journal.create(TASK, SUBMITTED)
        log.append([TOLD, *([TextAppended(TEXT, PROSE)] * 50)])
        seq = log.append([StatusChanged(TaskState.COMPLETED)])
    run(stores.path, "DELETE FROM updates WHERE place % 4294967296 = ?", seq)

    async with stores.live() as life:
        with pytest.raises(JournalDamaged, match="lost its end"):
            await life.journal.open(TASK)


async def test_a_reader_never_jumps_over_a_hole(stores: Stores) -> None:
    async with stores.live() as life:
        log = await life.journal.create(TASK, SUBMITTED)
        log.append([TOLD, StatusChanged(TaskState.COMPLETED)])
    run(stores.path, "DELETE FROM updates WHERE place % 4294967296 = 2")
    async with stores.live() as life:
        reader = (await life.journal.open(TASK)).read(Seq(0))

        with pytest.raises(JournalUnavailable, match="lost what follows update 0"):
            await reader.next()
