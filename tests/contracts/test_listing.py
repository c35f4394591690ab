"""The contract of `Journal.page`, for each storage and for the fake."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.ports.tasks import BEGIN, Page, Place, Wanted
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, SessionId, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import StatusChanged, TaskSubmitted, TurnStarted, Update
from tests.fakes.clock import TurnedClock
from tests.fakes.journal import FakeJournal
from tests.fakes.stores import KINDS, Stores

pytestmark = pytest.mark.anyio

ALICE, BOB = Principal("alice"), Principal("bob")
STARTED = TurnStarted(Session(SessionId("ses_1"), Directory("/work")), MessageId("msg_1"))
COMPLETED = StatusChanged(TaskState.COMPLETED)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(params=[*KINDS, "fake"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path, clock: TurnedClock) -> AsyncIterator[Journal]:
    if request.param == "fake":
        yield FakeJournal(clock)
        return
    async with Stores(clock, request.param, tmp_path).live() as life:
        yield life.journal


async def begin(journal: Journal, name: str, owner: Principal = ALICE, context: str = "context-1") -> TaskLog:
    message = Message(MessageId("m-1"), Role.USER, (TextPart("Say something."),))
    return await journal.create(TaskId(name), TaskSubmitted(ContextId(context), owner, message))


async def begin_some(journal: Journal, clock: TurnedClock, count: int) -> list[TaskLog]:
    """Begin tasks, two at each moment."""
    logs = []
    for number in range(count):
        logs.append(await begin(journal, f"task-{number:03}"))
        if number % 2:
            await clock.turn(1)
    return logs


async def everything(journal: Journal, wanted: Wanted, size: int) -> list[str]:
    """Read page after page."""
    names: list[str] = []
    place: Place | None = BEGIN
    while place is not None:
        page = await journal.page(ALICE, wanted, size, place)
        assert len(page.task_ids) <= size
        names += page.task_ids
        place = page.next
    return names


async def first(journal: Journal, wanted: Wanted | None = None, owner: Principal = ALICE) -> Page:
    return await journal.page(owner, wanted or Wanted(), 10, BEGIN)


async def test_who_has_no_tasks_gets_an_empty_list(journal: Journal) -> None:
    assert await first(journal) == Page([], 0)


async def test_a_task_is_listed_at_once(journal: Journal) -> None:
    await begin(journal, "task-1")

    assert await first(journal) == Page([TaskId("task-1")], 1)


async def test_nobody_sees_anothers_tasks(journal: Journal) -> None:
    await begin(journal, "task-1")

    assert await first(journal, owner=BOB) == Page([], 0)


async def test_the_newest_status_comes_first(journal: Journal, clock: TurnedClock) -> None:
    logs = await begin_some(journal, clock, 3)
    await clock.turn(5)
    logs[0].append([STARTED])

    assert (await first(journal)).task_ids == ["task-000", "task-002", "task-001"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_pages_together_are_the_list(journal: Journal, clock: TurnedClock, size: int) -> None:
    await begin_some(journal, clock, 7)

    assert await everything(journal, Wanted(), size) == [f"task-{number:03}" for number in range(6, -1, -1)]


async def test_a_page_says_how_long_the_list_is_and_whether_it_goes_on(journal: Journal, clock: TurnedClock) -> None:
    await begin_some(journal, clock, 4)

    full = await journal.page(ALICE, Wanted(), 4, BEGIN)
    part = await journal.page(ALICE, Wanted(), 3, BEGIN)

    assert (len(full.task_ids), full.total, full.next) == (4, 4, None)
    assert (len(part.task_ids), part.total, part.next) == (3, 4, Place(clock.now() - 2, TaskId("task-001")))


@pytest.mark.parametrize("context", [None, "context-1", "context-2"])
@pytest.mark.parametrize("state", [None, TaskState.SUBMITTED, TaskState.WORKING, TaskState.COMPLETED])
@pytest.mark.parametrize("age", [None, 0, 3, 100])
async def test_filters_choose_and_count(
    journal: Journal, clock: TurnedClock, context: str | None, state: TaskState | None, age: int | None
) -> None:
    logs = [await begin(journal, f"task-{number}", context=f"context-{number % 2 + 1}") for number in range(6)]
    said: list[list[Update]] = [[], [], [STARTED], [STARTED], [STARTED, COMPLETED], [STARTED, COMPLETED]]
    for log, updates in zip(logs, said, strict=True):
        await clock.turn(1)
        log.append(updates)
    since = None if age is None else clock.now() - age
    wanted = Wanted(None if context is None else ContextId(context), state, since)
    expected = {log.task.id for log in logs if wanted.fits(log.task)}

    page = await first(journal, wanted)

    assert (set(page.task_ids), page.total) == (expected, len(expected))


@pytest.mark.parametrize("seed", range(6))
async def test_what_does_not_change_is_listed_once_whatever_else_does(
    journal: Journal, clock: TurnedClock, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - for a choice of orders, not for secrets
    logs = await begin_some(journal, clock, 40)
    changed: set[str] = set()
    names: list[str] = []
    place: Place | None = BEGIN
    while place is not None:
        page = await journal.page(ALICE, Wanted(), chance.randint(1, 7), place)
        names += page.task_ids
        place = page.next
        await clock.turn(chance.randint(0, 1))
        for log in chance.sample([log for log in logs if not log.task.state.terminal], 2):
            log.append([STARTED, COMPLETED] if chance.random() < 0.5 else [STARTED])
            changed.add(log.task.id)
        await begin(journal, f"new-{len(names)}")

    still = [name for name in names if name not in changed]
    assert len(still) == len(set(still))
    assert {log.task.id for log in logs} - changed <= set(still)
    assert not [name for name in names if name.startswith("new-")]
