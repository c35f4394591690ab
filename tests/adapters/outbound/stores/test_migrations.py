"""Databases of earlier releases."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import anyio
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from opencode_a2a_server.adapters.outbound.stores.codec import Bodies
from opencode_a2a_server.adapters.outbound.stores.errors import SchemaUnknown
from opencode_a2a_server.adapters.outbound.stores.opening import open_stores
from opencode_a2a_server.adapters.outbound.stores.postgres import PostgresStorage, check_postgres
from opencode_a2a_server.adapters.outbound.stores.schema import _REVISIONS, HEAD, _config
from opencode_a2a_server.adapters.outbound.stores.sqlite import SqliteStorage
from opencode_a2a_server.adapters.outbound.stores.tables import METADATA, SEQ_BITS
from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.app.ports.tasks import BEGIN, Page, Wanted
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, Seq, SessionId, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.push import Words
from opencode_a2a_server.domain.session import Directory, Ownership, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import (
    ArtifactTold,
    BlockKind,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
    Update,
)
from tests.adapters.outbound.stores.of_sqlite import TABLES
from tests.fakes import postgres
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

ALICE = Principal("alice")


async def test_tasks_of_a_release_without_lists_are_listed_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0001")
        for number, state in enumerate(("completed", "working", "completed")):
            columns = "(id, principal, context_id, state, created_at, status_at, seq)"
            values = f"('t-{number}', 'alice', 'c', '{state}', 0, {number}, 1)"
            connection.execute(text(f"INSERT INTO tasks {columns} VALUES {values}"))  # noqa: S608
    engine.dispose()

    storage = await SqliteStorage.open(path)
    everything = await storage.page(ALICE, Wanted(), 2, BEGIN)
    working = await storage.page(ALICE, Wanted(state=TaskState.WORKING), 2, BEGIN)
    await storage.close()

    assert (everything.task_ids, everything.total) == (["t-2", "t-1"], 3)
    assert working == Page([TaskId("t-1")], 1)


async def test_configurations_of_a_release_without_0_3_are_told_in_the_words_of_1_0(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0003")
        columns = "(task_id, id, url, token, scheme, credentials, seq, upto, stopped, created_at)"
        values = "('t', 'c', 'https://client.example/', '', '', '', 3, 5, '', 1.0)"
        connection.execute(text(f"INSERT INTO push_configs {columns} VALUES {values}"))  # noqa: S608
    engine.dispose()

    storage = await SqliteStorage.open(path)
    (outbox,) = await storage.push_configs(TaskId("t"))
    await storage.close()

    assert (outbox.config.words, outbox.failures, outbox.seq, outbox.upto) == (Words.V1_0, 0, 3, 5)


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005"])
async def test_what_an_earlier_release_counted_is_counted_on(tmp_path: Path, revision: str) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'tasks.db'}")
    with engine.begin() as connection:
        command.upgrade(_config(connection), revision)
        insert = "INSERT INTO tasks (id, principal, context_id, state, created_at, status_at, seq) VALUES "
        connection.execute(text(f"{insert} ('t-1', 'alice', 'c', 'working', 0, 1, 1)"))
        command.upgrade(_config(connection), "head")
        connection.execute(text(f"{insert} ('t-2', 'alice', 'c', 'submitted', 0, 1, 1)"))
        connection.execute(text("UPDATE tasks SET state = 'working' WHERE id = 't-2'"))
        connection.execute(text("DELETE FROM tasks WHERE id = 't-1'"))
        counts = connection.execute(text("SELECT state, sum(count) FROM tallies GROUP BY state ORDER BY state")).all()
    engine.dispose()

    assert [tuple(row) for row in counts] == [("submitted", 0), ("working", 1)]


async def test_postgresql_has_the_tables_this_release_knows_and_counts_by_itself() -> None:
    engine = create_async_engine(await postgres.emptied())
    await (await PostgresStorage.open(engine.url, TurnedClock())).close()
    async with engine.begin() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts={"compare_type": False}), METADATA)
        )
        insert = "INSERT INTO tasks (id, principal, context_id, state, created_at, status_at, seq) VALUES "
        await connection.execute(text(f"{insert} ('t-1', 'alice', 'c', 'working', 0, 1, 1)"))
        await connection.execute(text("SET LOCAL a2a.shard = '7'"))
        await connection.execute(text("UPDATE tasks SET state = 'completed' WHERE id = 't-1'"))
        counts = (await connection.execute(text("SELECT state, shard, count FROM tallies ORDER BY 1, 2"))).all()
    await engine.dispose()

    assert differences == []
    assert [tuple(row) for row in counts] == [("completed", 7, 1), ("working", 0, 1), ("working", 7, -1)]


async def test_of_two_who_open_a_new_database_at_once_one_makes_its_tables() -> None:
    postgres.server().psql("CREATE DATABASE at_once;")

    opened = await asyncio.gather(*(PostgresStorage.open(postgres.url("at_once"), TurnedClock()) for _ in range(3)))

    assert (await check_postgres(postgres.url("at_once"))).ready
    for storage in opened:
        await storage.close()


async def test_a_postgresql_database_of_a_newer_release_or_of_others_is_refused() -> None:
    for name, table in (("newer", "alembic_version"), ("others", "orders")):
        postgres.server().psql(f"CREATE DATABASE {name};")
        engine = create_async_engine(postgres.url(name))
        async with engine.begin() as connection:
            await connection.execute(text(f"CREATE TABLE {table} (version_num varchar PRIMARY KEY)"))
            if name == "newer":
                await connection.execute(text("INSERT INTO alembic_version VALUES ('9999')"))
        await engine.dispose()

        with pytest.raises(SchemaUnknown, match="newer release" if name == "newer" else "another program"):
            await PostgresStorage.open(postgres.url(name), TurnedClock())


async def test_the_migrations_make_the_tables_this_release_knows_and_unmake_them(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'tasks.db'}")
    with engine.begin() as connection:
        command.upgrade(_config(connection), "head")
        differences = compare_metadata(MigrationContext.configure(connection), TABLES)
        command.downgrade(_config(connection), "base")
        left = connection.execute(text("SELECT name FROM sqlite_master WHERE name NOT LIKE 'alembic%'")).all()
    engine.dispose()

    assert differences == []
    assert [name for (name,) in left if not name.startswith("sqlite_")] == []


def test_the_newest_script_is_the_schema_that_is_wanted() -> None:
    scripts = ScriptDirectory.from_config(_config())

    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(_REVISIONS)
    assert scripts.get_current_head() == HEAD


async def test_alembic_is_not_imported_where_the_tables_are_as_they_should_be(tmp_path: Path) -> None:
    await (await SqliteStorage.open(tmp_path / "tasks.db")).close()
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from opencode_a2a_server.adapters.outbound.stores.sqlite import SqliteStorage\n"
        "async def run():\n"
        "    await (await SqliteStorage.open(Path(sys.argv[1]))).close()\n"
        "asyncio.run(run())\n"
        "print([name for name in sys.modules if name in ('alembic', 'sqlalchemy.orm')])"
    )

    done = await anyio.run_process([sys.executable, "-c", program, str(tmp_path / "tasks.db")])

    assert done.stdout.decode().strip() == "[]"


async def test_sessions_that_were_bound_belong_to_who_is_bound_to_them(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0004")
        for context in ("c-1", "c-2"):
            values = f"('alice', '{context}', 'ses_1', '/work', 0)"
            connection.execute(text(f"INSERT INTO bindings VALUES {values}"))  # noqa: S608
    engine.dispose()

    storage = await SqliteStorage.open(path)
    owners = await storage.owners([SessionId("ses_1")])
    await storage.close()

    assert owners == [Ownership(SessionId("ses_1"), ALICE)]


TEXT = ArtifactId("prt_1")
LEFT: list[Update] = [
    TaskSubmitted(ContextId("c"), ALICE, Message(MessageId("m-1"), Role.USER, (TextPart("Go."),))),
    TurnStarted(Session(SessionId("ses_1"), Directory("/work")), MessageId("msg_1")),
    ArtifactTold(TEXT, BlockKind.TEXT, ()),
    TextAppended(TEXT, "Once "),
]


def leave_a_task(connection: Connection, revision: str) -> None:
    """Have a task in mid-turn in a database of an earlier schema."""
    command.upgrade(_config(connection), revision)
    columns = "(key, id, principal, context_id, state, created_at, status_at, seq)"
    connection.execute(text(f"INSERT INTO tasks {columns} VALUES (1, 't-1', 'alice', 'c', 'working', 0, 0, 2)"))  # noqa: S608
    bodies = Bodies()
    for seq, update in enumerate(LEFT, 1):
        row = {"place": (1 << SEQ_BITS) + seq, "body": bodies.dump(update)}
        connection.execute(text("INSERT INTO updates (place, at, body) VALUES (:place, 0, :body)"), row)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("revision", _REVISIONS[:-1])
async def test_a_turn_that_was_under_way_in_any_earlier_schema_goes_on_in_this_one(
    tmp_path: Path, kind: str, revision: str
) -> None:
    if kind == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path}/tasks.db"
        engine = create_engine(f"sqlite:///{tmp_path}/tasks.db")
        with engine.begin() as connection:
            leave_a_task(connection, revision)
        engine.dispose()
    else:
        postgres.server().psql(f"CREATE DATABASE from_{revision};")
        address = postgres.url(f"from_{revision}")
        url = address.render_as_string(hide_password=False)
        shared = create_async_engine(address)
        async with shared.begin() as session:
            await session.run_sync(leave_a_task, revision)
        await shared.dispose()

    async with open_stores(url, TurnedClock(), pace=Pace(linger=0)) as stores:
        assert await stores.replicas.inherit() == ["t-1"]
        log = await stores.journal.open(TaskId("t-1"))
        log.append([TextAppended(TEXT, "upon", last=True), StatusChanged(TaskState.COMPLETED)])
        await log.durable()
        entries = await log.read(Seq(0)).next()
        page = await stores.journal.page(ALICE, Wanted(state=TaskState.COMPLETED), 2, BEGIN)

    assert [entry.update for entry in entries][:4] == LEFT
    assert (log.task.artifacts[TEXT].text, page.task_ids, page.total) == ("Once upon", [TaskId("t-1")], 1)
