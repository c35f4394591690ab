"""Little pieces of text that several tasks say at once, on SQLite."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import create_engine

from opencode_a2a_server.adapters.outbound.stores.schema import _config
from opencode_a2a_server.adapters.outbound.stores.sqlite import SqliteStorage
from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.ports.retention import Keeping
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, Seq, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import (
    ArtifactTold,
    BlockKind,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    Update,
)
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import Life, Stores

pytestmark = pytest.mark.anyio

TEXT = ArtifactId("prt_1")
DONE = StatusChanged(TaskState.COMPLETED)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(TurnedClock(), "sqlite", tmp_path)


async def begin(life: Life, *names: str) -> list[TaskLog]:
    message = Message(MessageId("m-1"), Role.USER, (TextPart("Say something."),))
    logs: list[TaskLog] = []
    for name in names:
        log = await life.journal.create(TaskId(name), TaskSubmitted(ContextId("c"), Principal("alice"), message))
        log.append([ArtifactTold(TEXT, BlockKind.TEXT, ())])
        await log.durable()
        logs.append(log)
    return logs


async def say(logs: Sequence[TaskLog], *texts: str) -> None:
    """Have tasks say something in one transaction."""
    for log, text in zip(logs, texts, strict=True):
        log.append([TextAppended(TEXT, text)])
    for log in logs:
        await log.durable()


def count(stores: Stores, *tables: str) -> list[int]:
    return [ask(stores, f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608


def ask(stores: Stores, sql: str) -> Any:
    with closing(sqlite3.connect(stores.path)) as connection:
        ((answer,),) = connection.execute(sql)
    return answer


async def text_of(life: Life, name: str) -> str:
    return (await life.journal.open(TaskId(name))).task.artifacts[TEXT].text


def stores_of(life: Life) -> SqliteStorage:
    assert isinstance(life.storage.beneath, SqliteStorage)
    return life.storage.beneath


async def entries(log: TaskLog, after: int = 0) -> list[str]:
    reader, texts = log.read(Seq(after)), list[str]()
    while reader.position < log.task.seq:
        texts += [one.update.text for one in await reader.next() if isinstance(one.update, TextAppended)]
    return texts


async def test_tasks_that_say_a_little_at_once_share_a_table_and_are_read_from_it(stores: Stores) -> None:
    async with stores.live() as life:
        logs = await begin(life, "t-1", "t-2")
        await say(logs, "Once ", "There ")
        await say(logs, "upon", "was")
        assert count(stores, "updates", "pieces") == [4, 4]
    async with stores.live() as life:
        assert (await text_of(life, "t-1"), await text_of(life, "t-2")) == ("Once upon", "There was")
        assert await entries(await life.journal.open(TaskId("t-1")), 3) == ["upon"]


@pytest.mark.parametrize(
    ("updates", "pieces"),
    [
        ([[TextAppended(TEXT, "alone")]], 0),
        ([[TextAppended(TEXT, "little")], [TextAppended(TEXT, "much " * 110)]], 0),
        ([[TextAppended(TEXT, "little")], [TextAppended(TEXT, "and done"), DONE]], 0),
        ([[TextAppended(TEXT, "little")], [TextAppended(TEXT, "little")], [DONE]], 2),
    ],
    ids=["alone", "much", "a status", "two of three"],
)
async def test_who_has_a_page_to_itself_is_in_its_place_at_once(
    stores: Stores, updates: list[list[Update]], pieces: int
) -> None:
    async with stores.live() as life:
        logs = await begin(life, *(f"t-{number}" for number in range(len(updates))))

        for log, told in zip(logs, updates, strict=True):
            log.append(told)
        await logs[-1].durable()

        assert count(stores, "pieces") == [pieces]


async def test_pieces_are_put_in_their_places_before_they_are_much(stores: Stores) -> None:
    most = 0
    async with stores.live() as life:
        logs = await begin(life, *(f"t-{number}" for number in range(8)))
        for number in range(400):
            await say(logs, *(f"{number} " for _ in logs))
            most = max(most, *count(stores, "pieces"))
        assert 500 < most < 2500
        assert sum(count(stores, "pieces", "updates")) == 8 * 402
    async with stores.live() as life:
        whole = "".join(f"{number} " for number in range(400))
        assert [await text_of(life, f"t-{number}") for number in range(8)] == [whole] * 8


async def test_what_an_earlier_life_left_is_counted(stores: Stores) -> None:
    names = [f"t-{number}" for number in range(8)]
    async with stores.live() as life:
        await begin(life, *names)
    for _ in range(8):
        async with stores.live() as life:
            logs = [await life.journal.open(TaskId(name)) for name in names]
            for number in range(50):
                await say(logs, *(f"{number} " for _ in logs))
    assert count(stores, "pieces")[0] < 2500


async def test_a_piece_that_is_written_again_or_is_in_both_tables_is_read_once(stores: Stores) -> None:
    stores.pace = Pace(linger=0, patience=float("inf"))  # the clock is turned faster than a disk writes
    clock = stores.clock
    assert isinstance(clock, TurnedClock)
    async with stores.live() as life:
        logs = await begin(life, "t-1", "t-2")
        await say(logs, "first", "first")
        life.storage.faults, life.storage.lost = [JournalUnavailable("no answer")], True

        saying = asyncio.ensure_future(say(logs, " twice", " twice"))
        while not saying.done():
            await clock.turn(1)
        await saying
        with closing(sqlite3.connect(stores.path)) as connection, connection:
            connection.execute("INSERT INTO updates SELECT place, at, body FROM pieces WHERE id = 1")
        assert count(stores, "pieces") == [6]
    async with stores.live() as life:
        logs = [await life.journal.open(TaskId(name)) for name in ("t-1", "t-2")]
        assert [await entries(log) for log in logs] == [["first", " twice"]] * 2

        async with stores_of(life).sweeping():
            pass
        assert count(stores, "pieces", "updates") == [0, 8]
        assert [await entries(log) for log in logs] == [["first", " twice"]] * 2


async def test_a_removed_task_leaves_no_piece_behind_for_one_that_gets_its_key(stores: Stores) -> None:
    clock = stores.clock
    assert isinstance(clock, TurnedClock)
    async with stores.live() as life:
        logs = await begin(life, "t-1", "t-2")
        await say(logs, "kept", "gone")
        await say(logs, "kept", "gone")
        logs[1].append([DONE])
        await logs[1].durable()
        await clock.turn(100)

        swept = await life.storage.sweep(Keeping(seconds=50), clock.now())
        (new,) = await begin(life, "t-3")

        assert swept.removed == 1
        assert ask(stores, "SELECT count(*) FROM tasks") == ask(stores, "SELECT max(key) FROM tasks") == 2
        assert (await entries(new), await entries(logs[0])) == ([], ["kept", "kept"])
        assert count(stores, "pieces", "updates") == [0, 6]


async def test_reads_are_bounded_over_both_tables(stores: Stores) -> None:
    async with stores.live() as life:
        logs = await begin(life, "t-1", "t-2")
        for number in range(300):
            await say(logs, str(number), "x")
            await say(logs[:1], "a")
        assert all(count(stores, "pieces", "updates"))
    async with stores.live() as life:
        log = await life.journal.open(TaskId("t-1"))

        assert 0 < len(await log.read(Seq(0)).next()) <= 512
        assert await entries(log) == [text for number in range(300) for text in (str(number), "a")]


async def test_an_earlier_release_finds_everything_in_its_place(stores: Stores) -> None:
    async with stores.live() as life:
        await say(await begin(life, "t-1", "t-2"), "said", "said")
    engine = create_engine(f"sqlite:///{stores.path}")
    with engine.begin() as connection:
        command.downgrade(_config(connection), "0011")
    engine.dispose()

    assert count(stores, "updates") == [6]
    async with stores.live() as life:
        assert await text_of(life, "t-2") == "said"


@pytest.mark.parametrize("seed", range(6))
async def test_however_tasks_take_turns_each_is_read_whole(stores: Stores, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    told: dict[str, list[str]] = {f"t-{number}": [] for number in range(4)}
    async with stores.live() as life:
        await begin(life, *told)
    for _ in range(4):
        async with stores.live() as life:
            logs = {name: await life.journal.open(TaskId(name)) for name in told}
            for _ in range(60):
                for name in chance.sample(sorted(told), chance.randint(1, 4)):
                    text = chance.choice("abcdef") * chance.choice((1, 5, 20, 400, 700))
                    logs[name].append([TextAppended(TEXT, text)])
                    told[name].append(text)
                if chance.random() < 0.7:
                    await logs["t-0"].durable()
            for log in logs.values():
                await log.durable()
            for name, log in logs.items():
                after = chance.randint(0, 10)
                assert await entries(log, after) == told[name][max(0, after - 2) :]
