"""`opencode-a2a-server db`."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opencode_a2a_server.adapters.outbound.stores.opening import open_stores
from opencode_a2a_server.adapters.outbound.stores.schema import HEAD
from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.app.cli import main
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import StatusChanged, TaskSubmitted
from tests.fakes.clock import TurnedClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with one task, which ended in November 2023."""
    path = tmp_path / "tasks.db"

    async def work() -> None:
        async with open_stores(f"sqlite+aiosqlite:///{path}", TurnedClock(), pace=Pace(linger=0)) as stores:
            said = Message(MessageId("m"), Role.USER, (TextPart("hello"),))
            log = await stores.journal.create(TaskId("t-1"), TaskSubmitted(ContextId("c"), Principal("alice"), said))
            log.append([StatusChanged(TaskState.COMPLETED)])
            await log.durable()

    asyncio.run(work())
    return path


def db(path: Path, *arguments: str) -> Result:
    environment = {"A2A_TASK_STORE_DATABASE_URL": f"sqlite+aiosqlite:///{path}"}
    return CliRunner(env=environment).invoke(main, ["db", *arguments])


def count(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        (tasks,) = connection.execute("SELECT count(*) FROM tasks").fetchone()
    connection.close()
    return int(tasks)


def test_check_says_which_schema_there_is(path: Path) -> None:
    done = db(path, "check", "-o", "json")

    assert done.exit_code == 0
    assert json.loads(done.output) == {"current": HEAD, "wanted": HEAD, "ready": True}


def test_check_of_a_store_that_is_not_there_yet_makes_nothing(tmp_path: Path) -> None:
    done = db(tmp_path / "new" / "tasks.db", "check")

    assert (done.exit_code, "no tables yet" in done.output) == (0, True)
    assert not (tmp_path / "new").exists()


def test_an_old_store_is_found_out_and_upgraded(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "DROP TABLE alembic_version; DROP TABLE interrupts; DROP TABLE session_owners; DROP TABLE push_configs;"
            "DROP TABLE tallies; DROP TRIGGER tally_begun; DROP TRIGGER tally_moved; DROP TRIGGER tally_gone;"
            "DROP INDEX ix_tasks_by_principal; DROP INDEX ix_tasks_by_context; DROP INDEX ix_tasks_by_state;"
            "DROP TABLE pieces; DROP TABLE session_work; DROP TABLE ledger; DROP TABLE errands; DROP TABLE holds; DROP TABLE replicas; ALTER TABLE tasks DROP COLUMN owner;"
            "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY);"
            "INSERT INTO alembic_version VALUES ('0001');"
        )
    connection.close()

    before, upgraded, after = db(path, "check"), db(path, "upgrade"), db(path, "check")

    assert (before.exit_code, upgraded.exit_code, after.exit_code) == (1, 0, 0)
    assert count(path) == 1


def test_a_backup_is_made_and_restored(path: Path, tmp_path: Path) -> None:
    made = db(path, "backup", str(tmp_path / "backup.db"))
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM tasks")
    connection.close()

    refused = db(path, "restore", str(tmp_path / "backup.db"))
    restored = db(path, "restore", str(tmp_path / "backup.db"), "--replace")

    assert (made.exit_code, refused.exit_code, restored.exit_code) == (0, 1, 0)
    assert "say that it is to be replaced" in refused.output
    assert count(path) == 1


def test_gc_says_first_what_it_would_do(path: Path) -> None:
    dry = db(path, "gc", "--days", "30", "--dry-run", "-o", "json")
    assert json.loads(dry.output)["removed"] == 1
    assert count(path) == 1

    done = db(path, "gc", "--days", "30", "--vacuum")

    assert (done.exit_code, "1 removed" in done.output) == (0, True)
    assert count(path) == 0


def test_gc_leaves_alone_what_it_was_not_asked_to_make_or_upgrade(path: Path, tmp_path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    old, missing = db(path, "gc", "--days", "30"), db(tmp_path / "new.db", "gc", "--dry-run", "--vacuum")

    assert (old.exit_code, "upgrade the store first" in old.output) == (1, True)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    connection.close()
    assert (missing.exit_code, (tmp_path / "new.db").exists()) == (0, False)


def test_gc_without_rules_folds_by_the_settings_own(path: Path) -> None:
    done = db(path, "gc")

    assert "1 tasks folded, 0 removed" in done.output
    assert count(path) == 1


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("mysql://host/db", 1, "no store for mysql"),
        ("sqlite+aiosqlite:///:memory:", 1, "in memory"),
        ("postgresql+asyncpg://nobody:secret@127.0.0.1:1/none", 3, "127.0.0.1"),
    ],
)
def test_a_store_that_cannot_be_had_is_named_without_its_password(url: str, status: int, words: str) -> None:
    done = CliRunner().invoke(main, ["db", "check", "--url", url])

    assert (done.exit_code, words in done.output, "secret" in done.output) == (status, True, False)


def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("no database")

    done = db(tmp_path / "other", "check")

    assert done.exit_code == 3
    assert "not a database" in done.output
