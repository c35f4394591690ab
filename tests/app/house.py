"""The use cases, wired to fakes and to an agent that plays scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from attrs import define, field

from opencode_a2a_server.adapters.outbound.scripted import Scripted, Step, directed
from opencode_a2a_server.app.ports.access import Reaches, unbounded
from opencode_a2a_server.app.usecases.accept_message import AcceptMessage, ToWorking
from opencode_a2a_server.app.usecases.answer_interrupt import AnswerInterrupt
from opencode_a2a_server.app.usecases.bind_session import BindSession
from opencode_a2a_server.app.usecases.cancel_task import CancelTask
from opencode_a2a_server.app.usecases.check_choice import CheckChoice
from opencode_a2a_server.app.usecases.check_wishes import CheckWishes
from opencode_a2a_server.app.usecases.get_task import GetTask
from opencode_a2a_server.app.usecases.job import Pace
from opencode_a2a_server.app.usecases.list_interrupts import ListInterrupts
from opencode_a2a_server.app.usecases.recover import Recover
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.send_message import SendMessage
from opencode_a2a_server.app.usecases.stream_message import StreamMessage
from opencode_a2a_server.app.usecases.subscribe import Subscribe
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, TaskId
from opencode_a2a_server.domain.message import Json, Message, Part, Role, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.terms import Terms
from opencode_a2a_server.domain.turn import Limits
from opencode_a2a_server.domain.updates import BlockKind, Update
from tests.fakes.agent import FlakyAgent
from tests.fakes.audit import FakeAudit
from tests.fakes.binding import bind_session
from tests.fakes.choices import FakeChoices
from tests.fakes.clock import TurnedClock
from tests.fakes.holds import FakeHolds
from tests.fakes.ids import CountedIds
from tests.fakes.interrupts import FakeInterrupts
from tests.fakes.journal import FakeBindings, FakeJournal, FakeLog
from tests.fakes.owners import FakeOwners
from tests.fakes.paths import FakePaths
from tests.fakes.replicas import FakeReplicas

_T = TypeVar("_T")

ALICE, BOB = Principal("alice"), Principal("bob")
CONTEXT = ContextId("context")


@define(eq=False)
class Stage:
    """What outlives the service: the runtime, time, and the scripts of messages by their ids."""

    clock: TurnedClock = field(factory=TurnedClock)
    ids: CountedIds = field(factory=CountedIds)
    scripts: dict[MessageId, tuple[Step, ...]] = field(factory=dict)
    paths: FakePaths = field(factory=FakePaths)
    choices: FakeChoices = field(factory=FakeChoices)
    owners: FakeOwners = field(init=False)
    agent: FlakyAgent = field(init=False)
    scripted: Scripted = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.scripted = Scripted(self.clock, CountedIds("run"), self._choose)
        self.agent = FlakyAgent(self.scripted)
        self.owners = FakeOwners(self.clock)

    def _choose(self, message: Message) -> tuple[Step, ...]:
        return self.scripts.get(message.message_id) or directed(message)


@define(eq=False)
class House:
    """One life of the service."""

    stage: Stage
    journal: FakeJournal
    bindings: FakeBindings
    turns: RunTurns
    to_working: ToWorking = ToWorking.REJECT
    audit: FakeAudit = field(factory=FakeAudit)

    interrupts: FakeInterrupts = field(init=False)
    answer: AnswerInterrupt = field(init=False)
    wishes: CheckWishes = field(init=False)
    accept: AcceptMessage = field(init=False)
    send: SendMessage = field(init=False)
    subscribe: Subscribe = field(init=False)
    stream: StreamMessage = field(init=False)
    cancel: CancelTask = field(init=False)
    get: GetTask = field(init=False)
    recover: Recover = field(init=False)
    waiting: ListInterrupts = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.interrupts = FakeInterrupts(self.journal)
        self.answer = AnswerInterrupt(self.journal, self.interrupts, self.turns, self.clock, self.audit)
        choice = CheckChoice(self.stage.choices, self.clock, reach_of=self.bind.places.reach_of)
        self.wishes = CheckWishes(self.bindings, self.bind.sessions, self.bind.places, self.bind, choice)
        self.accept = AcceptMessage(
            self.agent, self.journal, self.turns, self.answer, self.wishes, self.stage.ids, self.to_working
        )
        self.send = SendMessage(self.accept)
        self.subscribe = Subscribe(self.journal)
        self.stream = StreamMessage(self.accept, self.journal, self.subscribe)
        self.cancel = CancelTask(self.journal, self.turns)
        self.get = GetTask(self.journal)
        self.waiting = ListInterrupts(self.journal, self.interrupts)
        self.recover = Recover(self.journal, self.turns, FakeReplicas(self.journal))

    @property
    def bind(self) -> BindSession:
        """What binds contexts to sessions."""
        return self.turns.bind

    @property
    def clock(self) -> TurnedClock:
        """Time."""
        return self.stage.clock

    @property
    def agent(self) -> FlakyAgent:
        """The runtime."""
        return self.stage.agent

    # Messages

    def message(
        self, *steps: Step, text: str = "play", task: Task | None = None, context: ContextId | None = None
    ) -> Message:
        """Give a message; what the runtime is to play for it are the steps, or what its text says."""
        message_id = MessageId(self.stage.ids.new())
        self.stage.scripts[message_id] = steps
        return self.said(TextPart(text), message_id=message_id, task=task, context=context)

    def said(
        self,
        *parts: Part,
        message_id: MessageId | None = None,
        task: Task | None = None,
        context: ContextId | None = None,
    ) -> Message:
        """Give a message of these parts."""
        return Message(
            message_id or MessageId(self.stage.ids.new()),
            Role.USER,
            parts,
            context_id=context,
            task_id=task.id if task is not None else None,
        )

    # Acting

    async def begin(self, *steps: Step, by: Principal = ALICE, context: ContextId | None = CONTEXT) -> Task:
        """Have a task begun, and let happen what happens without time."""
        log = await self.send(by, self.message(*steps, context=context), return_immediately=True)
        assert not isinstance(log, Message)
        await self.clock.turn()
        return log.task

    async def say(self, task: Task, text: str, *steps: Step, by: Principal = ALICE) -> Task:
        """Have more said to a task, and let happen what happens without time."""
        await self.send(by, self.message(*steps, text=text, task=task), return_immediately=True)
        await self.clock.turn()
        return task

    async def after(self, seconds: float, awaitable: Awaitable[_T]) -> _T:
        """Give what comes of something when so much time has passed."""
        job = asyncio.ensure_future(awaitable)
        await self.clock.turn(seconds)
        assert job.done(), f"nothing came of it within {seconds} s"
        return job.result()

    def log(self, task: Task) -> FakeLog:
        """Give the journal of a task."""
        return self.journal.logs[task.id]

    def updates(self, task: Task, kind: type[_T]) -> list[_T]:
        """Give the updates of a task which are of a kind."""
        return [update for update in self.log(task).updates if isinstance(update, kind)]


def text_of(task: Task) -> str:
    """Give all text the agent told."""
    return "".join(artifact.text for artifact in task.artifacts.values() if artifact.kind is BlockKind.TEXT)


def status_of(task: Task) -> tuple[TaskState, str]:
    """Give the task's state, and what was said with it."""
    return task.state, "".join(part.text for part in task.status.parts if isinstance(part, TextPart))


