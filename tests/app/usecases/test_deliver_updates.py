"""Notifications: all of a task's updates, in order, whatever the receiver does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import define

from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.ports.notifier import Undelivered
from opencode_a2a_server.app.usecases.create_push_config import CreatePushConfig
from opencode_a2a_server.app.usecases.delete_push_config import DeletePushConfig
from opencode_a2a_server.app.usecases.deliver_updates import DeliverUpdates, PushPace
from opencode_a2a_server.app.usecases.get_push_config import GetPushConfig
from opencode_a2a_server.app.usecases.list_push_configs import ListPushConfigs
from opencode_a2a_server.domain.errors import InvalidRequest, TaskNotFound
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
from opencode_a2a_server.domain.push import PushConfig, Words
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import (
    ArtifactTold,
    BlockKind,
    Entry,
    MessageReceived,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
)
from tests.conformance.clauses import clause
from tests.fakes.clock import TurnedClock
from tests.fakes.ids import CountedIds
from tests.fakes.notifier import FakeNotifier
from tests.fakes.stores import KINDS, Life, Stores

pytestmark = pytest.mark.anyio

ALICE, BOB, TASK, TEXT = Principal("alice"), Principal("bob"), TaskId("task-1"), ArtifactId("prt_1")
SAID = Message(MessageId("m-1"), Role.USER, (TextPart("hello"),))
STARTED = TurnStarted(Session(SessionId("ses_1"), Directory("/work")), MessageId("msg_1"))
TOLD = ArtifactTold(TEXT, BlockKind.TEXT, (TextPart(""),))
COMPLETED = StatusChanged(TaskState.COMPLETED)
PACE = PushPace(gather=0)


class Plain:
    """The port `Wording`: a text as itself, a message as nothing, other updates as their kind, a task as its state."""

    def updates(self, _task: Task) -> Callable[[Entry], bytes]:
        return self.update

    def update(self, entry: Entry) -> bytes:
        update = entry.update
        if isinstance(update, MessageReceived):
            return b""
        return update.text.encode() if isinstance(update, TextAppended) else type(update).__name__.encode()

    def standing(self, task: Task) -> bytes:
        return task.state.value.encode()

    def brief(self, _body: bytes) -> bytes:
        return b"brief"


@define(eq=False)
class House:
    life: Life
    clock: TurnedClock
    notifier: FakeNotifier
    deliver: DeliverUpdates
    create: CreatePushConfig
    delete: DeletePushConfig
    get: GetPushConfig
    listed: ListPushConfigs

    async def begin(self) -> TaskLog:
        log = await self.life.journal.create(TASK, TaskSubmitted(ContextId("context"), ALICE, SAID))
        await log.durable()
        return log

    @property
    def bodies(self) -> list[str]:
        return [body.decode() for _, _, body in self.notifier.got]


@asynccontextmanager
async def living(stores: Stores, notifier: FakeNotifier, pace: PushPace = PACE) -> AsyncIterator[House]:
    clock = stores.clock
    assert isinstance(clock, TurnedClock)
    async with stores.live() as life:
        journal, configs = life.journal, life.push_configs
        deliver = DeliverUpdates(journal, configs, notifier, Plain(), clock, lambda: 1.0, pace)
        async with deliver:
            yield House(
                life,
                clock,
                notifier,
                deliver,
                CreatePushConfig(journal, configs, notifier, deliver, CountedIds("c"), clock, most=2),
                DeletePushConfig(journal, configs, deliver),
                GetPushConfig(journal, configs),
                ListPushConfigs(journal, configs),
            )


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return Stores(TurnedClock(), request.param, tmp_path)


@pytest.fixture
async def house(tmp_path: Path, anyio_backend: str) -> AsyncIterator[House]:
    async with living(Stores(TurnedClock(), "memory", tmp_path), FakeNotifier()) as house:
        yield house


async def until(house: House, seen: Callable[[], bool]) -> None:
    """Wait for what the database's own threads have a part in."""
    for _ in range(1000):
        await house.clock.turn(0.001)
        if seen():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it was not seen")


def wanted(name: str = "", url: str = "https://client.example/", words: Words = Words.V1_0) -> PushConfig:
    return PushConfig(PushConfigId(name), TASK, url, words=words)


