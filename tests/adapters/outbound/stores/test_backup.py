"""Backups: made while tasks go on, and put back."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.stores.backup import (
    back_up_postgres,
    back_up_sqlite,
    restore_postgres,
    restore_sqlite,
)
from opencode_a2a_server.adapters.outbound.stores.errors import StoreUnusable
from opencode_a2a_server.adapters.outbound.stores.opening import Stores, open_stores
from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.app.ports.tasks import BEGIN, Wanted
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, PushConfigId, Seq, SessionId, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.push import Outbox, PushConfig
from opencode_a2a_server.domain.session import Binding, Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import StatusChanged, TaskSubmitted, TurnStarted
from tests.fakes import postgres
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

ALICE = Principal("alice")
NO_WAIT = Pace(linger=0)


async def work(url: str, *names: str) -> None:
    async with open_stores(url, TurnedClock(), pace=NO_WAIT) as stores:
        for name in names:
            message = Message(MessageId("m-1"), Role.USER, (TextPart(f"This is {name}."),))
            log = await stores.journal.create(TaskId(name), TaskSubmitted(ContextId(name), ALICE, message))
            log.append([StatusChanged(TaskState.COMPLETED)])
            await stores.bindings.bind(
                Binding(ALICE, ContextId(name), Session(SessionId(f"ses_{name}"), Directory("/work")))
            )
            await log.durable()


async def tasks(url: str) -> dict[str, str]:
    async with open_stores(url, TurnedClock(), pace=NO_WAIT) as stores:
        page = await stores.journal.page(ALICE, Wanted(), 100, BEGIN)
        assert page.total == len(page.task_ids)
        found = {}
        for name in page.task_ids:
            task = (await stores.journal.open(name)).task
            binding = await stores.bindings.find(ALICE, task.context_id)
            assert binding is not None
            found[str(name)] = f"{task.state.value} {task.history[0].text} {binding.session.id}"
        return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


def sqlite(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


async def test_a_database_in_use_is_copied_and_comes_back_as_it_was(path: Path, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    await work(sqlite(path), "a", "b")
    async with open_stores(sqlite(path), TurnedClock(), pace=NO_WAIT):
        await back_up_sqlite(path, tmp_path / "backup.db", lambda left, total: heard.append((left, total)))
    await work(sqlite(path), "c")

    await restore_sqlite(tmp_path / "backup.db", path, replace=True)

    assert await tasks(sqlite(path)) == {"a": "completed This is a. ses_a", "b": "completed This is b. ses_b"}
    assert (tmp_path / "backup.db").stat().st_mode & 0o777 == 0o600
    assert heard[-1][0] == 0
    await work(sqlite(path), "d")  # and it is worked on from there


async def test_a_backup_ends_and_sees_one_moment_however_much_is_written_meanwhile(path: Path, tmp_path: Path) -> None:
    await work(sqlite(path), "a")
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("CREATE TABLE much (body BLOB)")
        other.execute("INSERT INTO much VALUES (zeroblob(8000000))")
        other.commit()
        heard: list[int] = []

        def write(left: int, _: int) -> None:
            heard.append(left)
            other.execute("INSERT INTO much VALUES (zeroblob(10))")
            other.commit()
            assert len(heard) < 100, "it begins anew with each write"

        await back_up_sqlite(path, tmp_path / "backup.db", write)

    with closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
        assert copy.execute("SELECT count(*) FROM much").fetchone() == (1,)
    assert heard == sorted(heard, reverse=True)


async def test_a_backup_is_restored_where_there_is_nothing(path: Path, tmp_path: Path) -> None:
    await work(sqlite(path), "a")
    await back_up_sqlite(path, tmp_path / "backup.db")

    await restore_sqlite(tmp_path / "backup.db", tmp_path / "elsewhere" / "tasks.db")

    assert list(await tasks(sqlite(tmp_path / "elsewhere" / "tasks.db"))) == ["a"]


async def test_nothing_is_replaced_unless_that_is_said(path: Path, tmp_path: Path) -> None:
    await work(sqlite(path), "a")
    await back_up_sqlite(path, tmp_path / "backup.db")

    with pytest.raises(StoreUnusable, match="there is a database"):
        await restore_sqlite(tmp_path / "backup.db", path)
    with pytest.raises(StoreUnusable, match="there is a file"):
        await back_up_sqlite(path, tmp_path / "backup.db")


async def test_a_database_that_a_service_uses_is_not_replaced(path: Path, tmp_path: Path) -> None:
    await work(sqlite(path), "a")
    await back_up_sqlite(path, tmp_path / "backup.db")
    async with open_stores(sqlite(path), TurnedClock(), pace=NO_WAIT):
        with pytest.raises(StoreUnusable, match="in use by another process"):
            await restore_sqlite(tmp_path / "backup.db", path, replace=True)

    assert list(await tasks(sqlite(path))) == ["a"]


async def test_of_two_services_on_one_file_the_second_is_refused(path: Path) -> None:
    async with open_stores(sqlite(path), TurnedClock(), pace=NO_WAIT):
        with pytest.raises(StoreUnusable, match="several processes need PostgreSQL"):
            await open_stores(sqlite(path), TurnedClock(), pace=NO_WAIT).__aenter__()
    await work(sqlite(path), "a")


@pytest.mark.parametrize("content", [b"", b"no database at all, by far"])
async def test_what_is_no_backup_is_refused_and_changes_nothing(path: Path, tmp_path: Path, content: bytes) -> None:
    await work(sqlite(path), "a")
    (tmp_path / "other").write_bytes(content)

    with pytest.raises(Exception, match="other"):
        await restore_sqlite(tmp_path / "other", path, replace=True)
    with pytest.raises(StoreUnusable, match="no backup of ours"):
        await restore_postgres(tmp_path / "other", postgres.own_database())

    assert list(await tasks(sqlite(path))) == ["a"]


async def test_without_a_database_there_is_no_backup(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="there is no database"):
        await back_up_sqlite(path, tmp_path / "backup.db")
    assert not (tmp_path / "backup.db").exists()


async def test_a_postgresql_in_use_is_copied_and_comes_back_as_it_was(tmp_path: Path) -> None:
    address = await postgres.emptied()
    url = address.render_as_string(hide_password=False)
    await work(url, "a", "b")
    async with open_stores(url, TurnedClock(), pace=NO_WAIT):
        await back_up_postgres(address, tmp_path / "backup.zip")
    await work(url, "c")
    with pytest.raises(StoreUnusable, match="the database has tasks"):
        await restore_postgres(tmp_path / "backup.zip", address)

    await restore_postgres(tmp_path / "backup.zip", address, replace=True)

    assert await tasks(url) == {"a": "completed This is a. ses_a", "b": "completed This is b. ses_b"}
    await work(url, "d")
    assert sorted(await tasks(url)) == ["a", "b", "d"]


async def test_a_backup_of_postgresql_sees_one_moment(tmp_path: Path) -> None:
    address = await postgres.emptied()
    url = address.render_as_string(hide_password=False)
    await work(url, "a")

    async with asyncio.TaskGroup() as group:
        group.create_task(back_up_postgres(address, tmp_path / "backup.zip"))
        group.create_task(work(url, *map(str, range(20))))
    await restore_postgres(tmp_path / "backup.zip", address, replace=True)

    found = await tasks(url)
    assert "a" in found
    assert all(said.startswith("completed This is") for said in found.values())


async def half_done(stores: Stores) -> None:
    """Leave a task in mid-turn that somebody is still to be told of."""
    message = Message(MessageId("m-1"), Role.USER, (TextPart("Go."),))
    log = await stores.journal.create(TaskId("half"), TaskSubmitted(ContextId("half"), ALICE, message))
    log.append([TurnStarted(Session(SessionId("ses_half"), Directory("/work")), MessageId("msg_1"))])
    await log.durable()
    config = PushConfig(PushConfigId("p"), TaskId("half"), "https://client.example/")
    await stores.push_configs.save(Outbox.begun(config, Seq(1), 0.0).sending(Seq(2)))


async def taken_up(url: str) -> tuple[list[TaskId], str, list[Seq]]:
    """Say what the next life takes up, in which state, and behind what it goes on to tell."""
    async with open_stores(url, TurnedClock(), pace=NO_WAIT) as stores:
        left = list(await stores.replicas.inherit())
        log = await stores.journal.open(TaskId("half"))
        assert log.mine
        return left, log.task.state.value, [outbox.seq for outbox in await stores.push_configs.live()]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_what_a_backup_caught_in_mid_turn_is_taken_up_where_it_is_restored(
    kind: str, path: Path, tmp_path: Path
) -> None:
    address = await postgres.emptied()
    url = sqlite(path) if kind == "sqlite" else address.render_as_string(hide_password=False)
    backup = tmp_path / "backup"
    async with open_stores(url, TurnedClock(), pace=NO_WAIT) as stores:
        await half_done(stores)
        await (back_up_sqlite(path, backup) if kind == "sqlite" else back_up_postgres(address, backup))
        (await stores.journal.open(TaskId("half"))).append([StatusChanged(TaskState.COMPLETED)])
    await work(url, "a")

    if kind == "sqlite":
        await restore_sqlite(backup, path, replace=True)
    else:
        await restore_postgres(backup, address, replace=True)

    assert await taken_up(url) == ([TaskId("half")], "working", [1])
