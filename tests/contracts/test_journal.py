"""The contract of the ports `Journal`, `TaskLog` and `Reader`, for each of their storages."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve

from opencode_a2a_server.app.ports.journal import Journal, Reader, TaskLog
from opencode_a2a_server.app.ports.tasks import BEGIN, Wanted
from opencode_a2a_server.domain.errors import IllegalTransition, InvalidRequest, TaskNotFound
from opencode_a2a_server.domain.ids import (
    ArtifactId,
    ContextId,
    MessageId,
    Principal,
    RequestId,
    Seq,
    SessionId,
    TaskId,
)
from opencode_a2a_server.domain.interrupt import Permission
from opencode_a2a_server.domain.message import DataPart, Message, Role, TextPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import (
    ArtifactTold,
    BlockKind,
    Entry,
    InterruptRaised,
    InterruptResolved,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
    Update,
)
from tests.fakes.clock import TurnedClock, settled
from tests.fakes.stores import KINDS, Life, Stores

pytestmark = pytest.mark.anyio

TASK = TaskId("task-1")
TEXT = ArtifactId("prt_1")
SUBMITTED = TaskSubmitted(
    ContextId("context-1"),
    Principal("alice"),
    Message(MessageId("m-1"), Role.USER, (TextPart("Say something."),)),
)
STARTED = TurnStarted(Session(SessionId("ses_1"), Directory("/work")), MessageId("msg_1"))
TOLD = ArtifactTold(TEXT, BlockKind.TEXT, (TextPart("Once"),), MessageId("msg_2"))
COMPLETED = StatusChanged(TaskState.COMPLETED)
ASKED = InterruptRaised(Permission(RequestId("per_1"), SessionId("ses_1"), "bash", ("ls",)))
ANSWERED = InterruptResolved(RequestId("per_1"), "once", Principal("alice"))


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest, tmp_path: Path, clock: TurnedClock) -> Stores:
    return Stores(clock, request.param, tmp_path)


@pytest.fixture
async def life(stores: Stores, anyio_backend: str) -> AsyncIterator[Life]:
    async with stores.live() as life:
        yield life


async def begin(journal: Journal, task_id: TaskId = TASK) -> TaskLog:
    """Begin a task which tells one text."""
    log = await journal.create(task_id, SUBMITTED)
    log.append([STARTED, TOLD])
    return log


def words(*texts: str) -> list[Update]:
    return [TextAppended(TEXT, text) for text in texts]


async def read_upto(reader: Reader, seq: Seq) -> list[Entry]:
    """Read on to an entry; none may be missing or come twice."""
    entries: list[Entry] = []
    while reader.position < seq:
        before = reader.position
        entries += await reader.next()
        assert entries[-1].seq == reader.position > before
    return entries


def numbers(entries: list[Entry]) -> list[int]:
    return [entry.seq for entry in entries]


def whole(task: Task) -> Task:
    """Fold the pieces of each text, so that tasks which read the same are equal."""
    for artifact in task.artifacts.values():
        assert artifact.parts is not None
    return task


# Beginning and opening


async def test_a_task_that_was_created_can_be_opened_by_others(life: Life) -> None:
    log = await life.journal.create(TASK, SUBMITTED)

    assert await life.journal.open(TASK) is log
    assert log.task.state is TaskState.SUBMITTED
    assert log.task.history == [SUBMITTED.message]


async def test_a_task_nobody_created_is_not_found(life: Life) -> None:
    with pytest.raises(TaskNotFound):
        await life.journal.open(TaskId("nobody's"))


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
async def test_what_no_store_could_keep_is_looked_for_like_anything_that_is_not_there(life: Life, name: str) -> None:
    alice = Principal("alice")
    with pytest.raises(TaskNotFound):
        await life.journal.open(TaskId(name))

    assert await life.bindings.find(alice, ContextId(name)) is None
    assert await life.interrupts.find(alice, RequestId(name)) is None
    assert list(await life.push_configs.of(TaskId(name))) == []
    assert (await life.journal.page(alice, Wanted(context_id=ContextId(name)), 5, BEGIN)).total == 0


async def test_a_task_is_not_created_twice(life: Life) -> None:
    log = await life.journal.create(TASK, SUBMITTED)

    with pytest.raises(IllegalTransition):
        await life.journal.create(TASK, SUBMITTED)

    assert log.task.seq == 1


async def test_all_who_open_a_task_at_once_hold_the_same_log(stores: Stores) -> None:
    async with stores.live() as life:
        await begin(life.journal)

    async with stores.live() as life:
        logs = await asyncio.gather(*(life.journal.open(TASK) for _ in range(10)))

        assert len({id(log) for log in logs}) == 1
        assert life.storage.loads == 1


async def test_one_who_gives_up_opening_does_not_disturb_the_others(stores: Stores) -> None:
    async with stores.live() as life:
        await begin(life.journal)

    async with stores.live() as life:
        first, second = (asyncio.ensure_future(life.journal.open(TASK)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()

        assert (await second).task.seq == 3


async def test_a_log_nobody_holds_takes_no_memory(life: Life) -> None:
    log = await begin(life.journal)
    await log.durable()
    gone = weakref.ref(log)

    del log
    gc.collect()

    assert gone() is None
    assert (await life.journal.open(TASK)).task.seq == 3


async def test_a_log_stays_open_while_its_entries_are_on_their_way(life: Life) -> None:
    life.storage.shut()
    log = await begin(life.journal)
    known = weakref.ref(log)
    del log
    gc.collect()

    assert await life.journal.open(TASK) is known()

    life.storage.gate.set()


# Appending


async def test_what_is_appended_shows_in_the_task_at_once(life: Life) -> None:
    log = await begin(life.journal)

    seq = log.append(words(" upon", " a time"))

    assert seq == log.task.seq == 5
    assert log.task.artifacts[TEXT].text == "Once upon a time"


async def test_entries_bear_the_time_of_their_appending(life: Life, clock: TurnedClock) -> None:
    log = await begin(life.journal)
    began = clock.now()
    await clock.turn(7)
    log.append(words(" more"))

    entries = await read_upto(log.read(Seq(0)), log.task.seq)

    assert [entry.at - began for entry in entries] == [0, 0, 0, 7]


async def test_appending_nothing_adds_nothing(life: Life) -> None:
    log = await begin(life.journal)

    assert log.append([]) == log.task.seq == 3


@pytest.mark.parametrize(
    "illegal",
    [
        [*words(" lost"), SUBMITTED],
        [*words(" lost"), StatusChanged(TaskState.SUBMITTED)],
        [COMPLETED, *words(" late")],
        [COMPLETED, ANSWERED],
        [TextAppended(ArtifactId("unknown"), "lost")],
        [ArtifactTold(ArtifactId("new"), BlockKind.CONTENT, (DataPart(1),)), TextAppended(ArtifactId("new"), "lost")],
        [ArtifactTold(TEXT, BlockKind.TOOL, (DataPart(1),)), *words(" lost")],
    ],
)
async def test_an_illegal_update_adds_nothing_of_what_came_with_it(life: Life, illegal: list[Update]) -> None:
    log = await begin(life.journal)

    with pytest.raises(IllegalTransition):
        log.append(illegal)

    assert (log.task.seq, log.task.state, list(log.task.artifacts)) == (3, TaskState.WORKING, [TEXT])
    log.append([*words(" upon"), ArtifactTold(ArtifactId("next"), BlockKind.TEXT, (TextPart("x"),))])
    log.append([TextAppended(ArtifactId("next"), "y")])
    entries = await read_upto(log.read(Seq(3)), log.task.seq)
    assert numbers(entries) == [4, 5, 6]
    assert log.task.artifacts[TEXT].text == "Once upon"


@pytest.mark.parametrize(
    "unwritable",
    [
        words(" half of a smile: \ud83d"),
        [ArtifactTold(ArtifactId("new"), BlockKind.TOOL, (DataPart({"output": "\udc00"}),))],
        [ArtifactTold(ArtifactId("new"), BlockKind.TOOL, (DataPart(object()),))],  # type: ignore[arg-type]
    ],
)
async def test_what_cannot_be_written_is_refused_alone(stores: Stores, unwritable: list[Update]) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)

        with pytest.raises(InvalidRequest):
            log.append([*words(" lost"), *unwritable])

        log.append([ArtifactTold(ArtifactId("next"), BlockKind.TEXT, ()), TextAppended(ArtifactId("next"), "kept")])
        await log.durable()

    async with stores.live() as life:
        assert (await life.journal.open(TASK)).task.artifacts[ArtifactId("next")].text == "kept"


@pytest.mark.parametrize("name", ["half \ud83d", "null \0"])
async def test_a_context_whose_name_cannot_be_kept_is_refused(life: Life, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await life.journal.create(TASK, TaskSubmitted(ContextId(name), Principal("alice"), SUBMITTED.message))

    with pytest.raises(TaskNotFound):
        await life.journal.open(TASK)


@pytest.mark.parametrize(
    "state", [TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED], ids=lambda s: s.value
)
async def test_nothing_follows_a_terminal_state(stores: Stores, state: TaskState) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)
        log.append([StatusChanged(state)])

        with pytest.raises(IllegalTransition):
            log.append(words(" late"))

    async with stores.live() as life:
        log = await life.journal.open(TASK)

        with pytest.raises(IllegalTransition):
            log.append(words(" later"))

        assert (log.task.seq, log.task.state) == (4, state)


# Reading


async def test_a_reader_gets_what_follows_its_place(life: Life) -> None:
    log = await begin(life.journal)
    log.append(words(" upon", " a time"))
    await log.durable()
    reader = log.read(Seq(3))

    entries = await reader.next()

    assert [entry.update for entry in entries] == words(" upon", " a time")
    assert reader.position == 5


async def test_a_reader_waits_for_what_is_not_there_yet(life: Life) -> None:
    log = await begin(life.journal)
    await log.durable()
    reader = log.read(log.task.seq)
    reading = asyncio.ensure_future(reader.next())
    await settled()
    assert not reading.done()

    log.append(words(" upon"))

    assert [entry.update for entry in await reading] == words(" upon")


async def test_a_reader_sees_only_what_is_durable(life: Life) -> None:
    log = await begin(life.journal)
    await log.durable()
    life.storage.shut()
    reader = log.read(Seq(0))

    log.append(words(" upon"))

    assert numbers(await read_upto(reader, Seq(3))) == [1, 2, 3]
    reading = asyncio.ensure_future(reader.next())
    await settled()
    assert not reading.done()
    life.storage.gate.set()
    assert numbers(list(await reading)) == [4]


async def test_patience_ends_with_nothing_and_the_reader_goes_on(life: Life, clock: TurnedClock) -> None:
    log = await begin(life.journal)
    await log.durable()
    reader = log.read(log.task.seq)
    reading = asyncio.ensure_future(reader.next(patience=3))

    await clock.turn(3)

    assert list(await reading) == []
    assert clock.waiting == 0
    log.append(words(" upon"))
    assert numbers(list(await reader.next(patience=3))) == [4]


async def test_a_reader_that_is_cancelled_loses_nothing(life: Life) -> None:
    log = await begin(life.journal)
    await log.durable()
    reader = log.read(log.task.seq)
    reading = asyncio.ensure_future(reader.next())
    await settled()
    log.append(words(" upon"))
    reading.cancel()
    await asyncio.wait([reading])

    assert numbers(list(await reader.next())) == [4]


async def test_readers_of_any_speed_read_the_same(life: Life) -> None:
    log = await begin(life.journal)
    eager, slow = log.read(Seq(0)), log.read(Seq(0))
    read: list[Entry] = []
    for part in range(30):
        seq = log.append(words(*(f" {part}.{n}" for n in range(40))))
        await log.durable()
        read += await read_upto(eager, seq)

    late = log.read(Seq(0))

    assert numbers(read) == list(range(1, log.task.seq + 1))
    assert await read_upto(slow, log.task.seq) == await read_upto(late, log.task.seq) == read


async def test_one_read_gives_a_bounded_number(life: Life) -> None:
    log = await begin(life.journal)
    log.append(words(*["x"] * 1000))
    await log.durable()
    await log.durable(log.append(words("y")))

    for reader in (log.read(Seq(0)), log.read(Seq(500))):
        assert len(await reader.next()) <= 512


async def test_one_read_gives_a_bounded_amount_of_text(stores: Stores) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)
        log.append(words(*["x" * 100_000] * 10))
        await log.durable()
        live = [len(await reader.next()) for reader in [log.read(Seq(3))] for _ in range(5)]
    async with stores.live() as life:
        log = await life.journal.open(TASK)
        stored = [len(await reader.next()) for reader in [log.read(Seq(3))] for _ in range(5)]

    assert live == stored == [2, 2, 2, 2, 2]


async def test_an_entry_larger_than_one_read_is_read_alone(stores: Stores) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)
        log.append(words("x", "y" * 1_000_000, "z"))
        await log.durable()
        reader = log.read(Seq(3))
        live = [len(await reader.next()) for _ in range(3)]
    async with stores.live() as life:
        reader = (await life.journal.open(TASK)).read(Seq(3))
        stored = [len(await reader.next()) for _ in range(3)]

    assert live == stored == [1, 1, 1]


async def test_a_reader_that_keeps_up_never_troubles_the_storage(life: Life) -> None:
    log = await begin(life.journal)
    reader = log.read(Seq(0))

    for _ in range(3):
        seq = log.append(words(*["x"] * 2000))
        await read_upto(reader, seq)

    assert life.storage.reads == 0


async def test_a_reader_far_behind_reads_from_the_storage_and_then_live(life: Life) -> None:
    log = await begin(life.journal)
    for _ in range(5):
        log.append(words(*["x"] * 300))
        await log.durable()
    reader = log.read(Seq(0))

    entries = await read_upto(reader, log.task.seq)

    assert numbers(entries) == list(range(1, 1504))
    assert life.storage.reads > 0
    behind = life.storage.reads
    await read_upto(reader, log.append(words("y")))
    assert life.storage.reads == behind


async def test_one_commit_is_one_wake_for_a_reader(life: Life) -> None:
    log = await begin(life.journal)
    await log.durable()
    reader = log.read(log.task.seq)
    reading = asyncio.ensure_future(reader.next())
    await settled()

    for _ in range(50):
        log.append(words("x"))

    assert len(await reading) == 50


@pytest.mark.parametrize("seed", range(8))
async def test_subscribing_misses_nothing_and_repeats_nothing(life: Life, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - for a choice of orders, not for secrets
    log = await begin(life.journal)
    total = 600

    async def tell() -> None:
        while log.task.seq < total:
            log.append(words(*(f"<{log.task.seq + n}>" for n in range(chance.randint(1, 40)))))
            for _ in range(chance.randint(0, 6)):
                await asyncio.sleep(0)
        log.append([COMPLETED])

    async def follow() -> str:
        for _ in range(chance.randint(0, 60)):
            await asyncio.sleep(0)
        text, seq = log.task.artifacts[TEXT].text, log.task.seq
        reader = log.read(seq)
        while not (log.task.state.terminal and reader.position == log.task.seq):
            for entry in await reader.next():
                seq = Seq(seq + 1)
                assert entry.seq == seq
                text += entry.update.text if isinstance(entry.update, TextAppended) else ""
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        return text

    *texts, _ = await asyncio.gather(*(follow() for _ in range(6)), tell())

    assert set(texts) == {log.task.artifacts[TEXT].text}


# Another life


async def test_a_restart_finds_the_same_task_and_the_same_entries(stores: Stores) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)
        log.append([*words(" upon"), ASKED])
        log.append([ANSWERED, *words(" a time"), TextAppended(TEXT, ".", last=True)])
        await log.durable()
        before, entries = whole(log.task), await read_upto(log.read(Seq(0)), log.task.seq)

    async with stores.live() as life:
        again = await life.journal.open(TASK)

        assert whole(again.task) == before
        assert await read_upto(again.read(Seq(0)), again.task.seq) == entries


async def test_a_restart_goes_on_where_the_task_was(stores: Stores) -> None:
    async with stores.live() as life:
        await begin(life.journal)

    for part in range(3):
        async with stores.live() as life:
            log = await life.journal.open(TASK)
            log.append([ASKED, ANSWERED, *words(f" {part}")])
            log.append([ArtifactTold(ArtifactId(f"more-{part}"), BlockKind.TEXT, ())])
            log.append([TextAppended(ArtifactId(f"more-{part}"), f"text {part}")])

    async with stores.live() as life:
        log = await life.journal.open(TASK)
        told = {artifact.id: artifact.text for artifact in log.task.artifacts.values()}
        assert told == {TEXT: "Once 0 1 2", "more-0": "text 0", "more-1": "text 1", "more-2": "text 2"}
        assert numbers(await read_upto(log.read(Seq(0)), log.task.seq)) == list(range(1, 19))


async def test_leaving_writes_what_waits(stores: Stores) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)
        log.append(words(*["x"] * 3000))

    async with stores.live() as life:
        assert (await life.journal.open(TASK)).task.seq == 3003


async def test_a_finished_task_is_opened_by_one_look_up(stores: Stores) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)
        log.append(words(*["x"] * 3000))
        log.append([COMPLETED])

    async with stores.live() as life:
        log = await life.journal.open(TASK)

        assert (life.storage.loads, life.storage.reads) == (1, 0)
        assert log.task.artifacts[TEXT].text == "Once" + "x" * 3000


async def test_a_long_text_in_few_rows_is_not_written_again_at_the_end(stores: Stores) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)
        for _ in range(50):
            log.append(words("x" * 1000))
        await log.durable(log.append([COMPLETED]))
        standings = [standing for batch in life.storage.writes for standing in batch.standings.values()]
        before = log.task

    async with stores.live() as life:
        log = await life.journal.open(TASK)

        assert [standing.snapshot for standing in standings] == [None] * len(standings)
        assert (life.storage.loads, life.storage.reads) == (1, 1)
        assert whole(log.task) == whole(before)
        assert log.task.artifacts[TEXT].text == "Once" + "x" * 50_000
        assert (await log.read(Seq(0)).next())[0].seq == 1


@pytest.mark.parametrize(
    ("rows", "length"),
    [(20, 1000), (1000, 100)],
    ids=["little", "many rows"],
)
async def test_what_rows_would_not_give_as_quickly_is_written_at_the_end(life: Life, rows: int, length: int) -> None:
    log = await begin(life.journal)
    for _ in range(rows):
        log.append(words("x" * length))
    await log.durable(log.append([COMPLETED]))

    standings = [standing for batch in life.storage.writes for standing in batch.standings.values()]

    assert standings[-1].snapshot is not None


async def test_what_was_said_anew_each_time_is_written_once_at_the_end(life: Life) -> None:
    log = await begin(life.journal)
    for _ in range(20):
        log.append([evolve(TOLD, parts=(TextPart("x" * 5000),))])
    await log.durable(log.append([COMPLETED]))

    standings = [standing for batch in life.storage.writes for standing in batch.standings.values()]

    assert standings[-1].snapshot is not None
    assert len(standings[-1].snapshot.body) < 10_000


async def test_a_task_that_waits_is_opened_from_its_snapshot(stores: Stores) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)
        log.append(words(*["x"] * 3000))
        log.append([ASKED])
        log.append([ANSWERED, *words("y")])

    async with stores.live() as life:
        log = await life.journal.open(TASK)

        assert life.storage.reads == 2  # what followed, and that there is no more
        assert log.task.artifacts[TEXT].text == "Once" + "x" * 3000 + "y"


async def test_snapshots_of_a_task_that_waits_often_stay_in_proportion(life: Life) -> None:
    log = await begin(life.journal)
    for _ in range(100):
        log.append([*words("x" * 1000), ASKED])
        log.append([ANSWERED])
        await log.durable()

    standings = [standing for batch in life.storage.writes for standing in batch.standings.values()]

    assert sum(len(standing.snapshot.body) for standing in standings if standing.snapshot) < 2.5 * 100_000


async def test_unfinished_tasks_are_named_oldest_first(stores: Stores, clock: TurnedClock) -> None:
    async with stores.live() as life:
        for name in ("d", "b", "c", "a"):
            log = await begin(life.journal, TaskId(name))
            await clock.turn(1)
            if name == "b":
                log.append([COMPLETED])
            if name == "c":
                log.append([ASKED])
        assert list(await life.journal.unfinished()) == ["d", "c", "a"]

    async with stores.live() as life:
        assert list(await life.journal.unfinished()) == ["d", "c", "a"]
        (await life.journal.open(TaskId("d"))).append([StatusChanged(TaskState.CANCELED)])
        assert list(await life.journal.unfinished()) == ["c", "a"]


async def test_a_store_that_takes_writes_has_nothing_wrong(life: Life) -> None:
    assert await life.journal.probe() == ""
