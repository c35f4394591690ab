"""What the audit is told of interrupts: who answered what, when and how, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping

from opencode_a2a_server.domain.audit import Record
from opencode_a2a_server.domain.errors import Refusal
from opencode_a2a_server.domain.ids import RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Answer,
    Answerer,
    Interrupt,
    Permission,
    PermissionAnswer,
    QuestionAnswer,
    QuestionDismissed,
)
from opencode_a2a_server.domain.message import Json
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import AnswerDropped, AnswerGiven, InterruptResolved

ANSWER = "interrupt.answer"
RESOLVED = "interrupt.resolved"

GIVEN, GIVEN_AGAIN, REFUSED, NOT_TAKEN = "given", "given-again", "refused", "not-taken"


def given(task: Task, update: AnswerGiven, *, again: bool = False) -> Record:
    """Tell that an answer is given; again, if another life of the service may have told that before it ended."""
    return Record(
        update.at,
        ANSWER,
        update.by.principal,
        update.by.channel.value,
        _subject(task, update.request, update.interrupt.session),
        GIVEN_AGAIN if again else GIVEN,
        {**_asked(update.interrupt), **_said(update.answer), **_reason(update.by.reason)},
    )


def given_outside(update: AnswerGiven, session: SessionId) -> Record:
    """Tell that an answer was taken in a session that works for no task."""
    subject = {"session": session, "request": update.request}
    details = {**_asked(update.interrupt), **_said(update.answer), **_reason(update.by.reason)}
    return Record(update.at, ANSWER, update.by.principal, update.by.channel.value, subject, GIVEN, details)


def refused_outside(session: SessionId, request: RequestId, by: Answerer, at: float, refusal: Refusal) -> Record:
    """Tell that an answer was refused in a session that works for no task."""
    details: Mapping[str, Json] = {"error": type(refusal).__name__, "message": str(refusal)}
    subject = {"session": session, "request": request}
    return Record(at, ANSWER, by.principal, by.channel.value, subject, REFUSED, details)


def refused(task: Task, request: RequestId, by: Answerer, at: float, refusal: Refusal) -> Record:
    """Tell that an answer was refused."""
    details: Mapping[str, Json] = {"error": type(refusal).__name__, "message": str(refusal)}
    return Record(at, ANSWER, by.principal, by.channel.value, _subject(task, request), REFUSED, details)


def dropped(task: Task, update: AnswerDropped, at: float) -> Record:
    """Tell that the runtime did not take an answer."""
    return Record(at, ANSWER, subject=_subject(task, update.request), outcome=NOT_TAKEN, details=_reason(update.reason))


def resolved(task: Task, update: InterruptResolved, at: float) -> Record:
    """Tell that an interrupt is gone; without a channel, nobody who is known here answered."""
    channel = "" if update.channel is None else update.channel.value
    subject = _subject(task, update.request)
    return Record(at, RESOLVED, update.by, channel, subject, update.resolution, _reason(update.reason))


def _subject(task: Task, request: RequestId, session: SessionId | None = None) -> Mapping[str, str]:
    named = session if session is not None or task.session is None else task.session.id
    return {
        "task": task.id,
        "context": task.context_id,
        **({} if named is None else {"session": named}),
        "request": request,
    }


def _asked(interrupt: Interrupt) -> Mapping[str, Json]:
    if isinstance(interrupt, Permission):
        return {"kind": "permission", "permission": interrupt.permission, "patterns": list(interrupt.patterns)}
    return {"kind": "question", "questions": [inquiry.question for inquiry in interrupt.inquiries]}


def _said(answer: Answer) -> Mapping[str, Json]:
    match answer:
        case PermissionAnswer(verdict, reason):
            return {"answer": verdict.value, **({"message": reason} if reason else {})}
        case QuestionAnswer(answers):
            return {"answer": "replied", "answers": [list(labels) for labels in answers]}
        case QuestionDismissed():  # pragma: no branch - the last kind
            return {"answer": "rejected"}


def _reason(reason: str) -> Mapping[str, Json]:
    return {"reason": reason} if reason else {}
