"""Lists in SQLite: read off an index, and counted without looking at each task."""

from __future__ import annotations

import sqlite3
from itertools import product
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.stores import listing
from opencode_a2a_server.adapters.outbound.stores.sqlite import SqliteStorage
from opencode_a2a_server.adapters.outbound.stores.statements import Statement
from opencode_a2a_server.adapters.outbound.stores.tables import TASKS
from opencode_a2a_server.app.ports.tasks import BEGIN, Wanted
from opencode_a2a_server.domain.ids import ContextId, Principal
from opencode_a2a_server.domain.state import TaskState

pytestmark = pytest.mark.anyio

ALICE = Principal("alice")
COUNT = 3000
FILTERS = [
    Wanted(context, state, since)
    for context, state, since in product((None, ContextId("c-7")), (None, TaskState.WORKING), (None, 2500.0))
]


@pytest.fixture
async def database(tmp_path: Path, anyio_backend: str) -> sqlite3.Connection:
    storage = await SqliteStorage.open(tmp_path / "tasks.db")
    await storage.close()
    connection = sqlite3.connect(tmp_path / "tasks.db")
    states = ("completed", "completed", "completed", "working")
    rows = (
        (f"t-{number}", "alice", f"c-{number % 100}", states[number % 4], 0.0, float(number), 1)
        for number in range(COUNT)
    )
    columns = "id, principal, context_id, state, created_at, status_at, seq"
    connection.executemany(f"INSERT INTO {TASKS.name} ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608
    connection.commit()
    return connection


def plan(database: sqlite3.Connection, statement: Statement, wanted: Wanted) -> str:
    values = listing.values(ALICE, wanted, 50, BEGIN)
    rows = database.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.order(values)).fetchall()
    return "; ".join(row[3] for row in rows)


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
async def test_a_page_is_read_off_an_index_in_its_order(database: sqlite3.Connection, wanted: Wanted) -> None:
    steps = plan(database, listing.page(wanted), wanted)

    assert steps.startswith("SEARCH tasks USING ")
    assert "INDEX ix_tasks_by_" in steps
    assert "TEMP B-TREE" not in steps
    database.close()


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
async def test_a_total_is_right_and_looked_up(database: sqlite3.Connection, wanted: Wanted) -> None:
    statement = listing.total(wanted)
    ((total,),) = database.execute(statement.sql, statement.order(listing.values(ALICE, wanted, 50, BEGIN)))

    expected = sum(
        (wanted.context_id is None or number % 100 == 7)
        and (wanted.state is None or number % 4 == 3)
        and (wanted.since is None or number >= wanted.since)
        for number in range(COUNT)
    )
    assert total == expected
    assert plan(database, statement, wanted).startswith("SEARCH ")
    assert ("tallies" in statement.sql) == (wanted.context_id is None and wanted.since is None)
    database.close()


async def test_tallies_follow_tasks(database: sqlite3.Connection) -> None:
    database.execute("UPDATE tasks SET state = 'failed' WHERE id IN ('t-0', 't-3')")
    database.execute("UPDATE tasks SET state = 'completed', seq = 2 WHERE id = 't-1'")
    database.execute("DELETE FROM tasks WHERE id = 't-0'")

    kept = dict(database.execute("SELECT state, count FROM tallies WHERE principal = 'alice'"))

    assert kept == dict(database.execute("SELECT state, count(*) FROM tasks GROUP BY state"))
    database.close()
