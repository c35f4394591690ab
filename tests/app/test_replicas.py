"""Several services on one database and in front of one runtime: whichever a client asks, it is the same service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from attrs import define, evolve, field, frozen

from opencode_a2a_server.adapters.outbound.scripted import AskPermission, Delay, Hang, Say, Scripted, Spend, Step
from opencode_a2a_server.adapters.outbound.stores import errands as wire
from opencode_a2a_server.adapters.outbound.stores.codec import dump_errand
from opencode_a2a_server.adapters.outbound.stores.journal import LiveJournal
from opencode_a2a_server.adapters.outbound.stores.postgres import PostgresStorage
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.container import Container, assemble
from opencode_a2a_server.app.ports import errands
from opencode_a2a_server.app.ports.agent import Agent, Surroundings
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.settings import load_settings
from opencode_a2a_server.app.usecases.accept_message import Accepted
from opencode_a2a_server.app.usecases.limit_requests import LimitRequests
from opencode_a2a_server.domain.access import Quota, Reach
from opencode_a2a_server.domain.errors import (
    AlreadyAnswered,
    AmbiguousAnswer,
    Draining,
    InvalidRequest,
    JournalUnavailable,
    RateLimited,
    Refusal,
    SessionBusy,
    TaskIsBusy,
    TaskNotCancelable,
    TaskNotFound,
)
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, PushConfigId, Seq, TaskId
from opencode_a2a_server.domain.interrupt import PermissionAnswer, Verdict
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.push import PushConfig
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import Entry
from opencode_a2a_server.domain.usage import Usage
from tests.app.house import text_of
from tests.fakes import postgres
from tests.fakes.ids import CountedIds
from tests.fakes.notifier import FakeNotifier
from tests.fakes.sharing import fall_silent, soon

pytestmark = pytest.mark.anyio

ALICE = Principal("operator")
BOB = Principal("bob")
ONCE = PermissionAnswer(Verdict.ONCE)
ALWAYS = PermissionAnswer(Verdict.ALWAYS)


ON_CUE = float("inf")
"""A delay until the street gives the cue."""


@frozen
class CuedClock(SystemClock):
    """The clock of a runtime that waits for a cue, however long a test takes on a busy machine."""

    cue: asyncio.Event

    async def sleep(self, seconds: float) -> None:
        """Let time pass, or wait for the cue."""
        if seconds == ON_CUE:
            await self.cue.wait()
        else:
            await super().sleep(seconds)


@define(eq=False)
class Street:
    """A runtime and a database, and the services in between; a message plays the steps it was made of."""

    url: str
    scripts: dict[MessageId, tuple[Step, ...]] = field(factory=dict)
    ids: CountedIds = field(factory=CountedIds)
    notifier: FakeNotifier = field(factory=FakeNotifier)
    cue: asyncio.Event = field(factory=asyncio.Event)
    agent: Scripted = field(init=False)
    _stack: AsyncExitStack = field(factory=AsyncExitStack)

    def __attrs_post_init__(self) -> None:
        self.agent = Scripted(CuedClock(self.cue), CountedIds("run"), lambda message: self.scripts[message.message_id])

    @asynccontextmanager
    async def _runtime(self, surroundings: Surroundings) -> AsyncIterator[Agent]:
        yield self.agent

    async def open(self) -> Service:
        """Open one more service."""
        settings = load_settings(
            {"A2A_BEARER_TOKEN": "secret", "A2A_TASK_STORE_DATABASE_URL": self.url, "A2A_LOG_LEVEL": "DEBUG"}
        )
        stack = await self._stack.enter_async_context(AsyncExitStack())
        container = await stack.enter_async_context(assemble(settings, self._runtime))
        container.notifier.override(self.notifier)
        container.deliver().notifier = self.notifier
        return Service(self, container, stack)

    def message(self, *steps: Step, text: str = "play", task: Task | None = None, context: str = "") -> Message:
        message_id = MessageId(self.ids.new())
        self.scripts[message_id] = steps
        named = None if task is None else task.id
        return Message(message_id, Role.USER, (TextPart(text),), ContextId(context) if context else None, named)


@define(eq=False)
class Service:
    """One replica, as clients use it."""

    street: Street
    parts: Container
    _stack: AsyncExitStack

    async def send(self, message: Message) -> TaskLog:
        accepted = await asyncio.wait_for(self.parts.accept()(ALICE, message), 10)
        assert isinstance(accepted, Accepted)
        return accepted.log

    async def begin(self, *steps: Step, context: str = "") -> TaskLog:
        return await self.send(self.street.message(*steps, context=context))

    async def open(self, task: Task) -> TaskLog:
        log: TaskLog = await self.parts.journal().open(task.id)
        return log

    async def close(self) -> None:
        """End it in order."""
        await self._stack.aclose()

    @property
    def storage(self) -> PostgresStorage:
        journal = self.parts.journal()
        assert isinstance(journal, LiveJournal)
        storage = journal._writer.storage
        assert isinstance(storage, PostgresStorage)
        return storage

    async def stall(self) -> None:
        """Have it be heard of no more, as if its machine had stopped a minute ago."""
        self._stack.callback(self._lose_patience)
        await fall_silent(self.storage)

    def _lose_patience(self) -> None:
        """At its end let it have no time for what it cannot write, since others have taken it over."""
        writer = self.parts.journal()._writer
        writer.pace = evolve(writer.pace, patience=0.01)


@pytest.fixture
async def street(anyio_backend: str) -> AsyncIterator[Street]:
    url = (await postgres.settled()).render_as_string(hide_password=False)
    street = Street(url)
    async with street.agent, street._stack:
        yield street


@pytest.fixture
async def one(street: Street) -> Service:
    return await street.open()


@pytest.fixture
async def other(one: Service, street: Street) -> Service:
    return await street.open()


async def until(log: TaskLog, state: TaskState) -> Task:
    await soon(lambda: log.task.state is state)
    return log.task


async def read_to_the_end(log: TaskLog, after: int = 0) -> list[Entry]:
    reader = log.read(Seq(after))
    entries: list[Entry] = []
    async with asyncio.timeout(10):
        while not (log.task.state.terminal and reader.position >= log.task.status.seq):
            entries += await reader.next()
    return entries


# Whichever is asked


async def test_a_task_is_read_whole_on_the_other_replica(one: Service, other: Service) -> None:
    here = await one.begin(Say("one two three four"), Delay(0.05), Say(" five"))
    there = await other.open(here.task)

    entries = await read_to_the_end(there)

    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert (text_of(there.task), there.task.state) == ("one two three four five", TaskState.COMPLETED)


async def test_a_question_is_answered_by_a_message_to_the_other_replica(one: Service, other: Service) -> None:
    here = await one.begin(AskPermission("bash"), Say("done"))
    await until(here, TaskState.INPUT_REQUIRED)

    there = await other.send(one.street.message(text="yes", task=here.task))

    await read_to_the_end(there)
    assert (text_of(there.task), here.task.state) == ("done", TaskState.COMPLETED)


async def test_it_is_answered_by_its_id_there_too_and_only_the_first_answer_counts(
    one: Service, other: Service
) -> None:
    here = await one.begin(AskPermission("bash"), Say("done"), Hang())
    (request,) = (await until(here, TaskState.INPUT_REQUIRED)).pending
    await here.durable()

    await asyncio.gather(*(each.parts.answer().by_request(ALICE, request, ONCE) for each in (other, one, other)))

    with pytest.raises(AlreadyAnswered, match="once"):
        await other.parts.answer().by_request(ALICE, request, ALWAYS)


async def test_a_refusal_is_the_same_wherever_it_is_given(one: Service, other: Service) -> None:
    working, asking = await one.begin(Hang()), await one.begin(AskPermission("bash"))
    await until(working, TaskState.WORKING)
    await until(asking, TaskState.INPUT_REQUIRED)
    refusals: dict[Service, list[tuple[type[Refusal], str, str]]] = {one: [], other: []}

    for service, told in refusals.items():
        for task, text in ((working.task, "more"), (asking.task, "hm?")):
            with pytest.raises(Refusal) as refused:
                await service.send(one.street.message(text=text, task=task))
            told.append((type(refused.value), str(refused.value), getattr(refused.value, "field", "")))

    assert [kind for kind, _, _ in refusals[one]] == [TaskIsBusy, AmbiguousAnswer]
    assert refusals[one] == refusals[other]


async def test_a_task_is_canceled_on_the_other_replica(one: Service, other: Service) -> None:
    here = await one.begin(Say("so far"), Hang())
    await until(here, TaskState.WORKING)

    there = await asyncio.wait_for(other.parts.cancel()(ALICE, here.task.id), 10)

    assert (there.task.state, here.task.state) == (TaskState.CANCELED,) * 2
    with pytest.raises(TaskNotCancelable):
        await other.parts.cancel()(ALICE, here.task.id)


async def test_what_another_principal_has_is_unknown_on_every_replica(one: Service, other: Service) -> None:
    here = await one.begin(Hang())

    with pytest.raises(TaskNotFound):
        await other.parts.cancel()(BOB, here.task.id)


async def test_one_context_has_one_session_whoever_is_asked_first(one: Service, other: Service) -> None:
    logs = await asyncio.gather(*(each.begin(Say("hello"), context="shared") for each in (one, other, one, other)))
    for log in logs:
        await read_to_the_end(log)

    assert len({log.task.session for log in logs}) == 1


async def test_a_session_does_one_thing_at_a_time_over_all_replicas(
    street: Street, one: Service, other: Service
) -> None:
    first = await one.begin(Delay(ON_CUE), Say("first"), context="shared")
    await until(first, TaskState.WORKING)
    second = await other.begin(Say("second"), context="shared")
    assert first.task.session is not None
    with pytest.raises(SessionBusy):
        async with other.parts.turns().lend(first.task.session.id):
            pass
    assert second.task.state is TaskState.SUBMITTED

    street.cue.set()
    await read_to_the_end(first)
    await read_to_the_end(second)
    assert text_of(second.task) == "second"
    await read_to_the_end(second)

    assert text_of(second.task) == "second"


async def test_notifications_are_asked_for_and_ended_on_any_replica(one: Service, other: Service) -> None:
    here = await one.begin(AskPermission("bash"), Say("done"))
    await until(here, TaskState.INPUT_REQUIRED)
    config = PushConfig(PushConfigId(""), here.task.id, "https://client.example/")

    kept = await other.parts.create_push_config()(ALICE, config)
    dropped = await other.parts.create_push_config()(ALICE, config)
    await other.parts.delete_push_config()(ALICE, here.task.id, dropped.id)
    await other.send(one.street.message(text="yes", task=here.task))
    await read_to_the_end(here)

    await soon(lambda: one.parts.deliver().active == 0)
    names = [name for _, name, _ in one.street.notifier.got]
    assert names
    assert len(set(names)) == len(names)
    assert {config_id for config_id, _, _ in one.street.notifier.got} == {kept.id}
    assert other.parts.deliver().active == 0


# What a principal may use


async def test_turns_at_once_are_counted_over_all_replicas_however_close_they_come(
    one: Service, other: Service
) -> None:
    for service in (one, other):
        service.parts.quotas().reach_of = lambda _: Reach(quota=Quota(turns=3))

    begun = await asyncio.gather(*(each.begin(Hang()) for each in (one, other) * 5), return_exceptions=True)

    refused = [outcome for outcome in begun if isinstance(outcome, BaseException)]
    assert {type(refusal) for refusal in refused} == {RateLimited}
    assert len(begun) - len(refused) == 3
    assert one.parts.turns().active + other.parts.turns().active == 3


async def test_tokens_that_a_turn_used_on_one_replica_are_used_up_on_the_other(one: Service, other: Service) -> None:
    for service in (one, other):
        service.parts.quotas().reach_of = lambda _: Reach(quota=Quota(tokens=10))
    here = await one.begin(Spend(Usage(output_tokens=10)), Say("done"))
    await read_to_the_end(here)
    await soon(lambda: one.parts.turns().active == 0)

    with pytest.raises(RateLimited, match="10 tokens"):
        await other.begin(Say("more"))


async def test_requests_are_counted_over_all_replicas_within_a_second(one: Service, other: Service) -> None:
    limits = [service.parts.limit_requests() for service in (one, other)]
    for limit in limits:
        limit.most, limit.seconds = 4, 86_400.0

    for _ in range(2):
        for limit in limits:
            limit(ALICE)
        await soon(lambda: not any(limit.windows.touched for limit in limits))

    await asyncio.gather(*(_refuses_soon(limit) for limit in limits))


async def test_failed_attempts_of_an_address_are_counted_over_all_replicas(one: Service, other: Service) -> None:
    limits = [service.parts.limit_attempts() for service in (one, other)]
    for limit in limits:
        limit.most, limit.seconds = 2, 86_400.0

    for limit in limits:
        await limit.failed("192.0.2.1", "unknown bearer")
        await soon(lambda: not any(limit.windows.touched for limit in limits))
    await limits[0].failed("192.0.2.2", "unknown bearer")

    await soon(lambda: limits[1].wait("192.0.2.1") > 0)
    assert limits[0].wait("192.0.2.2") == 0


async def _refuses_soon(limit: LimitRequests) -> None:
    """See that at most one request more is let in before it is known what was let in elsewhere."""
    let_in = 0
    async with asyncio.timeout(5):
        while True:
            try:
                limit(ALICE)
            except RateLimited:
                break
            let_in += 1
            await soon(lambda: not limit.windows.touched)
    assert let_in <= 1


# What becomes of what a replica leaves


async def test_a_turn_of_a_replica_that_stalls_goes_on_elsewhere(street: Street, one: Service, other: Service) -> None:
    here = await one.begin(Say("one two "), Delay(ON_CUE), Say("three"))
    await until(here, TaskState.WORKING)
    there = await other.open(here.task)
    await one.stall()

    await soon(lambda: there.mine)
    street.cue.set()

    entries = await read_to_the_end(there)

    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert (text_of(there.task), there.task.state) == ("one two three", TaskState.COMPLETED)
    assert there.mine


async def test_a_replica_that_ends_in_order_leaves_its_turns_to_the_other_at_once(
    street: Street, one: Service, other: Service
) -> None:
    here = await one.begin(Say("one two "), Delay(ON_CUE), Say("three"))
    await until(here, TaskState.WORKING)
    there = await other.open(here.task)

    await one.close()
    street.cue.set()
    await read_to_the_end(there)

    assert (text_of(there.task), there.mine) == ("one two three", True)


async def test_an_errand_that_a_dead_replica_was_to_do_is_done_by_its_heir(one: Service, other: Service) -> None:
    here = await one.begin(AskPermission("bash"), Say("done"))
    await until(here, TaskState.INPUT_REQUIRED)
    await one.parts.run_errands().__aexit__()
    await one.stall()

    there = await other.send(one.street.message(text="yes", task=here.task))

    await read_to_the_end(there)
    assert text_of(there.task) == "done"


async def test_a_message_that_a_dead_replica_took_without_saying_so_is_not_taken_twice(
    one: Service, other: Service
) -> None:
    here = await one.begin(AskPermission("bash"), Say("done"), Hang())
    await until(here, TaskState.INPUT_REQUIRED)
    message = one.street.message(text="yes", task=here.task)
    body = dump_errand(errands.Say(ALICE, here.task.id, message))
    await one.send(message)
    async with one.storage.asking() as connection:
        await connection.execute(wire._ASK, "errand-1", here.task.id, body)
        await connection.execute("UPDATE errands SET begun_by = $1", one.storage.replica.id)

    await one.close()
    there = await other.open(here.task)

    async def outcome() -> bytes | None:
        async with other.storage.asking() as connection:
            told: bytes | None = await connection.fetchval("SELECT outcome FROM errands")
            return told

    async with asyncio.timeout(10):
        while (told := await outcome()) is None:
            await other.open(here.task)
    assert b"refusal" not in told
    assert [known.message_id for known in there.task.history].count(message.message_id) == 1


async def test_deliveries_of_a_replica_that_ends_are_made_by_its_heir(one: Service, other: Service) -> None:
    here = await one.begin(AskPermission("bash"), Say("done"))
    await until(here, TaskState.INPUT_REQUIRED)
    await one.parts.create_push_config()(ALICE, PushConfig(PushConfigId("c"), here.task.id, "https://client.example/"))

    await one.close()
    there = await other.open(here.task)
    await soon(lambda: there.mine)
    await other.send(one.street.message(text="yes", task=here.task))
    await read_to_the_end(there)

    await soon(lambda: one.street.notifier.got and other.parts.deliver().active == 0)


async def test_a_replica_taken_for_dead_lets_go_of_its_turns_and_serves_on(one: Service, other: Service) -> None:
    here = await one.begin(Say("so far"), Hang())
    await until(here, TaskState.WORKING)
    await one.stall()
    there = await other.open(here.task)
    await soon(lambda: there.mine)

    await one.storage.replica.beat()
    await one.storage.replica.beat()

    await soon(lambda: one.parts.turns().active == 0)
    again = await one.begin(Say("more"))
    await read_to_the_end(again)
    assert there.task.state is TaskState.WORKING
    canceled = await asyncio.wait_for(one.parts.cancel()(ALICE, here.task.id), 10)
    assert canceled.task.state is TaskState.CANCELED


async def test_nothing_new_is_taken_by_a_replica_about_to_end_for_another_either(one: Service, other: Service) -> None:
    here = await one.begin(Hang())
    await until(here, TaskState.WORKING)
    other.parts.turns().draining = True

    with pytest.raises(Draining):
        await other.parts.cancel()(ALICE, here.task.id)
    with pytest.raises(Draining):
        await other.send(one.street.message(text="yes", task=here.task))


# Outcomes


def test_every_refusal_can_be_told_to_another_replica() -> None:
    kinds = [Refusal]
    for kind in kinds:
        kinds += kind.__subclasses__()
    ours = [kind for kind in kinds if kind.__module__.endswith("domain.errors")]

    for kind in ours:
        with pytest.raises(kind, match="why") as told:
            wire._load(wire._dump(kind("why")))
        assert type(told.value) is kind

    with pytest.raises(InvalidRequest) as refused:
        wire._load(wire._dump(InvalidRequest("why", "message.parts")))
    assert refused.value.field == "message.parts"


async def test_a_store_of_one_process_has_nobody_to_ask() -> None:
    cancel = errands.Cancel(ALICE, TaskId("task-1"))

    with pytest.raises(JournalUnavailable, match="nobody runs task task-1"):
        await wire.NoErrands().ask(cancel)

    assert await wire.NoErrands().take() == ()
