"""
Replies: how a message of a client's is read as answers to interrupts.

Plain text answers what the task shows. Data names what it answers, in one of the shapes that clients have:

- `{"request_id", "reply", "message"?}`, `{"request_id", "answers"}`, `{"request_id", "reject": true}`: the names of the
  `a2a.interrupt.*` methods;
- `{"callId", "outcome"}` and `{"tool_call_id", "selected_option_id"}`: a confirmation of Gemini CLI's;
- `{"decision_type"}`, and under kagent's extension in the message's metadata the responses which that describes.

What is not clear is refused: no shape is taken for an approval that does not say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from .errors import AmbiguousAnswer
from .ids import RequestId
from .interrupt import Answer, Channel, PermissionAnswer, QuestionAnswer, QuestionDismissed, Verdict
from .message import DataPart, Json, Message

HITL = "https://kagent.dev/extensions/hitl/v1"
"""The extension of kagent's by which people are asked."""

_VERDICTS: Mapping[str, Verdict] = {verdict.value: verdict for verdict in Verdict}
_OUTCOMES: Mapping[str, Verdict] = {
    "proceed_once": Verdict.ONCE,
    "proceed_always": Verdict.ALWAYS,
    "proceed_always_tool": Verdict.ALWAYS,
    "proceed_always_server": Verdict.ALWAYS,
    "cancel": Verdict.REJECT,
}
_DECISIONS: Mapping[str, Verdict] = {"approve": Verdict.ONCE, "deny": Verdict.REJECT, "reject": Verdict.REJECT}


@frozen
class Reply:
    """An answer, and to what if that was named."""

    request: RequestId | None
    answer: Answer
    channel: Channel = Channel.DATA


def read_replies(message: Message) -> Sequence[Reply]:
    """
    Read what a message answers by data; nothing if it has none.

    Raises:
        AmbiguousAnswer: It does not say clearly what is meant; the error says how to.

    """
    if HITL in message.extensions and HITL in message.metadata:
        return list(_read_hitl(message.metadata[HITL]))
    return [_read_data(part.data) for part in message.parts if isinstance(part, DataPart)]


def named_requests(message: Message) -> Iterator[RequestId]:
    """Name the interrupts a message says it is about, whatever else it says of them."""
    payload = message.metadata.get(HITL) if HITL in message.extensions else None
    if isinstance(payload, Mapping):
        approvals = payload.get("approvals")
        for told in (payload, *(approvals if isinstance(approvals, (list, tuple)) else ())):
            yield from _named(told, "id")
    for part in message.parts:
        if isinstance(part, DataPart):
            yield from _named(part.data, "request_id", "callId", "tool_call_id")


def _named(told: Json, *names: str) -> Iterator[RequestId]:
    if isinstance(told, Mapping):
        yield from (RequestId(str(told[name])) for name in names if told.get(name))


def _read_data(data: Json) -> Reply:
    if not isinstance(data, Mapping):
        raise AmbiguousAnswer("the data part must be an object with reply, answers or reject")
    request = next(_named(data, "request_id", "callId", "tool_call_id"), None)
    return Reply(request, _read_answer(data))


def _read_answer(data: Mapping[str, Json]) -> Answer:
    answers = data.get("answers")
    if data.get("reject") is True:
        return QuestionDismissed()
    if isinstance(answers, (list, tuple)):
        return QuestionAnswer(tuple(_labels(labels) for labels in answers))
    for name, words in (
        ("reply", _VERDICTS),
        ("outcome", _OUTCOMES),
        ("selected_option_id", _OUTCOMES),
        ("decision_type", _DECISIONS),
    ):
        said = data.get(name)
        if isinstance(said, str) and said.lower() in words:
            return PermissionAnswer(words[said.lower()], str(data.get("message") or ""))
    raise AmbiguousAnswer("the data part needs reply (once, always, reject), answers (a list of lists) or reject: true")


def _labels(labels: Json) -> tuple[str, ...]:
    if isinstance(labels, str):
        return (labels,)
    if isinstance(labels, (list, tuple)):
        return tuple(str(label) for label in labels)
    raise AmbiguousAnswer("answers must be a list of lists of labels")


def _read_hitl(payload: Json) -> Iterator[Reply]:
    """Read kagent's `tool_approval_response` and `ask_user_response`."""
    told = payload if isinstance(payload, Mapping) else {}
    approvals, answers = told.get("approvals"), told.get("answers")
    if told.get("type") == "tool_approval_response" and isinstance(approvals, (list, tuple)) and approvals:
        yield from map(_read_approval, approvals)
        return
    request = next(_named(told, "id"), None)
    if told.get("type") == "ask_user_response" and request is not None and isinstance(answers, (list, tuple)):
        yield Reply(request, QuestionAnswer(tuple(_read_chosen(chosen) for chosen in answers)))
        return
    raise AmbiguousAnswer(f"{HITL} needs a tool_approval_response with approvals or an ask_user_response with answers")


def _read_approval(told: Json) -> Reply:
    request = next(_named(told, "id"), None)
    if not isinstance(told, Mapping) or request is None or not isinstance(told.get("approved"), bool):
        raise AmbiguousAnswer(f"each approval of {HITL} needs an id, and approved: true or false")
    if told["approved"]:
        return Reply(request, PermissionAnswer(Verdict.ONCE))
    return Reply(request, PermissionAnswer(Verdict.REJECT, str(told.get("rejection_reason") or "")))


def _read_chosen(told: Json) -> tuple[str, ...]:
    if not isinstance(told, Mapping) or "answer" not in told:
        raise AmbiguousAnswer(f"each answer of {HITL} needs answer: a list of labels")
    return _labels(told["answer"])
