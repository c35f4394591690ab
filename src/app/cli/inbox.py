"""What waits for an answer in a running service, as commands read it and answer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_a2a_server.domain.errors import AmbiguousAnswer
from opencode_a2a_server.domain.ids import RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Inquiry,
    Interrupt,
    Option,
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    moment,
    read_answer,
)

from .client import Refused, Service


def waiting(service: Service) -> list[Mapping[str, Any]]:
    """List what waits for an answer."""
    methods = ("opencode.permissions.list", "opencode.questions.list")
    return [item for method in methods for item in service.call(method)["items"]]


def until(item: Mapping[str, Any]) -> str:
    """Say how long it is waited for."""
    return "" if item["expires_at"] is None else moment(item["expires_at"])


def asks(item: Mapping[str, Any]) -> str:
    """Say in a line what is asked."""
    return _interrupt(item).prompt.splitlines()[0]


def give_answer(service: Service, request_id: str, text: str) -> Mapping[str, Any]:
    """
    Answer as text is read everywhere; what no longer waits is told as a permission's verdict, for the service to judge.

    Raises:
        Refused: The text does not say clearly what is meant, or the service says no.
        Unreachable: The service does not answer.

    """
    asked = next((item for item in waiting(service) if item["request_id"] == request_id), None)
    gone = Permission(RequestId(request_id), SessionId(""), "") if asked is None else None
    try:
        answer = read_answer(gone or _interrupt(asked or {}), text)
    except AmbiguousAnswer as unclear:
        raise Refused(str(unclear)) from unclear
    match answer:
        case PermissionAnswer(verdict, reason):
            said = {"reply": verdict.value, **({"message": reason} if reason else {})}
            return service.call("a2a.interrupt.permission.reply", {"request_id": request_id, **said})
        case QuestionAnswer(answers):
            told = {"request_id": request_id, "answers": [list(labels) for labels in answers]}
            return service.call("a2a.interrupt.question.reply", told)
        case QuestionDismissed():  # pragma: no branch - the last kind
            return service.call("a2a.interrupt.question.reject", {"request_id": request_id})


def _interrupt(item: Mapping[str, Any]) -> Interrupt:
    """Read an item back as what is asked."""
    request, session, details = RequestId(item["request_id"]), SessionId(item["session_id"]), item["details"]
    if item["interrupt_type"] == "permission":
        return Permission(
            request, session, details["permission"], tuple(details["patterns"]), details=details["metadata"]
        )
    return Question(request, session, tuple(map(_inquiry, details["questions"])))


def _inquiry(told: Mapping[str, Any]) -> Inquiry:
    options = tuple(Option(option["label"], option["description"]) for option in told["options"])
    return Inquiry(told["question"], told["header"], options, told["multiple"], told["custom"])