@clause("3.1.7a", "3.1.7b", "4.3.3b")
async def test_updates_arrive_in_order_and_the_configuration_ends_with_the_task(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted())

    for update in (STARTED, MessageReceived(SAID), TOLD, TextAppended(TEXT, "Hi", last=True), COMPLETED):
        log.append([update])
        await house.clock.turn(0.1)

    assert house.bodies == ["TurnStarted", "ArtifactTold", "Hi", "StatusChanged"]
    assert [name for _, name, _ in house.notifier.got] == ["task-1:2", "task-1:4", "task-1:5", "task-1:6"]
    assert (await house.listed(ALICE, TASK)).configs == []
    assert house.deliver.active == 0


async def test_pieces_of_a_text_that_wait_together_are_one(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted())

    log.append([STARTED, TOLD, TextAppended(TEXT, "On"), TextAppended(TEXT, "ce"), TextAppended(TEXT, "", last=True)])
    await house.clock.turn(0.1)

    assert house.bodies == ["TurnStarted", "ArtifactTold", "Once"]
    assert house.notifier.got[-1][1] == "task-1:6"


@clause("4.3.3b")
async def test_what_fails_is_tried_again_later_and_later(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted())
    house.notifier.faults += [Undelivered("503")] * 3

    log.append([STARTED, COMPLETED])
    await house.clock.turn(2.9)
    attempts = len(house.notifier.attempts)
    await house.clock.turn(4.2)

    assert attempts == 2
    assert house.bodies == ["TurnStarted", "StatusChanged"]


async def test_a_receiver_that_goes_on_failing_is_given_up_and_can_be_taken_up_again(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted("mine"))
    house.notifier.faults += [Undelivered("503")] * 10

    log.append([STARTED, COMPLETED])
    await house.clock.turn(3600)
    (dead,) = await house.life.push_configs.stopped()
    await house.create(ALICE, wanted("mine"))
    await house.clock.turn(1)

    assert (dead.seq, dead.stopped) == (1, "10 attempts failed, the last one: 503")
    assert house.bodies == ["TurnStarted", "StatusChanged"]
    assert await house.life.push_configs.stopped() == []


async def test_what_is_not_worth_another_try_gets_none(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted())
    house.notifier.faults.append(Undelivered("410", final=True))

    log.append([STARTED])
    await house.clock.turn(3600)

    assert house.notifier.attempts == ["task-1:2"]
    assert [dead.stopped for dead in await house.life.push_configs.stopped()] == ["410"]


async def test_a_receiver_that_hangs_holds_up_neither_the_task_nor_other_receivers(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted("dead"))
    house.notifier.hangs = True
    log.append([STARTED])
    await house.clock.turn(0.1)
    house.notifier.hangs = False
    await house.create(ALICE, wanted("alive"))

    reader = log.read(Seq(0))
    log.append([COMPLETED])
    await house.clock.turn(0.1)

    assert [entry.seq for entry in await reader.next()] == [1, 2, 3]
    assert [(who, body) for who, _, body in house.notifier.got] == [("alive", b"StatusChanged")]


async def test_after_a_crash_the_same_delivery_is_made_again_and_then_the_rest(stores: Stores) -> None:
    notifier = FakeNotifier()
    async with living(stores, notifier) as house:
        log = await house.begin()
        await house.create(ALICE, wanted())
        log.append([STARTED, TOLD])
        await until(house, lambda: len(notifier.got) == 2)
        notifier.hangs = True
        log.append([TextAppended(TEXT, "On"), TextAppended(TEXT, "ce")])
        await until(house, lambda: notifier.attempts[-1] == "task-1:5")
        log.append([TextAppended(TEXT, " more"), COMPLETED])
    notifier.hangs = False

    async with living(stores, notifier) as house:
        await until(house, lambda: house.deliver.active == 0)

    assert notifier.attempts == ["task-1:2", "task-1:3", "task-1:5", "task-1:5", "task-1:6", "task-1:7"]
    assert [body.decode() for _, _, body in notifier.got][2:] == ["Once", " more", "StatusChanged"]


async def test_of_a_task_that_the_store_has_lost_nothing_is_tried_for_ever(tmp_path: Path, anyio_backend: str) -> None:
    stores = Stores(TurnedClock(), "memory", tmp_path)
    async with living(stores, FakeNotifier()) as house:
        await house.begin()
        await house.create(ALICE, wanted())
    stores._memory._tasks[TASK].lines.clear()

    async with living(stores, FakeNotifier()) as house:
        await house.clock.turn(10)

        assert house.deliver.active == 0


