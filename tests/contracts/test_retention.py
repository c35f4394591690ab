"""The contract of the port `Retention`: what is folded, what is removed, and what is never touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.app.ports.tasks import BEGIN, Wanted
from opencode_a2a_server.domain.errors import JournalUnavailable, TaskNotFound
from opencode_a2a_server.domain.ids import (
    ArtifactId,
    ContextId,
    MessageId,
    Principal,
    PushConfigId,
    Seq,
    SessionId,
    TaskId,
)
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.push import Outbox, PushConfig
from opencode_a2a_server.domain.session import Binding, Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import ArtifactTold, BlockKind, StatusChanged, TaskSubmitted, TurnStarted
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import KINDS, Life, Stores

pytestmark = pytest.mark.anyio

ALICE = Principal("alice")
DAY = 86_400.0
STARTED = TurnStarted(Session(SessionId("ses_1"), Directory("/work")), MessageId("msg_1"))


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(params=KINDS)
async def life(
    request: pytest.FixtureRequest, tmp_path: Path, clock: TurnedClock, anyio_backend: str
) -> AsyncIterator[Life]:
    async with Stores(clock, request.param, tmp_path).live() as life:
        yield life


async def work(life: Life, name: str, state: TaskState | None = TaskState.COMPLETED, context: str = "c") -> None:
    """Have a task that has ended so, or not at all; nobody holds it afterwards."""
    message = Message(MessageId("m-1"), Role.USER, (TextPart("Say something."),))
    log = await life.journal.create(TaskId(name), TaskSubmitted(ContextId(context), ALICE, message))
    log.append([STARTED])
    if state is not None:
        log.append([StatusChanged(state, (TextPart("That was it."),))])
    await log.durable()


async def sweep(life: Life, clock: TurnedClock, keeping: Keeping, *, dry: bool = False) -> Swept:
    return await life.storage.sweep(keeping, clock.now(), dry=dry)


async def left(life: Life) -> list[str]:
    page = await life.journal.page(ALICE, Wanted(), 100, BEGIN)
    assert page.total == len(page.task_ids)
    return sorted(page.task_ids)


async def test_without_rules_nothing_is_touched(life: Life, clock: TurnedClock) -> None:
    await work(life, "t-1")
    await clock.turn(1000 * DAY)

    assert await sweep(life, clock, Keeping()) == Swept()
    assert await left(life) == ["t-1"]


async def test_a_task_that_ended_long_ago_is_removed_with_all_that_is_its_own(life: Life, clock: TurnedClock) -> None:
    await work(life, "t-1")
    config = PushConfig(PushConfigId("p"), TaskId("t-1"), "https://client.example/")
    await life.push_configs.save(Outbox.begun(config, Seq(1), 0.0).stop("gone"))
    await clock.turn(3 * DAY)
    await work(life, "t-2")

    swept = await sweep(life, clock, Keeping(seconds=2 * DAY))

    assert (swept.removed, swept.folded, swept.freed > 0) == (1, 0, True)
    assert await left(life) == ["t-2"]
    assert await life.push_configs.of(TaskId("t-1")) == []
    with pytest.raises(TaskNotFound):
        await life.journal.open(TaskId("t-1"))


async def test_who_reads_a_task_that_is_removed_meanwhile_is_told_so_and_never_reads_another(
    life: Life, clock: TurnedClock
) -> None:
    await work(life, "t-1")
    reader = (await life.journal.open(TaskId("t-1"))).read(Seq(0))
    await clock.turn(3 * DAY)
    await sweep(life, clock, Keeping(seconds=2 * DAY))
    await work(life, "t-2")

    with pytest.raises(JournalUnavailable, match="task t-1 has lost what follows"):
        await reader.next()


async def test_a_task_that_has_not_ended_is_never_touched(life: Life, clock: TurnedClock) -> None:
    await work(life, "working", None)
    await work(life, "waiting", TaskState.INPUT_REQUIRED)
    await clock.turn(1000 * DAY)

    swept = await sweep(life, clock, Keeping(stream_seconds=1, seconds=1, tasks=1, size=1))

    assert swept == Swept()
    assert (await life.journal.open(TaskId("working"))).task.seq == 2
    assert len(await life.journal.unfinished()) == 2


async def test_a_task_of_which_somebody_is_still_to_be_told_is_kept_whole(life: Life, clock: TurnedClock) -> None:
    await work(life, "t-1")
    config = PushConfig(PushConfigId("p"), TaskId("t-1"), "https://client.example/")
    await life.push_configs.save(Outbox.begun(config, Seq(1), 0.0))
    await clock.turn(3 * DAY)

    assert await sweep(life, clock, Keeping(stream_seconds=1, seconds=1)) == Swept()


async def work_at_length(life: Life, name: str) -> Seq:
    """Have a task that has ended and is read from its rows, in more than one read; gives its last update."""
    message = Message(MessageId("m-1"), Role.USER, (TextPart("Say something."),))
    log = await life.journal.create(TaskId(name), TaskSubmitted(ContextId("c"), ALICE, message))
    told = [ArtifactTold(ArtifactId(f"a-{n}"), BlockKind.TEXT, (TextPart("x" * 90_000),)) for n in range(9)]
    log.append([STARTED, *told])
    await log.durable(log.append([StatusChanged(TaskState.COMPLETED)]))
    return log.task.seq


async def test_a_task_whose_rows_are_all_there_is_of_it_keeps_them(life: Life, clock: TurnedClock) -> None:
    end = await work_at_length(life, "t-1")
    await clock.turn(3 * DAY)

    swept = await sweep(life, clock, Keeping(stream_seconds=DAY))
    log = await life.journal.open(TaskId("t-1"))

    assert swept == Swept()
    assert (log.task.state, log.task.seq, len(log.task.artifacts)) == (TaskState.COMPLETED, end, 9)
    assert await log.reaches(Seq(0))
    assert (await sweep(life, clock, Keeping(seconds=DAY))).removed == 1


@pytest.mark.parametrize("reads", [0, 1])
async def test_a_task_that_is_removed_while_it_is_read_is_not_found(life: Life, clock: TurnedClock, reads: int) -> None:
    await work_at_length(life, "t-1")
    await clock.turn(3 * DAY)

    async def remove() -> None:
        if life.storage.reads == reads:
            await sweep(life, clock, Keeping(seconds=DAY))

    life.storage.before_read = remove

    with pytest.raises(TaskNotFound):
        await life.journal.open(TaskId("t-1"))


async def test_a_folded_task_is_whole_and_its_stream_is_read_no_more(life: Life, clock: TurnedClock) -> None:
    await work(life, "t-1")
    await clock.turn(DAY)

    swept = await sweep(life, clock, Keeping(stream_seconds=DAY))

    assert (swept.folded, swept.removed, swept.freed > 0) == (1, 0, True)
    log = await life.journal.open(TaskId("t-1"))
    assert (log.task.state, log.task.seq) == (TaskState.COMPLETED, 3)
    assert not await log.reaches(Seq(1))
    assert await log.reaches(Seq(3))
    assert await sweep(life, clock, Keeping(stream_seconds=DAY)) == Swept()


async def test_the_stream_of_a_task_that_ended_lately_is_read_on(life: Life, clock: TurnedClock) -> None:
    await work(life, "t-1")
    await clock.turn(DAY / 2)

    await sweep(life, clock, Keeping(stream_seconds=DAY))

    log = await life.journal.open(TaskId("t-1"))
    assert await log.reaches(Seq(1))
    assert [entry.seq for entry in await log.read(Seq(1)).next()] == [2, 3]


async def test_of_too_many_those_which_began_first_go(life: Life, clock: TurnedClock) -> None:
    await work(life, "old-and-working", None)
    for number in range(5):
        await work(life, f"t-{number}")

    swept = await sweep(life, clock, Keeping(tasks=2))

    assert swept.removed == 3
    assert await left(life) == ["old-and-working", "t-3", "t-4"]


async def test_of_too_many_bytes_those_which_began_first_go(life: Life, clock: TurnedClock) -> None:
    for number in range(3):
        await work(life, f"t-{number}")

    swept = await sweep(life, clock, Keeping(size=1))

    assert (swept.removed, await left(life)) == (3, [])


async def test_a_dry_sweep_says_what_a_sweep_does_and_does_nothing(life: Life, clock: TurnedClock) -> None:
    for number in range(70):  # more than one step
        await work(life, f"t-{number:02d}", context=f"c-{number}")
    await life.bindings.bind(Binding(ALICE, ContextId("unused"), STARTED.session))
    await life.journal.unfinished()  # all is written
    await clock.turn(3 * DAY)
    rules = Keeping(stream_seconds=1, seconds=2 * DAY)

    dry = await sweep(life, clock, rules, dry=True)

    assert len(await left(life)) == 70
    assert await sweep(life, clock, rules) == dry
    assert (dry.removed, dry.bindings) == (70, 1)
    assert await left(life) == []


async def test_a_binding_goes_with_the_last_task_of_its_context_and_not_before(life: Life, clock: TurnedClock) -> None:
    await life.bindings.bind(Binding(ALICE, ContextId("c"), STARTED.session))
    await clock.turn(3 * DAY)
    await work(life, "t-1", context="c")
    rules = Keeping(seconds=2 * DAY)

    first = await sweep(life, clock, rules)
    kept = await life.storage.find(ALICE, ContextId("c"))
    await clock.turn(3 * DAY)
    second = await sweep(life, clock, rules)

    assert (first.bindings, kept is not None) == (0, True)
    assert (second.removed, second.bindings) == (1, 1)
    assert await life.storage.find(ALICE, ContextId("c")) is None
