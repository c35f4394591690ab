"""Answer what a task waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from attrs import frozen

from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.interrupts import Interrupts
from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.usecases import audit_interrupts
from opencode_a2a_server.app.usecases.answer_work import AnswerWork
from opencode_a2a_server.app.usecases.check_place import CheckPlace
from opencode_a2a_server.app.usecases.job import Job, Outcome
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.domain.errors import (
    AlreadyAnswered,
    AnswerDoesNotFit,
    Draining,
    InterruptExpired,
    InterruptNotFound,
    Refusal,
    TaskIsBusy,
    TaskNotFound,
)
from opencode_a2a_server.domain.ids import Principal, RequestId
from opencode_a2a_server.domain.interrupt import (
    WITHDRAWN,
    Answer,
    Answerer,
    Channel,
    Interrupt,
    QuestionAnswer,
    check_fits,
    moment,
    read_answer,
    resolution_of,
)
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.replies import Reply, named_requests, read_replies
from opencode_a2a_server.domain.task import Settled, Task
from opencode_a2a_server.domain.updates import AnswerGiven, MessageReceived


@frozen
class AnswerInterrupt:
    """
    Answer permissions and questions, whichever way the answers come.

    The first answer wins. The same one again is the same result, another one is refused with who gave the first and
    when. An answer is accepted when it is journaled: from then on the turn tells it to the runtime until its effect
    shows, also after a restart. Who gives it waits a moment to hear whether the runtime took it.

    Raises:
        AmbiguousAnswer: The text does not clearly answer; nothing was answered.
        AnswerDoesNotFit: The answer is of the wrong kind, or for nothing this task waits for.
        AlreadyAnswered: Another answer came first.
        InterruptNotFound: This principal has no such interrupt, or it ended longer ago than `tombstones`.
        InterruptExpired: It is over, and no person answered it.

    """

    journal: Journal
    interrupts: Interrupts
    turns: RunTurns
    clock: Clock
    audit: Audit
    places: CheckPlace | None = None
    """Checks directories that callers name; without it they say nothing."""
    work: AnswerWork | None = None
    """Answers what sessions ask that work without a task."""
    tombstones: float = 600.0
    """Seconds after its end for which an interrupt is found by its id alone."""

    async def by_message(self, log: TaskLog, principal: Principal, message: Message) -> None:
        """Answer with a message: data names the interrupts and the answers, plain text answers what is shown."""
        replies = read_replies(message)
        if not replies:
            shown = next(iter(log.task.pending.values()))
            replies = [Reply(shown.id, read_answer(shown, message.text), Channel.MESSAGE)]
        await self._give(log, principal, replies, message)

    async def __call__(
        self,
        log: TaskLog,
        principal: Principal,
        request: RequestId,
        answer: Answer,
        channel: Channel = Channel.CALLBACK,
    ) -> None:
        """Answer this interrupt of the task."""
        await self._give(log, principal, [Reply(request, answer, channel)])

    async def by_request(
        self, principal: Principal, request: RequestId, answer: Answer, *, directory: str | None = None
    ) -> None:
        """
        Answer what has this id. The answer goes to its session's directory; one that is named must be allowed.

        Raises:
            InvalidRequest: The directory is outside the workspace.

        """
        if self.turns.draining:
            raise Draining("the service is about to stop; try again in a moment")
        if directory is not None and self.places is not None:
            await self.places.reached(principal, await self.places(directory))
        try:
            log = await self._find(principal, request)
        except InterruptNotFound:
            if self.work is None or not await self.work(principal, request, answer):
                raise
        else:
            await self(log, principal, request, answer)

    async def _find(self, principal: Principal, request: RequestId) -> TaskLog:
        unknown = InterruptNotFound(f"there is no interrupt {request}")
        found = await self.interrupts.find(principal, request)
        if found is None or (found.ended_at is not None and found.ended_at + self.tombstones < self.clock.now()):
            raise unknown
        try:
            log = await self.journal.open(found.task_id)
        except TaskNotFound:
            raise unknown from None
        if log.task.principal != principal:  # pragma: no cover - the register has each under its own principal
            raise unknown
        return log

    async def _give(
        self, log: TaskLog, principal: Principal, replies: Sequence[Reply], message: Message | None = None
    ) -> None:
        """Journal the answers, all or none, together with the message they came in; then see them taken."""
        task, now = log.task, self.clock.now()
        given: dict[RequestId, AnswerGiven] = {}
        requests = [reply.request or next(iter(task.pending), RequestId("")) for reply in replies]
        for request, reply in zip(requests, replies, strict=True):
            by = Answerer(reply.channel, principal)
            try:
                interrupt = _to_answer(task, request, reply.answer)
            except Refusal as refusal:
                await self.audit.record(audit_interrupts.refused(task, request, by, now, refusal))
                raise
            if interrupt is not None:
                given[request] = AnswerGiven(interrupt, reply.answer, by, now)
        job = self.turns.job(log)  # before the answers are journaled: to it they are new
        if given:
            log.append([*([] if message is None else [MessageReceived(message)]), *given.values()])
        outcomes = _hand_over(job, requests, given)
        await log.durable()
        for outcome in outcomes:
            await self._see_taken(outcome)

    async def _see_taken(self, outcome: Outcome) -> None:
        """Wait until the runtime has taken an answer, or for a moment; one that it does not take does not count."""
        with suppress(TimeoutError):
            refusal = await self.clock.within(self.turns.pace.answer, asyncio.shield(outcome))
            if refusal is not None:
                raise refusal


def _hand_over(
    job: Job | None, requests: Sequence[RequestId], given: Mapping[RequestId, AnswerGiven]
) -> Sequence[Outcome]:
    """Let the turn have the answers; gives what is to become of all that were asked for. Without a turn: nothing."""
    if job is None:
        return ()  # whoever takes the turn up finds them in the journal
    for update in given.values():
        job.give(update)
    return [outcome for request in requests if (outcome := job.outcome(request)) is not None]


def names_interrupt(task: Task, message: Message) -> bool:
    """Say whether the message answers an interrupt this task has or had, and says which."""
    return any(request in task.pending or request in task.resolved for request in named_requests(message))


def _to_answer(task: Task, request: RequestId, answer: Answer) -> Interrupt | None:
    """
    Give the interrupt that waits for this answer; None if it has exactly this one.

    Raises:
        Refusal: It has another one, the answer does not fit it, or it does not wait for any.

    """
    if (given := task.given.get(request)) is not None:
        if given.answer == answer:
            return None
        check_fits(given.interrupt, answer)
        raise _answered(request, given.at, given.by, f"{resolution_of(given.answer)}; its effect is awaited")
    if (interrupt := task.pending.get(request)) is not None:
        check_fits(interrupt, answer)
        if task.canceling:
            raise TaskIsBusy(f"task {task.id} is being canceled")
        return interrupt
    if (settled := task.resolved.get(request)) is not None:
        _compare(settled, answer)
        return None
    if task.state.terminal:
        raise InterruptExpired(f"{request} is over: task {task.id} is {task.state.value}")
    raise AnswerDoesNotFit(f"this task does not wait for {request}")


def _compare(settled: Settled, answer: Answer) -> None:
    """Refuse an answer unless the interrupt ended so."""
    if settled.answer == answer:
        return
    says_all = settled.answer is None and not isinstance(answer, QuestionAnswer)  # "replied" does not tell the answers
    if says_all and settled.resolution == resolution_of(answer):
        return
    if settled.resolution == WITHDRAWN:
        raise InterruptExpired(f"{settled.request} was withdrawn at {moment(settled.at)}")
    if settled.channel is Channel.DEADLINE:
        who = settled.answerer
        raise InterruptExpired(f"{settled.request} was ended at {moment(settled.at)} by {who}: {settled.resolution}")
    raise _answered(settled.request, settled.at, settled.answerer, settled.resolution)


def _answered(request: RequestId, at: float, by: Answerer | None, what: str) -> AlreadyAnswered:
    who = "" if by is None else f" by {by}"
    return AlreadyAnswered(f"{request} was answered at {moment(at)}{who}: {what}")