@clause("3.1.7b", "3.1.10a")
async def test_after_deletion_nothing_more_is_sent(house: House) -> None:
    log = await house.begin()
    made = await house.create(ALICE, wanted())

    await house.delete(ALICE, TASK, made.id)
    await house.delete(ALICE, TASK, made.id)
    log.append([STARTED, COMPLETED])
    await house.clock.turn(1)

    assert house.notifier.attempts == []
    assert (await house.listed(ALICE, TASK)).configs == []


async def test_a_task_has_a_bounded_number_of_configurations(house: House) -> None:
    await house.begin()
    first = await house.create(ALICE, wanted())
    await house.create(ALICE, wanted())

    with pytest.raises(InvalidRequest, match="at most 2"):
        await house.create(ALICE, wanted())
    again = await house.create(ALICE, wanted(first.id, "https://other.example/"))

    assert (await house.get(ALICE, TASK, first.id)) == again
    assert len((await house.listed(ALICE, TASK)).configs) == 2


async def test_others_find_no_task_and_no_configuration(house: House) -> None:
    await house.begin()
    made = await house.create(ALICE, wanted())

    for call in (
        house.create(BOB, wanted()),
        house.get(BOB, TASK, made.id),
        house.listed(BOB, TASK),
        house.delete(BOB, TASK, made.id),
        house.get(ALICE, TASK, PushConfigId("another")),
    ):
        with pytest.raises(TaskNotFound):
            await call


async def test_a_url_that_is_never_called_is_refused(house: House) -> None:
    await house.begin()
    house.notifier.forbidden = "internal"

    with pytest.raises(InvalidRequest):
        await house.create(ALICE, wanted(url="https://internal/"))

    assert (await house.listed(ALICE, TASK)).configs == []


async def test_a_task_that_has_ended_takes_one_which_is_told_nothing(house: House) -> None:
    log = await house.begin()
    log.append([STARTED, COMPLETED])

    made = await house.create(ALICE, wanted())
    await house.clock.turn(1)

    assert await house.get(ALICE, TASK, made.id) == made
    assert house.notifier.attempts == []


async def test_a_receiver_of_0_3_is_told_the_task_after_each_change_of_its_status(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted(words=Words.V0_3))

    log.append([STARTED])
    await house.clock.turn(0.1)
    for text in ("a", "b", "c"):
        log.append([TOLD, TextAppended(TEXT, text)])
        await house.clock.turn(0.1)
    log.append([COMPLETED])
    await house.clock.turn(0.1)

    assert [(name, body) for _, name, body in house.notifier.got] == [
        ("task-1:2", b"working"),
        ("task-1:9", b"completed"),
    ]
    assert (await house.listed(ALICE, TASK)).configs == []
    assert house.deliver.active == 0


async def test_a_receiver_of_0_3_that_was_busy_is_told_only_how_the_task_stands_now(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted(words=Words.V0_3))
    house.notifier.faults.append(Undelivered("503"))

    log.append([STARTED])
    await house.clock.turn(0.1)
    log.append([StatusChanged(TaskState.INPUT_REQUIRED), StatusChanged(TaskState.WORKING), COMPLETED])
    await house.clock.turn(10)

    assert house.bodies == ["working", "completed"]


async def test_a_configuration_of_0_3_goes_on_in_its_words_after_a_restart(stores: Stores) -> None:
    notifier = FakeNotifier(hangs=True)
    async with living(stores, notifier) as house:
        log = await house.begin()
        await house.create(ALICE, wanted(words=Words.V0_3))
        log.append([STARTED])
        await until(house, lambda: notifier.attempts == ["task-1:2"])
        log.append([COMPLETED])
    notifier.hangs = False

    async with living(stores, notifier) as house:
        await until(house, lambda: house.deliver.active == 0)

    assert [(name, body) for _, name, body in notifier.got] == [("task-1:3", b"completed")]


async def test_over_0_3_a_task_has_one_configuration_without_a_name(house: House) -> None:
    await house.begin()
    first = await house.create(ALICE, wanted(words=Words.V0_3))
    again = await house.create(ALICE, wanted(url="https://other.example/", words=Words.V0_3))

    assert first.id == again.id == PushConfigId(TASK)
    assert (await house.listed(ALICE, TASK)).configs == [again]


async def test_without_an_id_the_configuration_without_a_name_is_meant_else_the_oldest(house: House) -> None:
    await house.begin()
    named = await house.create(ALICE, wanted("named"))
    alone = await house.get(ALICE, TASK, None)
    unnamed = await house.create(ALICE, wanted(words=Words.V0_3))

    assert alone == named
    assert await house.get(ALICE, TASK, None) == unnamed


