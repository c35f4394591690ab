"""Answer what a task waits for."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.journal import TaskLog
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
        parts = [part for part in message.parts if isinstance(part, DataPart)]
        if parts:
            interrupt, answer = _read_data(log, parts[0].data)
        else:
            interrupt = next(iter(log.task.pending.values()))
            answer = read_answer(interrupt, message.text)
        log.append([MessageReceived(message)])
        await self(log, principal, interrupt, answer)

    async def __call__(self, log: TaskLog, principal: Principal, interrupt: Interrupt, answer: Answer) -> None:
        """Answer this interrupt of the task."""
        check_fits(interrupt, answer)
        session = log.task.session
        if session is None:  # pragma: no cover - an interrupt is raised by a turn, and a turn has a session
            raise AnswerDoesNotFit(f"task {log.task.id} has no session")
        self.turns.answering(log.task.id, interrupt.id, principal)
        if not await self.agent.answer(session, interrupt, answer):
            raise AlreadyAnswered(f"{interrupt.id} is no longer waiting for an answer")


def _read_data(log: TaskLog, data: Json) -> tuple[Interrupt, Answer]:
    """
    Read `{"request_id", "reply", "message"?}`, `{"request_id", "answers"}` or `{"request_id", "reject": true}`.

    The names are those of the `a2a.interrupt.*` methods; `request_id` may be left out if one interrupt waits.
    """
    if not isinstance(data, Mapping):
        raise AmbiguousAnswer("the data part must be an object with reply, answers or reject")
    pending = log.task.pending
    request = data.get("request_id") or next(iter(pending))
    interrupt = pending.get(RequestId(str(request)))
    if interrupt is None:
        if (done := log.task.resolved.get(RequestId(str(request)))) is not None:
            raise AlreadyAnswered(f"{request} was answered before: {done.resolution}")
        raise AnswerDoesNotFit(f"this task does not wait for {request}")
    return interrupt, _read_reply(data)


def _read_reply(data: Mapping[str, Json]) -> Answer:
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
