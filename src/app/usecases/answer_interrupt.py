"""Answer what a task waits for."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.usecases.follow_turn import Given, Job
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.domain.errors import AlreadyAnswered, AmbiguousAnswer, AnswerDoesNotFit
from opencode_a2a_server.domain.ids import Principal, RequestId
from opencode_a2a_server.domain.interrupt import (
    Answer,
    Interrupt,
    PermissionAnswer,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
    check_fits,
    read_answer,
)
from opencode_a2a_server.domain.message import DataPart, Json, Message
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import MessageReceived


@frozen
class AnswerInterrupt:
    """
    Answer a permission or a question. The answer counts when the runtime shows its effect.

    Raises:
        AmbiguousAnswer: The text does not clearly answer; nothing was answered.
        AnswerDoesNotFit: The answer is of the wrong kind, or for nothing this task waits for.
        AlreadyAnswered: Another answer came first.

    """

    agent: Agent
    turns: RunTurns

    async def by_message(self, log: TaskLog, principal: Principal, message: Message) -> None:
        """Answer with a message: a data part names the interrupt and the answer, plain text answers the oldest."""
        if (data := _answer_data(message)) is None:
            interrupt = next(iter(log.task.pending.values()))
            answer = read_answer(interrupt, message.text)
        else:
            answer = _read_reply(data)
            found = _find(log.task, _request(data), answer)
            if found is None:
                return
            interrupt = found
        check_fits(interrupt, answer)
        log.append([MessageReceived(message)])
        await self(log, principal, interrupt, answer)

    async def by_request(self, log: TaskLog, principal: Principal, request: RequestId, answer: Answer) -> None:
        """Answer what has this id."""
        interrupt = _find(log.task, request, answer)
        if interrupt is not None:
            await self(log, principal, interrupt, answer)

    async def __call__(self, log: TaskLog, principal: Principal, interrupt: Interrupt, answer: Answer) -> None:
        """Answer this interrupt of the task. The same answer again is the same result."""
        check_fits(interrupt, answer)
        session = log.task.session
        if session is None:  # pragma: no cover - an interrupt is raised by a turn, and a turn has a session
            raise AnswerDoesNotFit(f"task {log.task.id} has no session")
        async with self.turns.answering(log.task.id, interrupt.id) as job:
            if _is_answered(log.task, job, interrupt.id, answer):
                return
            if job is not None and job.turn is not None:
                job.turn.answering(interrupt.id, principal, resolution_of(answer))
            try:
                taken = await self.agent.answer(session, interrupt, answer)
            finally:
                if job is not None:
                    job.doubt()  # the effect counts, and may go unheard
            if not taken:
                raise AlreadyAnswered(f"{interrupt.id} is no longer waiting for an answer")
            if job is not None:
                job.given[interrupt.id] = Given(answer, principal)


def names_interrupt(task: Task, message: Message) -> bool:
    """Say whether the message answers an interrupt this task has or had, and says which."""
    request = _request(_answer_data(message))
    return request in task.pending or request in task.resolved


def _answer_data(message: Message) -> Json:
    return next((part.data for part in message.parts if isinstance(part, DataPart)), None)


def _request(data: Json) -> RequestId | None:
    named = data.get("request_id") if isinstance(data, Mapping) else None
    return RequestId(str(named)) if named else None


def _find(task: Task, request: RequestId | None, answer: Answer) -> Interrupt | None:
    """Give the interrupt that waits for this answer, the oldest if none is named; None if it has exactly this one."""
    request = request or next(iter(task.pending), RequestId(""))
    if (interrupt := task.pending.get(request)) is not None:
        return interrupt
    if _is_answered(task, None, request, answer):
        return None
    raise AnswerDoesNotFit(f"this task does not wait for {request}")


def _is_answered(task: Task, job: Job | None, request: RequestId, answer: Answer) -> bool:
    """
    Say whether exactly this answer was given before.

    Raises:
        AlreadyAnswered: Another one was.

    """
    given = job.given.get(request) if job is not None else None
    resolved = task.resolved.get(request)
    if given is None and resolved is None:
        return False
    if given is not None and given.answer == answer:
        return True
    says_all = not isinstance(answer, QuestionAnswer)  # of a question, a resolution does not tell the answers
    if resolved is not None and says_all and resolved.resolution == resolution_of(answer):
        return True
    by = given.by if given is not None else resolved.by if resolved is not None else None
    who = f" by {by}" if by else ""
    what = resolved.resolution if resolved is not None else "its effect is awaited"
    raise AlreadyAnswered(f"{request} was answered before{who}: {what}")


def resolution_of(answer: Answer) -> str:
    """Give the word for an interrupt that was answered so."""
    match answer:
        case PermissionAnswer(verdict):
            return verdict.value
        case QuestionAnswer():
            return "replied"
        case QuestionDismissed():  # pragma: no branch - the last kind
            return "rejected"


def _read_reply(data: Json) -> Answer:
    """
    Read `{"request_id", "reply", "message"?}`, `{"request_id", "answers"}` or `{"request_id", "reject": true}`.

    The names are those of the `a2a.interrupt.*` methods; `request_id` may be left out if one interrupt waits.
    """
    if not isinstance(data, Mapping):
        raise AmbiguousAnswer("the data part must be an object with reply, answers or reject")
    reply, answers = data.get("reply"), data.get("answers")
    if data.get("reject") is True:
        return QuestionDismissed()
    if isinstance(answers, (list, tuple)):
        return QuestionAnswer(tuple(_labels(labels) for labels in answers))
    verdicts = {verdict.value: verdict for verdict in Verdict}
    if isinstance(reply, str) and reply.lower() in verdicts:
        return PermissionAnswer(verdicts[reply.lower()], str(data.get("message") or ""))
    raise AmbiguousAnswer("the data part needs reply (once, always, reject), answers (a list of lists) or reject: true")


def _labels(labels: Json) -> tuple[str, ...]:
    if isinstance(labels, str):
        return (labels,)
    if isinstance(labels, (list, tuple)):
        return tuple(str(label) for label in labels)
    raise AmbiguousAnswer("answers must be a list of lists of labels")