async def test_without_any_configuration_there_is_none_to_get(house: House) -> None:
    await house.begin()

    with pytest.raises(TaskNotFound):
        await house.get(ALICE, TASK, None)


async def test_a_restart_forgives_no_failure(stores: Stores) -> None:
    notifier = FakeNotifier([Undelivered("503")] * 3)
    pace = PushPace(attempts=3, pause=0.01, gather=0)
    async with living(stores, notifier, pace) as house:
        log = await house.begin()
        await house.create(ALICE, wanted())
        log.append([STARTED])
        await until(house, lambda: len(notifier.attempts) == 1)

    async with living(stores, notifier, pace) as house:
        await until(house, lambda: len(notifier.attempts) == 3)
        await until(house, lambda: house.deliver.active == 0)
        (dead,) = await house.life.push_configs.stopped()

    assert dead.stopped == "3 attempts failed, the last one: 503"


async def test_failures_of_one_delivery_are_not_those_of_the_next(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted())

    for update in (STARTED, TOLD, COMPLETED):
        house.notifier.faults += [Undelivered("503")] * 9
        log.append([update])
        await house.clock.turn(3600)

    assert house.bodies == ["TurnStarted", "ArtifactTold", "StatusChanged"]


async def test_what_a_receiver_finds_too_large_is_told_without_its_content_at_once(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted())
    house.notifier.faults.append(Undelivered("413", too_large=True))

    log.append([STARTED, COMPLETED])
    await house.clock.turn(0.1)

    assert house.bodies == ["brief", "StatusChanged"]


async def test_a_receiver_that_finds_even_that_too_large_is_tried_again_like_others(house: House) -> None:
    log = await house.begin()
    await house.create(ALICE, wanted())
    house.notifier.faults += [Undelivered("413", too_large=True)] * 3

    log.append([STARTED])
    await house.clock.turn(0.1)
    attempts = len(house.notifier.attempts)
    await house.clock.turn(10)

    assert attempts == 2
    assert house.bodies == ["brief"]


@pytest.mark.parametrize("words", Words)
async def test_what_is_larger_than_allowed_is_told_without_its_content(tmp_path: Path, words: Words) -> None:
    stores = Stores(TurnedClock(), "memory", tmp_path)
    async with living(stores, FakeNotifier(), PushPace(gather=0, bytes_most=9)) as house:
        log = await house.begin()
        await house.create(ALICE, wanted(words=words))
        log.append([STARTED, StatusChanged(TaskState.INPUT_REQUIRED)])
        await house.clock.turn(0.1)

    assert set(house.bodies) == {"brief"}


async def test_pauses_do_not_grow_past_their_bound_however_often_it_failed(tmp_path: Path) -> None:
    stores = Stores(TurnedClock(), "memory", tmp_path)
    pace = PushPace(attempts=5000, pause=1.0, pause_most=10.0)
    async with living(stores, FakeNotifier(), pace) as house:
        log = await house.begin()
        await house.create(ALICE, wanted())
        house.notifier.faults += [Undelivered("503")] * 2000
        log.append([STARTED])
        await house.clock.turn(20_000)

    assert house.bodies == ["TurnStarted"]


async def test_a_list_goes_on_where_its_page_ended_though_others_were_deleted(house: House) -> None:
    await house.begin()
    for name in ("b", "a"):
        await house.create(ALICE, wanted(name))
        await house.clock.turn(1)

    first = await house.listed(ALICE, TASK, 1)
    assert first.next is not None
    await house.delete(ALICE, TASK, PushConfigId("b"))
    second = await house.listed(ALICE, TASK, 1, first.next)

    assert [config.id for config in (*first.configs, *second.configs)] == ["b", "a"]
    assert second.next is None


async def test_however_many_receivers_hang_those_that_answer_get_their_turn(tmp_path: Path) -> None:
    stores = Stores(TurnedClock(), "memory", tmp_path)
    notifier = FakeNotifier(hangs=True)
    async with living(stores, notifier, PushPace(gather=0, at_once=1, attempts=1)) as house:
        log = await house.begin()
        await house.create(ALICE, wanted("dead"))
        log.append([STARTED])
        await house.clock.turn(0.1)
        notifier.hangs = False
        await house.create(ALICE, wanted("alive"))
        log.append([COMPLETED])
        await house.clock.turn(9)
        waiting = list(notifier.got)
        await house.clock.turn(2)

    assert waiting == []
    assert [who for who, _, _ in notifier.got] == ["alive"]
