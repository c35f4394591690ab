"""Methods that answer permissions and questions, or list them."""

from __future__ import annotations

from typing import Final

from opencode_a2a_server.adapters.inbound.a2a import shared
from opencode_a2a_server.adapters.inbound.a2a.card.extensions import INTERACTIVE_INTERRUPT
from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.usecases.list_interrupts import Asking
from opencode_a2a_server.domain.ids import RequestId
from opencode_a2a_server.domain.interrupt import (
    Kind,
    PermissionAnswer,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)

from .read import InvalidField, Params, Words
from .row import Answer, ExtensionMethod, InterruptServices, Risk, Rows

_VERDICTS: Final = {verdict.value: verdict for verdict in Verdict}


class OfInterrupt(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which interrupt is meant."""

    request_id: Words


class PermissionReply(OfInterrupt, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a permission is answered: once, always or reject, the latter with words for the agent."""

    reply: Words
    message: str | None = None


class QuestionReply(OfInterrupt, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a question is answered: for each of its inquiries the labels, or own words."""

    answers: list[list[str]]


async def _reply_permission(services: InterruptServices, call: Call, asked: PermissionReply) -> Told:
    verdict = _VERDICTS.get(asked.reply.strip().lower())
    if verdict is None:
        raise InvalidField(f"reply must be one of {', '.join(_VERDICTS)}", "reply")
    return await _answer(services, call, asked, PermissionAnswer(verdict, (asked.message or "").strip()))


async def _reply_question(services: InterruptServices, call: Call, asked: QuestionReply) -> Told:
    answers = (tuple(label for label in labels if label.strip()) for labels in asked.answers)
    return await _answer(services, call, asked, QuestionAnswer(tuple(answers)))


async def _reject_question(services: InterruptServices, call: Call, asked: OfInterrupt) -> Told:
    return await _answer(services, call, asked, QuestionDismissed())


async def _answer(
    services: InterruptServices,
    call: Call,
    asked: OfInterrupt,
    answer: PermissionAnswer | QuestionAnswer | QuestionDismissed,
) -> Told:
    request = RequestId(asked.request_id.strip())
    await services.answer.by_request(call.principal, request, answer, directory=_directory(asked))
    return {"ok": True, "request_id": request}


def _directory(asked: Params) -> str | None:
    """Give the directory that is named, as 0.2's clients do: an answer goes to its session's own, whatever it says."""
    if asked.metadata is None or asked.metadata.opencode is None:
        return None
    return asked.metadata.opencode.directory


async def _list_permissions(services: InterruptServices, call: Call, _asked: Params) -> Told:
    return {"items": [_item(asking) for asking in await services.list(call.principal, Kind.PERMISSION)]}


async def _list_questions(services: InterruptServices, call: Call, _asked: Params) -> Told:
    return {"items": [_item(asking) for asking in await services.list(call.principal, Kind.QUESTION)]}


def _item(asking: Asking) -> Told:
    interrupt = asking.interrupt
    return {
        "request_id": interrupt.id,
        "session_id": interrupt.session,
        "interrupt_type": interrupt.kind.value,
        "task_id": asking.task_id,
        "context_id": asking.context_id,
        "details": shared.details(interrupt),
        "expires_at": None if interrupt.deadline is None else interrupt.deadline.at,
    }


_DONE: Final = Answer(("ok", "request_id"))
_LISTED: Final = Answer(("items",), "Interrupt")

_ROWS: Final[Rows[InterruptServices]] = Rows(INTERACTIVE_INTERRUPT, lambda services: services.interrupts)

ROWS: Final[tuple[ExtensionMethod, ...]] = (
    _ROWS.of(
        "a2a.interrupt.permission.reply",
        "reply_permission",
        summary="Answers a permission: once, always or reject; with a message, the agent goes on after a rejection.",
        params=PermissionReply,
        answer=_DONE,
        call=_reply_permission,
        since="0.2",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "a2a.interrupt.question.reply",
        "reply_question",
        summary="Answers a question: for each of its inquiries the labels chosen, or own words.",
        params=QuestionReply,
        answer=_DONE,
        call=_reply_question,
        since="0.2",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "a2a.interrupt.question.reject",
        "reject_question",
        summary="Dismisses a question; the agent's turn ends.",
        params=OfInterrupt,
        answer=_DONE,
        call=_reject_question,
        since="0.2",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.permissions.list",
        "list_permissions",
        summary="Permissions that wait for the caller's answer, of its tasks and of work by other methods.",
        params=Params,
        answer=_LISTED,
        call=_list_permissions,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.questions.list",
        "list_questions",
        summary="Questions that wait for the caller's answer, of its tasks and of work by other methods.",
        params=Params,
        answer=_LISTED,
        call=_list_questions,
        since="1.4",
    ),
)
