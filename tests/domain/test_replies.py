"""The shapes in which clients answer by data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.domain.errors import AmbiguousAnswer
from opencode_a2a_server.domain.ids import MessageId, RequestId
from opencode_a2a_server.domain.interrupt import (
    Answer,
    Channel,
    PermissionAnswer,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.message import DataPart, Json, Message, Role, TextPart
from opencode_a2a_server.domain.replies import HITL, Reply, named_requests, read_replies

ONCE, ALWAYS, REJECT = (PermissionAnswer(verdict) for verdict in Verdict)
PER = RequestId("per_1")


def by_data(*data: Json) -> Message:
    return Message(MessageId("m"), Role.USER, tuple(map(DataPart, data)))


def by_hitl(payload: Json, *, declared: bool = True) -> Message:
    extensions = (HITL,) if declared else ()
    return Message(MessageId("m"), Role.USER, (TextPart("yes"),), extensions=extensions, metadata={HITL: payload})


@pytest.mark.parametrize(
    ("data", "request_id", "answer"),
    [
        ({"request_id": "per_1", "reply": "once"}, PER, ONCE),
        ({"request_id": "per_1", "reply": "ALWAYS"}, PER, ALWAYS),
        ({"reply": "reject"}, None, REJECT),
        ({"reply": "reject", "message": "use git"}, None, PermissionAnswer(Verdict.REJECT, "use git")),
        ({"request_id": "que_1", "answers": [["a", "b"], []]}, "que_1", QuestionAnswer((("a", "b"), ()))),
        ({"answers": ["a"]}, None, QuestionAnswer((("a",),))),
        ({"reject": True}, None, QuestionDismissed()),
        ({"callId": "per_1", "outcome": "proceed_once"}, PER, ONCE),
        ({"callId": "per_1", "outcome": "proceed_always"}, PER, ALWAYS),
        ({"callId": "per_1", "outcome": "proceed_always_tool"}, PER, ALWAYS),
        ({"callId": "per_1", "outcome": "proceed_always_server"}, PER, ALWAYS),
        ({"callId": "per_1", "outcome": "cancel"}, PER, REJECT),
        ({"tool_call_id": "per_1", "selected_option_id": "proceed_once"}, PER, ONCE),
        ({"tool_call_id": "per_1", "selected_option_id": "cancel"}, PER, REJECT),
        ({"decision_type": "approve"}, None, ONCE),
        ({"decision_type": "deny"}, None, REJECT),
        ({"decision_type": "reject"}, None, REJECT),
    ],
)
def test_an_answer_is_read_in_each_shape(data: Json, request_id: RequestId | None, answer: Answer) -> None:
    assert read_replies(by_data(data)) == [Reply(request_id, answer, Channel.DATA)]


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        "once",
        None,
        True,
        {"reply": "yes"},
        {"reply": 1},
        {"reply": True},
        {"reject": "true"},
        {"reject": 1},
        {"answers": "a"},
        {"answers": [1]},
        {"callId": "per_1"},
        {"callId": "per_1", "outcome": "modify_with_editor"},
        {"callId": "per_1", "outcome": ""},
        {"decision_type": "batch"},
        {"approved": True},
    ],
)
def test_data_that_is_not_clear_is_refused(data: Json) -> None:
    with pytest.raises(AmbiguousAnswer):
        read_replies(by_data(data))


@given(st.dictionaries(st.sampled_from(["reply", "outcome", "decision_type", "x"]), st.text(max_size=10)))
def test_no_data_approves_by_accident(data: dict[str, Json]) -> None:
    try:
        (reply,) = read_replies(by_data(data))
    except AmbiguousAnswer:
        return

    clear = {"once", "always", "reject", "cancel", "approve", "deny"}
    assert any(str(said).lower() in clear or str(said).lower().startswith("proceed_") for said in data.values())
    assert isinstance(reply.answer, PermissionAnswer)


def test_one_message_may_answer_several() -> None:
    replies = read_replies(by_data({"request_id": "a", "reply": "once"}, {"request_id": "b", "reply": "reject"}))

    assert [(reply.request, reply.answer) for reply in replies] == [("a", ONCE), ("b", REJECT)]


def test_kagents_approvals_are_read() -> None:
    approvals: Json = [
        {"id": "per_1", "approved": True},
        {"id": "per_2", "approved": False, "rejection_reason": "out of scope"},
        {"id": "per_3", "approved": False},
    ]

    message = by_hitl({"type": "tool_approval_response", "approvals": approvals})

    assert [(reply.request, reply.answer) for reply in read_replies(message)] == [
        ("per_1", ONCE),
        ("per_2", PermissionAnswer(Verdict.REJECT, "out of scope")),
        ("per_3", REJECT),
    ]
    assert set(named_requests(message)) == {"per_1", "per_2", "per_3"}


def test_kagents_answers_to_questions_are_read() -> None:
    message = by_hitl({"type": "ask_user_response", "id": "que_1", "answers": [{"answer": ["a", "b"]}]})

    assert read_replies(message) == [Reply(RequestId("que_1"), QuestionAnswer((("a", "b"),)))]
    assert list(named_requests(message)) == ["que_1"]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "approve",
        {},
        {"type": "tool_approval_response"},
        {"type": "tool_approval_response", "approvals": []},
        {"type": "tool_approval_response", "approvals": [{"id": "per_1"}]},
        {"type": "tool_approval_response", "approvals": [{"approved": True}]},
        {"type": "tool_approval_response", "approvals": [{"id": "per_1", "approved": "true"}]},
        {"type": "tool_approval_response", "approvals": ["per_1"]},
        {"type": "ask_user_response", "answers": [{"answer": ["a"]}]},
        {"type": "ask_user_response", "id": "que_1", "answers": [["a"]]},
        {"type": "tool_approval_request", "tools": []},
    ],
)
def test_what_kagents_extension_does_not_describe_is_refused(payload: Json) -> None:
    with pytest.raises(AmbiguousAnswer):
        read_replies(by_hitl(payload))


def test_kagents_extension_counts_only_if_the_message_names_it() -> None:
    message = by_hitl({"type": "tool_approval_response", "approvals": [{"id": "a", "approved": True}]}, declared=False)

    assert read_replies(message) == []
    assert list(named_requests(message)) == []


def test_text_has_no_replies() -> None:
    assert read_replies(Message(MessageId("m"), Role.USER, (TextPart("yes"),))) == []
