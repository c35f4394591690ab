"""Follow a turn as the service does: hear, recall, and fold what the `Turn` makes of it into a task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.agent import Agent, Hearing, Prompt
from opencode_a2a_server.domain.events import Event, Gap
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, Seq, TaskId
from opencode_a2a_server.domain.interrupt import Interrupt
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.session import Session
from opencode_a2a_server.domain.task import Artifact, Task
from opencode_a2a_server.domain.turn import Limits, Turn
from opencode_a2a_server.domain.updates import BlockKind, Entry, TaskSubmitted, TurnStarted, Update

_TOO_LONG = 10.0
"""Real seconds after which nothing more is expected: a test that waits for them has failed already."""


@define(eq=False)
class Follower:
    """One turn, followed."""

    agent: Agent
    session: Session
    turn: Turn
    hearing: Hearing
    task: Task
    heard: list[Event] = field(factory=list)

    async def hear(self) -> Sequence[Event]:
        """Take what is said next."""
        async with asyncio.timeout(_TOO_LONG):
            events = await self.hearing.next()
        self.heard += events
        self._fold(self.turn.receive_all(events))
        return events

    async def settle(self) -> None:
        """Take all that was said so far: that a feed was just begun, perhaps."""
        self.hearing.wake()
        await self.hear()

    async def look(self) -> None:
        """Take what the runtime shows."""
        async with asyncio.timeout(_TOO_LONG):
            seen = await self.agent.recall(self.session, self.turn.prompt)
        self._fold(self.turn.receive(seen))

    async def until(self, there: Callable[[Task], object], *, looking: bool = False) -> None:
        """Hear until the task is so; if `looking`, recall after whatever is heard."""
        while not there(self.task):
            await self.hear()
            if looking:
                await self.look()

    async def end(self, *, looking: bool = False) -> None:
        """Hear until the turn is over."""
        while self.turn.outcome is None:
            events = await self.hear()
            if looking or any(isinstance(event, Gap) for event in events):
                await self.look()

    async def asked(self, *, looking: bool = False) -> Interrupt:
        """Hear until something is asked."""
        await self.until(lambda task: task.pending, looking=looking)
        return next(iter(self.task.pending.values()))

    def _fold(self, updates: Sequence[Update]) -> None:
        for update in updates:
            self.task.apply(Entry(Seq(self.task.seq + 1), 0.0, update))

    @property
    def text(self) -> str:
        """All text said."""
        return "".join(artifact.text for artifact in self._of(BlockKind.TEXT))

    @property
    def reasoning(self) -> str:
        """All reasoning told."""
        return "".join(artifact.text for artifact in self._of(BlockKind.REASONING))

    @property
    def said_last(self) -> str:
        """What was said with the status."""
        return "".join(str(getattr(part, "text", "")) for part in self.task.status.parts)

    @property
    def fold(self) -> Fold:
        """What a client has of the task, without what differs from run to run."""
        blocks = [
            (
                artifact.kind,
                artifact.name,
                artifact.text if artifact.kind is not BlockKind.TOOL else "",
                artifact.lane is None,
                artifact.closed,
            )
            for artifact in self.task.artifacts.values()
            if artifact.kind is BlockKind.TOOL or artifact.parts
        ]
        return Fold(tuple(blocks), self.task.state.value, self.said_last, len(self.task.pending), str(self.task.usage))

    def _of(self, kind: BlockKind) -> list[Artifact]:
        return [artifact for artifact in self.task.artifacts.values() if artifact.kind is kind]


@frozen
class Fold:
    """What a client has of a task."""

    blocks: tuple[tuple[BlockKind, str, str, bool, bool], ...]
    state: str
    said: str
    pending: int
    usage: str


@asynccontextmanager
async def following(
    agent: Agent, message: Message, session: Session | None = None, *, canceling: bool = False
) -> AsyncIterator[Follower]:
    """Listen to a session, prompt it, and follow the turn."""
    session = session or await agent.open_session("a title")
    async with listening(agent, session, message, canceling=canceling) as follower:
        async with asyncio.timeout(_TOO_LONG):
            await agent.prompt(prompt_of(follower, message))
        yield follower


@asynccontextmanager
async def listening(
    agent: Agent, session: Session, message: Message, *, canceling: bool = False, prompt: MessageId | None = None
) -> AsyncIterator[Follower]:
    """Listen to a session for a prompt which is still to come, or came before."""
    prompt = prompt or agent.new_prompt_id()
    submitted = TaskSubmitted(ContextId("context"), Principal("somebody"), message)
    task = Task.submitted(TaskId("task"), Entry(Seq(1), 0.0, submitted))
    task.apply(Entry(Seq(2), 0.0, TurnStarted(session, prompt)))
    turn = Turn.of(task, session.id, prompt, Limits())
    if canceling:
        turn.cancel()
    async with agent.hear(session) as hearing:
        yield Follower(agent, session, turn, hearing, task)


def prompt_of(follower: Follower, message: Message) -> Prompt:
    """Give the prompt which the follower waits for."""
    return Prompt(follower.turn.prompt, follower.session, follower.task.id, follower.task.context_id, message)


async def recalled(agent: Agent, turn: Follower, message: Message) -> Fold:
    """Give what somebody makes of a turn who only asks, and never heard a word."""
    async with listening(agent, turn.session, message, prompt=turn.turn.prompt) as later:
        await later.look()
        return later.fold
