"""What an operator does with a store while a service serves from it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.stores.backup import (
    back_up_postgres,
    back_up_sqlite,
    restore_postgres,
    restore_sqlite,
)
from opencode_a2a_server.adapters.outbound.stores.care import Care
from opencode_a2a_server.adapters.outbound.stores.errors import SchemaUnknown, StoreUnusable
from opencode_a2a_server.adapters.outbound.stores.opening import Stores, open_stores
from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.ports.retention import Keeping
from opencode_a2a_server.domain.errors import TaskNotFound
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, Seq, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import ArtifactTold, BlockKind, StatusChanged, TaskSubmitted, TextAppended
from tests.fakes import postgres
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

ALICE = Principal("alice")
TEXT = ArtifactId("prt_1")
DAY = 86_400.0
NO_WAIT = Pace(linger=0)


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/tasks.db"
    return (await postgres.emptied()).render_as_string(hide_password=False)


async def begun(stores: Stores, name: str) -> TaskLog:
    message = Message(MessageId("m-1"), Role.USER, (TextPart("Go."),))
    log = await stores.journal.create(TaskId(name), TaskSubmitted(ContextId("c"), ALICE, message))
    log.append([ArtifactTold(TEXT, BlockKind.TEXT, ())])
    return log


async def test_what_has_ended_is_removed_while_a_text_is_told_and_nothing_of_that_is_lost(url: str) -> None:
    clock = TurnedClock()
    async with open_stores(url, clock, pace=NO_WAIT) as stores:
        for number in range(150):
            (await begun(stores, f"old-{number}")).append([StatusChanged(TaskState.COMPLETED)])
        log = await begun(stores, "told")
        await log.durable()
        later = clock.now() + 3 * DAY
        sweeping = asyncio.create_task(Care(url, clock).sweep(Keeping(seconds=DAY), later, dry=False))
        number = 0
        while not sweeping.done() or number < 50:
            log.append([TextAppended(TEXT, f"{number} ")])
            await log.durable()
            number += 1

        assert sweeping.result().removed == 150
        with pytest.raises(TaskNotFound):
            await stores.journal.open(TaskId("old-149"))
        reader, told = log.read(Seq(2)), ""
        while reader.position < log.task.seq:
            told += "".join(
                entry.update.text for entry in await reader.next() if isinstance(entry.update, TextAppended)
            )
    assert told == "".join(f"{each} " for each in range(number))


async def test_a_backup_of_a_newer_release_is_refused_and_replaces_nothing(tmp_path: Path) -> None:
    path, backup, clock = tmp_path / "tasks.db", tmp_path / "backup.db", TurnedClock()
    url = f"sqlite+aiosqlite:///{path}"
    async with open_stores(url, clock, pace=NO_WAIT) as stores:
        await (await begun(stores, "kept")).durable()
    await back_up_sqlite(path, backup)
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    with pytest.raises(SchemaUnknown, match="made by a newer release"):
        await restore_sqlite(backup, path, replace=True)

    async with open_stores(url, clock, pace=NO_WAIT) as stores:
        assert await stores.journal.unfinished() == ["kept"]


@pytest.mark.parametrize("schema", ["9999", "0001"])
async def test_a_backup_of_postgresql_of_another_release_is_refused_and_replaces_nothing(
    tmp_path: Path, schema: str
) -> None:
    address, clock, backup = await postgres.emptied(), TurnedClock(), tmp_path / "backup.zip"
    url = address.render_as_string(hide_password=False)
    async with open_stores(url, clock, pace=NO_WAIT) as stores:
        await (await begun(stores, "kept")).durable()
    await back_up_postgres(address, backup)
    with zipfile.ZipFile(backup) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest | {"schema": schema}))

    with pytest.raises(StoreUnusable, match="restore it with the release that made it"):
        await restore_postgres(tmp_path / "other.zip", address, replace=True)

    async with open_stores(url, clock, pace=NO_WAIT) as stores:
        assert await stores.journal.unfinished() == ["kept"]
