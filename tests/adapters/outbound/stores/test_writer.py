"""Commits: shared, tried again, never lost or overtaken."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.domain.errors import InvalidRequest, JournalUnavailable
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, Seq, SessionId, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.session import Binding, Directory, Session
from opencode_a2a_server.domain.updates import ArtifactTold, BlockKind, TaskSubmitted, TextAppended, Update
from tests.fakes.clock import TurnedClock, settled
from tests.fakes.stores import KINDS, Life, Stores, full

pytestmark = pytest.mark.anyio

TEXT = ArtifactId("prt_1")
BOUND = Binding(Principal("alice"), ContextId("context"), Session(SessionId("ses_1"), Directory("/work")))


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def stores(tmp_path: Path, clock: TurnedClock) -> Stores:
    """Give stores whose storage answers at once: the clock can be turned while all others wait for it."""
    return Stores(clock, "memory", tmp_path)


@pytest.fixture(params=KINDS)
def any_stores(request: pytest.FixtureRequest, tmp_path: Path, clock: TurnedClock) -> Stores:
    """Give stores of each kind; some answer from a thread, so that patience has no measure."""
    return Stores(clock, request.param, tmp_path, Pace(linger=0, patience=float("inf")))


async def until_done(clock: TurnedClock, job: asyncio.Future[None]) -> None:
    while not job.done():
        await clock.turn(1)
    await job


@pytest.fixture
async def life(stores: Stores, anyio_backend: str) -> AsyncIterator[Life]:
    async with stores.live() as life:
        yield life


async def begin(journal: Journal, name: str = "task-1") -> TaskLog:
    message = Message(MessageId("m-1"), Role.USER, (TextPart("Say something."),))
    log = await journal.create(TaskId(name), TaskSubmitted(ContextId("context"), Principal("alice"), message))
    log.append([ArtifactTold(TEXT, BlockKind.TEXT, ())])
    return log


def words(*texts: str) -> list[Update]:
    return [TextAppended(TEXT, text) for text in texts]


async def test_what_gathers_during_a_commit_is_committed_together(life: Life) -> None:
    logs = [await begin(life.journal, f"task-{n}") for n in range(20)]
    await asyncio.gather(*(log.durable() for log in logs))
    life.storage.shut()
    for log in logs:
        log.append(words("first"))
    await settled()
    for _ in range(5):
        for log in logs:
            log.append(words("more"))
    life.storage.writes.clear()

    life.storage.gate.set()
    await asyncio.gather(*(log.durable() for log in logs))

    assert [len(batch.rows) for batch in life.storage.writes] == [20, 100]


async def test_a_commit_takes_a_bounded_amount(life: Life) -> None:
    log = await begin(life.journal)
    life.storage.shut()
    await settled()
    for _ in range(25):
        log.append(words("x" * 1_000_000))

    life.storage.gate.set()
    await log.durable()

    sizes = [sum(len(body) for *_, body in batch.rows) for batch in life.storage.writes]
    assert max(sizes) < 6_000_000


async def test_a_commit_that_fails_is_tried_until_it_is_written(
    stores: Stores, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)
        await log.durable()
        life.storage.faults = [full() for _ in range(6)]
        reader = log.read(log.task.seq)

        log.append(words("a", "b"))
        waiting = asyncio.ensure_future(log.durable())
        await clock.turn(0.5)
        log.append(words("c"))
        assert not waiting.done()
        await clock.turn(5)

        await waiting
        await log.durable()
        assert [entry.update for entry in await reader.next()] == words("a", "b", "c")
        assert "full" in caplog.text

    async with stores.live() as life:
        assert (await life.journal.open(TaskId("task-1"))).task.artifacts[TEXT].text == "abc"


async def test_who_waits_too_long_is_told_why(life: Life, clock: TurnedClock) -> None:
    log = await begin(life.journal)
    await log.durable()
    life.storage.faults = [full() for _ in range(1000)]
    log.append(words("a"))
    waiting = asyncio.ensure_future(log.durable())

    await clock.turn(5)

    with pytest.raises(JournalUnavailable, match="full"):
        await waiting
    assert "full" in await life.journal.probe()
    asking = asyncio.ensure_future(life.journal.unfinished())
    await clock.turn(5)
    with pytest.raises(JournalUnavailable):
        await asking

    life.storage.faults.clear()
    await clock.turn(5)
    await log.durable()
    assert await life.journal.probe() == ""


async def test_a_storage_that_hangs_is_noticed(life: Life, clock: TurnedClock) -> None:
    log = await begin(life.journal)
    await log.durable()
    life.storage.shut()
    log.append(words("a"))
    waiting = asyncio.ensure_future(log.durable())

    await clock.turn(5)

    with pytest.raises(JournalUnavailable, match="5 seconds"):
        await waiting
    probing = asyncio.ensure_future(life.journal.probe())
    await clock.turn(5)
    assert "5 seconds" in await probing
    life.storage.gate.set()
    await log.durable()


async def test_whatever_a_storage_raises_the_writer_outlives_it(
    life: Life, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    life.storage.faults = [RuntimeError("a fault of ours")]
    log = await begin(life.journal)

    await clock.turn(1)

    await log.durable()
    assert "a fault of ours" in caplog.text


async def test_a_commit_whose_answer_was_lost_is_not_doubled(any_stores: Stores, clock: TurnedClock) -> None:
    async with any_stores.live() as life:
        life.storage.faults, life.storage.lost = [full() for _ in range(3)], True
        log = await begin(life.journal)
        log.append(words("a", "b"))
        await life.bindings.bind(BOUND)
        await until_done(clock, asyncio.ensure_future(log.durable()))

    async with any_stores.live() as life:
        log = await life.journal.open(TaskId("task-1"))
        assert log.task.artifacts[TEXT].text == "ab"
        assert [entry.seq for entry in await log.read(Seq(0)).next()] == [1, 2, 3, 4]
        assert list(await life.journal.unfinished()) == ["task-1"]
        assert await life.bindings.find(BOUND.principal, BOUND.context_id) == BOUND


async def test_the_backlog_is_bounded_and_then_taken_up_again(stores: Stores) -> None:
    stores.pace = Pace(linger=0, backlog=10_000)
    async with stores.live() as life:
        log = await begin(life.journal)
        await log.durable()
        life.storage.shut()
        while log.task.seq < 70:
            log.append(words("x"))

        with pytest.raises(JournalUnavailable, match="wait to be written"):
            log.append(words(*["x"] * 10))
        with pytest.raises(JournalUnavailable, match="wait to be written"):
            log.append(words("x" * 1000))

        assert log.task.seq == 70
        life.storage.gate.set()
        await log.durable()
        assert log.append(words("y")) == 71


async def test_what_is_larger_than_any_backlog_is_refused_for_good(stores: Stores) -> None:
    stores.pace = Pace(linger=0, backlog=10_000)
    async with stores.live() as life:
        log = await begin(life.journal)

        with pytest.raises(InvalidRequest, match="more than the journal takes"):
            log.append(words("x" * 10_000))

        log.append(words("y"))
        assert log.task.artifacts[TEXT].text == "y"


async def test_a_lingering_writer_commits_the_first_at_once_and_the_next_together(
    stores: Stores, clock: TurnedClock
) -> None:
    stores.pace = Pace(linger=0.005)
    async with stores.live() as life:
        await clock.turn(1)
        log = await begin(life.journal)
        await log.durable()
        await clock.turn(1)
        reader = log.read(log.task.seq)

        log.append(words("a"))
        assert [entry.update for entry in await reader.next()] == words("a")

        log.append(words("b"))
        reading = asyncio.ensure_future(reader.next())
        await clock.turn(0.003)
        log.append(words("c"))
        await clock.turn(0.001)
        assert not reading.done()
        await clock.turn(0.002)
        assert [entry.update for entry in await reading] == words("b", "c")


async def test_a_lingering_writer_hurries_for_who_waits(stores: Stores) -> None:
    stores.pace = Pace(linger=3600)
    async with stores.live() as life:
        log = await begin(life.journal)
        for _ in range(3):
            log.append(words("a"))
            await log.durable()
        for _ in range(25):  # more than one transaction takes
            log.append(words("x" * 1_000_000))
        await log.durable()


async def test_a_lingering_writer_does_not_hold_back_what_fills_a_transaction(stores: Stores) -> None:
    stores.pace = Pace(linger=3600)
    async with stores.live() as life:
        log = await begin(life.journal)
        await log.durable()
        reader = log.read(log.task.seq)

        log.append(words(*["x"] * 9000))

        assert len(await reader.next()) == 512


async def test_leaving_does_not_wait_for_ever(
    stores: Stores, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def live() -> None:
        async with stores.live() as life:
            log = await begin(life.journal)
            await log.durable()
            life.storage.faults = [full() for _ in range(1000)]
            log.append(words("lost"))

    leaving = asyncio.ensure_future(live())
    while not leaving.done():
        await clock.turn(0.5)

    await leaving
    assert any(record.levelno == logging.ERROR and "unwritten" in record.message for record in caplog.records)


async def test_a_journal_that_was_left_takes_nothing_more(stores: Stores) -> None:
    async with stores.live() as life:
        log = await begin(life.journal)

    with pytest.raises(JournalUnavailable, match="closed"):
        log.append(words("late"))

    assert log.task.seq == 2


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_fails_in_between_readers_read_all_in_order(
    any_stores: Stores, clock: TurnedClock, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - for a choice of orders, not for secrets
    expected = [f"<{number}>" for number in range(300)]
    async with any_stores.live() as life:
        log = await begin(life.journal)
        await log.durable()
        reader, read = log.read(log.task.seq), list[str]()

        async def follow() -> None:
            while len(read) < len(expected):
                read.extend(
                    entry.update.text for entry in await reader.next() if isinstance(entry.update, TextAppended)
                )

        following = asyncio.ensure_future(follow())
        left = list(expected)
        while left:
            life.storage.faults += [full()] * chance.choice([0, 0, 1, 3])
            life.storage.lost = chance.random() < 0.5
            count = chance.randint(1, 30)
            log.append(words(*left[:count]))
            del left[:count]
            await clock.turn(chance.choice([0, 0.05, 0.5]))
        await until_done(clock, following)

    assert read == expected
    async with any_stores.live() as life:
        assert (await life.journal.open(TaskId("task-1"))).task.artifacts[TEXT].text == "".join(expected)
