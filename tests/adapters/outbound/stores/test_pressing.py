"""How bodies are made small, and what is in a store that an earlier release wrote."""

from __future__ import annotations

import random
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from opencode_a2a_server.adapters.outbound.stores.errors import SchemaUnknown
from opencode_a2a_server.adapters.outbound.stores.postgres import PostgresStorage
from opencode_a2a_server.adapters.outbound.stores.pressing import pressed, unpressed
from opencode_a2a_server.adapters.outbound.stores.schema import _config, judge
from opencode_a2a_server.domain.errors import JournalDamaged
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.updates import ArtifactTold, BlockKind, TaskSubmitted, TextAppended
from tests.fakes import postgres
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import Stores

pytestmark = pytest.mark.anyio

TASK = TaskId("task-1")
LONG = "It reads a file, counts its lines, and prints the sum. " * 20
NOISE = random.Random(1).randbytes(1000)  # noqa: S311 - what no program makes smaller
UPDATES = (
    ArtifactTold(ArtifactId("prt_1"), BlockKind.TEXT, ()),
    TextAppended(ArtifactId("prt_1"), "Short. "),
    TextAppended(ArtifactId("prt_1"), LONG),
)


@given(st.binary(max_size=2000).map(lambda rest: b"[" + rest))
def test_what_was_pressed_is_given_back(body: bytes) -> None:
    assert unpressed(pressed(body)) == body
    assert len(pressed(body)) <= len(body)


def test_long_text_is_made_small_and_what_gains_nothing_stays() -> None:
    short, noise = b'[1,0,"a few words"]', b"[" + NOISE

    assert len(pressed(LONG.encode())) < len(LONG) / 5
    assert (pressed(short), pressed(noise)) == (short, noise)


@pytest.mark.parametrize("kept", [b"x", b"x\x01garbage", zlib.compress(b"[1]" * 200, 1)[:-1]])
def test_a_damaged_body_is_told(kept: bytes) -> None:
    with pytest.raises(JournalDamaged, match="cannot be read"):
        unpressed(kept)


def submitted(principal: str = "alice") -> TaskSubmitted:
    message = Message(MessageId("m-1"), Role.USER, (TextPart("Say something."),))
    return TaskSubmitted(ContextId("context"), Principal(principal), message)


async def written(stores: Stores) -> None:
    async with stores.live() as life:
        log = await life.journal.create(TASK, submitted())
        await log.durable(log.append(UPDATES))


async def test_only_long_bodies_are_pressed(tmp_path: Path) -> None:
    await written(Stores(TurnedClock(), "sqlite", tmp_path))

    with closing(sqlite3.connect(tmp_path / "tasks.db")) as connection:
        bodies = [body[:1] for (body,) in connection.execute("SELECT body FROM updates ORDER BY place")]

    assert bodies == [b"[", b"[", b"[", b"x"]


async def test_rows_of_an_earlier_release_are_read_beside_new_ones(tmp_path: Path) -> None:
    stores = Stores(TurnedClock(), "sqlite", tmp_path)
    await written(stores)
    engine = create_engine(f"sqlite:///{tmp_path / 'tasks.db'}")
    with engine.begin() as connection:
        command.downgrade(_config(connection), "0010")
        bodies = connection.execute(text("SELECT body FROM updates ORDER BY place")).scalars().all()
    engine.dispose()

    async with stores.live() as life:
        log = await life.journal.open(TASK)
        await log.durable(log.append([TextAppended(ArtifactId("prt_1"), LONG)]))
    async with stores.live() as life:
        task = (await life.journal.open(TASK)).task

    assert {body[:1] for body in bodies} == {b"["}
    assert task.artifacts[ArtifactId("prt_1")].text == "Short. " + LONG * 2


async def test_postgresql_gives_rows_back_to_an_earlier_release(tmp_path: Path) -> None:
    stores = Stores(TurnedClock(), "postgres", tmp_path, prepared=False)
    await written(stores)
    engine = create_async_engine(postgres.own_database())
    async with engine.begin() as connection:
        before = (await connection.execute(text("SELECT body FROM updates ORDER BY place"))).scalars().all()
        await connection.run_sync(lambda sync: command.downgrade(_config(sync), "0010"))
        after = (await connection.execute(text("SELECT body FROM updates ORDER BY place"))).scalars().all()
    await engine.dispose()
    await (await PostgresStorage.open(postgres.own_database(), TurnedClock())).close()

    assert [body[:1] for body in before] == [b"[", b"[", b"[", b"x"]
    assert list(after) == [unpressed(body) for body in before]


def test_a_release_that_cannot_read_pressed_bodies_refuses_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = tuple(f"{number:04}" for number in range(1, 11))
    monkeypatch.setattr("opencode_a2a_server.adapters.outbound.stores.schema._REVISIONS", earlier)

    with pytest.raises(SchemaUnknown, match="newer release"):
        judge("0011", ["updates"])
