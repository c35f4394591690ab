"""Accept a message: as an answer, as the next turn of a task, or as a new task."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import evolve, frozen

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.ids import Ids
from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.usecases.answer_interrupt import AnswerInterrupt, names_interrupt
from opencode_a2a_server.app.usecases.check_wishes import CheckWishes
from opencode_a2a_server.app.usecases.keep_quotas import KeepQuotas
from opencode_a2a_server.app.usecases.refer import check_references
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.errors import ContextMismatch, Draining, JournalUnavailable, TaskIsBusy, TaskIsTerminal
from opencode_a2a_server.domain.ids import ContextId, Principal, Seq, TaskId
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import MessageReceived, TaskSubmitted

_WAITING_MOST = 100


class ToWorking(enum.Enum):
    """What becomes of a message to a task which works on another one."""

    REJECT = "reject"
    QUEUE = "queue"


@frozen
class Accepted:
    """The task a message went to, and the last entry of its journal before anything came of it."""

    log: TaskLog
    seq: Seq


@frozen
class AcceptMessage:
    """
    Accept a message; what is accepted is durable.

    A message without a task begins one, in the context it names or in a new one. With a task it answers what the task
    waits for; while the task works, it is refused or waits for a turn of its own, as `to_working` says.

    Raises:
        ContentTypeNotSupported: The runtime cannot take a part of it.
        TaskNotFound: It names or refers to a task this principal does not have.
        ContextMismatch: It names a task and another task's context.
        SessionNotFound, Forbidden, InvalidRequest: See `CheckWishes`.
        TaskIsTerminal, TaskIsBusy: The task takes no message now.
        AmbiguousAnswer: The task waits for an answer and this is none.
        RateLimited: The principal has as many turns as it may, or has used up its day.
        Draining, JournalUnavailable: Not now.

    """

    agent: Agent
    journal: Journal
    turns: RunTurns
    answer: AnswerInterrupt
    wishes: CheckWishes
    ids: Ids
    to_working: ToWorking = ToWorking.REJECT
    quotas: KeepQuotas | None = None

    async def __call__(self, principal: Principal, message: Message) -> Accepted | Message:
        """Give the task the message went to, or the runtime's bare reply."""
        self.agent.check(message)
        if self.turns.draining:
            raise Draining("the service is about to stop; try again in a moment")
        await check_references(self.journal, principal, message)
        message = await self.wishes(principal, message)
        if message.task_id is not None:
            return await self._continue(principal, message, message.task_id)
        if (reply := await self.agent.reply(principal, message)) is not None:
            return reply
        return await self._begin(principal, message)

    async def _begin(self, principal: Principal, message: Message) -> Accepted:
        await self.wishes.for_new(principal, message)
        async with self._admitted(principal):
            return await self._begun(principal, message)

    async def _begun(self, principal: Principal, message: Message) -> Accepted:
        context_id = message.context_id or ContextId(self.ids.new())
        task_id = TaskId(self.ids.new())
        log = await self.journal.create(
            task_id, TaskSubmitted(context_id, principal, _placed(message, task_id, context_id))
        )
        seq = log.task.seq
        self.turns.start(log, message)  # before anything is awaited: a sender who goes away leaves no task behind
        try:
            await log.durable(seq)
        except JournalUnavailable:
            self.turns.cancel(log)
            raise
        return Accepted(log, seq)

    async def _continue(self, principal: Principal, message: Message, task_id: TaskId) -> Accepted:
        log = await owned(self.journal, principal, task_id)
        task = log.task
        if message.context_id not in (None, task.context_id):
            raise ContextMismatch(
                f"task {task_id} does not belong to context {message.context_id}", "message.contextId"
            )
        _check_goes_on(task)
        if task.canceling:
            raise TaskIsBusy(f"task {task_id} is being canceled")
        await self.wishes.for_task(task, message)
        seq = task.seq
        placed = _placed(message, task_id, task.context_id)
        if task.pending or names_interrupt(task, placed):
            await self.answer.by_message(log, principal, placed)
        elif task.state.interrupted:
            async with self._admitted(principal):
                self._go_on(log, placed)
        else:
            if self.quotas is not None:
                await self.quotas.check(principal)
            self._queue(log, placed)
        await log.durable()
        return Accepted(log, seq)

    @asynccontextmanager
    async def _admitted(self, principal: Principal) -> AsyncIterator[None]:
        """Let a turn begin in the body, within the principal's quotas."""
        if self.quotas is None:
            yield
            return
        async with self.quotas.admitted(principal, lambda: self.turns.working_for(principal)):
            yield

    def _go_on(self, log: TaskLog, message: Message) -> None:
        """Begin the next turn of a task that had halted; while its principal's quotas were looked at another may have."""
        task = log.task
        _check_goes_on(task)
        if task.state.interrupted and not task.pending:
            self.turns.go_on(log, message)
        else:
            self._queue(log, message)

    def _queue(self, log: TaskLog, message: Message) -> None:
        """Let the message wait for the end of the turn under way."""
        task = log.task
        if self.to_working is ToWorking.REJECT:
            raise TaskIsBusy(f"task {task.id} works on another message; wait for its end, or cancel it")
        if len(task.waiting) >= _WAITING_MOST:
            raise TaskIsBusy(f"{len(task.waiting)} messages wait for task {task.id} already; wait, or cancel it")
        log.append([MessageReceived(message, queued=True)])


def _check_goes_on(task: Task) -> None:
    if task.state.terminal:
        raise TaskIsTerminal(f"task {task.id} is {task.state.value}; send the message without a taskId to go on")


def _placed(message: Message, task_id: TaskId, context_id: ContextId) -> Message:
    """Complete the ids a client may leave out (A2A 1.0, 3.4.3)."""
    return evolve(message, context_id=context_id, task_id=task_id)
