"""Databases of earlier releases."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from opencode_a2a_server.adapters.outbound.stores.schema import _config
from opencode_a2a_server.adapters.outbound.stores.sqlite import SqliteStorage
from opencode_a2a_server.adapters.outbound.stores.tables import METADATA
from opencode_a2a_server.app.ports.tasks import BEGIN, Page, Wanted
from opencode_a2a_server.domain.ids import Principal, SessionId, TaskId
from opencode_a2a_server.domain.push import Words
from opencode_a2a_server.domain.session import Ownership
from opencode_a2a_server.domain.state import TaskState

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


async def test_the_migrations_make_the_tables_this_release_knows_and_unmake_them(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'tasks.db'}")
    with engine.begin() as connection:
        command.upgrade(_config(connection), "head")
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
        command.downgrade(_config(connection), "base")
        left = connection.execute(text("SELECT name FROM sqlite_master WHERE name NOT LIKE 'alembic%'")).all()
    engine.dispose()

    assert differences == []
    assert [name for (name,) in left if not name.startswith("sqlite_")] == []


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
