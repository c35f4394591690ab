"""Permissions and questions, and what is answered to them."""

from __future__ import annotations

from collections.abc import Mapping

from opencode_a2a_server.adapters.outbound.opencode import wire
from opencode_a2a_server.domain.ids import MessageId, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Answer,
    Inquiry,
    Option,
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.message import Json


def read_permission(asked: wire.Permission) -> Permission:
    """Read a permission that is asked for."""
    return Permission(
        RequestId(asked.id),
        SessionId(asked.session_id),
        asked.permission,
        asked.patterns,
        asked.always,
        asked.metadata,
        _asking(asked.tool),
    )


def read_question(asked: wire.Question) -> Question:
    """Read what is asked."""
    inquiries = tuple(
        Inquiry(
            inquiry.question,
            inquiry.header,
            tuple(Option(option.label, option.description) for option in inquiry.options),
            inquiry.multiple,
            inquiry.custom,
        )
        for inquiry in asked.questions
    )
    return Question(RequestId(asked.id), SessionId(asked.session_id), inquiries, _asking(asked.tool))


def _asking(call: wire.ToolCall | None) -> MessageId | None:
    return None if call is None else MessageId(call.message_id)


def encode_answer(answer: Answer) -> tuple[str, Mapping[str, Json]]:
    """Give the verb, which is the path's last part, and the body that tell an answer."""
    match answer:
        case PermissionAnswer(Verdict.REJECT, reason) if reason:
            return "reply", {"reply": "reject", "message": reason}
        case PermissionAnswer(verdict):
            return "reply", {"reply": verdict.value}
        case QuestionAnswer(answers):
            return "reply", {"answers": [list(labels) for labels in answers]}
        case QuestionDismissed():
            return "reject", {}
