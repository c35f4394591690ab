"""A job: one task's turn, as those who run it and those who want something of it see it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.agent import Hearing
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.usecases.stay import Stay
from opencode_a2a_server.domain.errors import AgentUnreachable, JournalUnavailable, Refusal
from opencode_a2a_server.domain.ids import MessageId, RequestId, SessionId
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.turn import Turn
from opencode_a2a_server.domain.updates import AnswerGiven, StatusChanged, Update

_log = logging.getLogger(__name__)


@frozen
class Pace:
    """How patient a job is, in seconds."""

    settle: float = 0.5
    """From a doubt to the question: a late event settles most doubts by itself."""
    first_look: float = 2.0
    """Silence after a prompt before it is looked after: one that was lost says nothing."""
    quiet: float = 10.0
    """Silence of a turn before it is looked after."""
    waiting: float = 60.0
    """The same while somebody's answer is awaited; doubles up to `waiting_most` as long as nothing is new."""
    waiting_most: float = 960.0
    park: float = 0.5
    """Silence of a turn that waits for somebody before it is parked."""
    retry: float = 1.0
    """Between tries to reach the runtime; doubles up to `retry_most`."""
    retry_most: float = 15.0
    call: float = 20.0
    """For the runtime to answer, before it is asked anew; doubles with each such failure in a row."""
    unreachable: float = 120.0
    """Without any contact, before the turn is given up."""
    abort: float = 5.0
    """For an abort to be taken, and for it to show its effect, before it is sent again."""
    changes: float = 5.0
    """For the runtime to say which files a turn has changed, before the turn ends without that."""
    compare: float = 0.1
    """Between the first two times it is asked; doubles."""
    abort_tries: int = 3
    """Aborts sent before the task is canceled whatever the runtime does."""
    answer: float = 5.0
    """For the runtime to take an answer, before who gave it is told that it will."""
    reply: float = 10.0
    """The same, before it is told again."""
    effect: float = 60.0
    """For a default action to have any effect, before the turn is aborted: it cannot be answered."""


Outcome: TypeAlias = "asyncio.Future[Refusal | None]"


@define(eq=False)
class Delivery:
    """An answer on its way to the runtime."""

    fresh: bool = False
    """Whether it was given in this life of the service, so that nobody can have told the runtime before."""
    due: float = float("-inf")
    """When it is to be told, by the monotonic clock; infinite while its effect is awaited."""
    tries: int = 0
    outcome: Outcome | None = None
    """For who gave it: None once the runtime took it or will be told again, else why it does not count."""

    def close(self, refusal: Refusal | None = None) -> None:
        """Tell who gave it."""
        if self.outcome is not None and not self.outcome.done():
            self.outcome.set_result(refusal)


@frozen
class Rest:
    """What a turn is to go on with, apart from what the journal and the runtime say."""

    prompt: MessageId
    began: float
    """When it did, by the monotonic clock."""
    left: float | None
    """Seconds that it may still take; a person's time to answer is not the turn's."""
    spoke: bool
    """Whether it has given output."""
    expiries: tuple[tuple[RequestId, float], ...]
    """When interrupts are due, by the monotonic clock: nobody sets it."""
    family: frozenset[SessionId] = frozenset()
    """Sessions of its sub-agents."""
    missed: bool = False
    """Whether it was left by another life of the service, so that something may have been missed."""
    looks: int = 0
    """How often in a row it was looked after, and nothing was new."""


@define(eq=False)
class Job:
    """One task's turn, and how others reach it."""

    log: TaskLog
    turn: Turn | None = None
    stay: Stay | None = None
    """Its stay in the session of the turn."""
    rest: Rest | None = None
    """What its turn goes on with, if it is parked at the end."""
    canceled: asyncio.Event = field(factory=asyncio.Event)
    restless: bool = False
    """Whether the runtime may still work in the session although the turn was ended."""
    deliveries: dict[RequestId, Delivery] = field(factory=dict)
    caught_up: asyncio.Future[None] = field(factory=lambda: asyncio.get_running_loop().create_future())
    """Done when a turn that was taken up is as far as the runtime is, or its job is over."""

    def outcome(self, request: RequestId) -> Outcome | None:
        """Give what is to become of an answer that was just given."""
        delivery = self.deliveries.get(request)
        return None if delivery is None else delivery.outcome

    def catch_up(self) -> None:
        """Tell who waits that it is as far as the runtime is."""
        if not self.caught_up.done():
            self.caught_up.set_result(None)

    @property
    def hearing(self) -> Hearing | None:
        """What is heard of the turn's session."""
        return None if self.stay is None else self.stay.hearing

    @property
    def waits(self) -> bool:
        """Whether it goes on only when somebody answers."""
        return self.turn is not None and bool(self.turn.pending)

    def cancel(self) -> None:
        """Stop it: at once if it has not begun, else by way of the runtime."""
        if self.log.task.state.terminal:
            return
        if self.turn is None:
            self.log.append([StatusChanged(TaskState.CANCELED)])
        self.canceled.set()
        if self.turn is not None and (hearing := self.hearing) is not None:
            self.turn.cancel()
            hearing.wake()

    def give(self, given: AnswerGiven) -> None:
        """Have the runtime told an answer which is journaled."""
        if self.turn is None or self.turn.outcome is not None or (hearing := self.hearing) is None:
            return  # the turn that begins finds it in the journal
        self.turn.inbox.answering(given)
        outcome: Outcome = asyncio.get_running_loop().create_future()
        self.deliveries[given.request] = Delivery(fresh=True, outcome=outcome)
        hearing.wake()


_T = TypeVar("_T")


async def soon(clock: Clock, seconds: float, call: Awaitable[_T]) -> _T:
    """
    Wait for a call of the runtime, not for longer than this.

    A runtime that is just starting may take a call and never answer it, although it answers the same call a moment
    later (OpenCode 1.18): a turn must not wait for such a one as long as for one that works.

    Raises:
        AgentUnreachable: It has not answered.

    """
    try:
        return await clock.within(seconds, call)
    except TimeoutError:
        raise AgentUnreachable(f"the runtime has not answered for {seconds:g} seconds") from None


Revise = Callable[[Sequence[Update]], Sequence[Update]]


async def keep(
    log: TaskLog, updates: Sequence[Update], clock: Clock, pause: float, revise: Revise | None = None
) -> None:
    """
    Append to a task's journal, however long the store takes until it has room; nothing once the task has ended.

    `revise` says what the updates become at the moment they are appended.
    """
    while not log.task.state.terminal:
        try:
            log.append(updates if revise is None else revise(updates))
        except JournalUnavailable as full:
            _log.warning("task %s waits for the store: %s", log.task.id, full)
            await clock.sleep(pause)
        else:
            return