def states_of(updates: list[Update]) -> list[str]:
    """Name the kinds of the updates."""
    return [type(update).__name__ for update in updates]


@asynccontextmanager
async def living(  # noqa: PLR0913 - what a test may want otherwise, by name
    stage: Stage,
    journal: FakeJournal | None = None,
    bindings: FakeBindings | None = None,
    *,
    limits: Limits | None = None,
    pace: Pace | None = None,
    to_working: ToWorking = ToWorking.REJECT,
    patch_most: int = 0,
    terms: Terms | None = None,
    reach_of: Reaches = unbounded,
    **rules: bool,
) -> AsyncIterator[House]:
    """Let the service live."""
    journal = journal or FakeJournal(stage.clock)
    bindings = bindings or FakeBindings()
    bind = bind_session(stage.agent, stage.clock, bindings, stage.owners, stage.paths, reach_of=reach_of, **rules)
    audit = FakeAudit()
    turns = RunTurns(
        stage.agent,
        journal,
        bind,
        FakeHolds(),
        stage.clock,
        audit,
        terms or Terms(),
        limits=limits or Limits(),
        pace=pace or Pace(),
        patch_most=patch_most,
    )
    async with turns:
        yield House(stage, journal, bindings, turns, to_working, audit)


@asynccontextmanager
async def reborn(house: House) -> AsyncIterator[House]:
    """Let the service live again, after a life that ended without a word."""
    await house.turns.__aexit__()
    journal, terms = house.journal.reopened(), house.turns.terms
    async with living(house.stage, journal, house.bindings, to_working=house.to_working, terms=terms) as again:
        yield again


def task_id(name: str) -> TaskId:
    """Give a task's id."""
    return TaskId(name)


def as_data(**data: Json) -> dict[str, Json]:
    """Give what a data part holds."""
    return data
