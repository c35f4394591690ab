"""Messages and tasks, there and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from a2a import types as a2a
from google.protobuf.json_format import MessageToDict, ParseDict

from opencode_a2a_server.adapters.inbound.a2a.codec import message_in, message_out, task_out, timestamp
from opencode_a2a_server.adapters.inbound.a2a.encode import to_json
from opencode_a2a_server.domain.ids import ContextId, MessageId, TaskId
from opencode_a2a_server.domain.message import DataPart, Message, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.updates import InterruptRaised, MessageReceived
from tests.adapters.inbound.a2a.stage import said
from tests.adapters.inbound.a2a.test_encode import journaled
from tests.adapters.inbound.a2a.updates import FAILED, JOURNALS, PERMISSION, QUESTION, STARTED, TURN

MESSAGE = Message(
    message_id=MessageId("message-1"),
    role=Role.USER,
    parts=(
        TextPart("look", {"lang": "en"}),
        RawPart(b"\x89PNG\xff", "image/png", "a.png", {"n": 1}),
        UrlPart("https://x.example/f", "text/plain", "f"),
        DataPart({"n": 5, "x": 1.5, "deep": [1, None, True, {"big": 2**53}]}, "application/json", "d.json"),
        DataPart(None),
    ),
    context_id=ContextId("context-1"),
    task_id=TaskId("task-1"),
    reference_task_ids=(TaskId("task-0"),),
    extensions=("urn:x",),
    metadata={"shared": {"session": {"id": "ses_1"}}, "n": 3},
)


def test_a_message_comes_back_as_it_was() -> None:
    wire = ParseDict(json.loads(to_json(message_out(MESSAGE))), a2a.Message())

    assert message_in(wire) == MESSAGE


def test_a_message_is_told_as_the_sdk_tells_it() -> None:
    told = json.loads(to_json(message_out(MESSAGE)))

    assert MessageToDict(ParseDict(told, a2a.Message())) == told


@pytest.mark.parametrize("name", JOURNALS)
def test_a_task_is_told_as_the_sdk_tells_it(name: str) -> None:
    task, _ = journaled(JOURNALS[name])

    told = json.loads(to_json(task_out(task)))

    wire = ParseDict(told, a2a.Task())
    assert _seconds_as_ours(MessageToDict(wire)) == _seconds_as_ours(told)


def _seconds_as_ours(told: Mapping[str, Any]) -> Mapping[str, Any]:
    status = dict(told["status"])
    status["timestamp"] = status["timestamp"].replace(".000Z", "Z")
    return {**told, "status": status}


@pytest.mark.parametrize(("length", "ids"), [(None, ["1", "2", "3"]), (0, None), (2, ["2", "3"]), (9, ["1", "2", "3"])])
def test_history_is_as_long_as_was_asked(length: int | None, ids: list[str] | None) -> None:
    task, _ = journaled([MessageReceived(said("b", "message-2")), MessageReceived(said("c", "message-3"))])

    told = task_out(task, length)

    messages = told.get("history")
    assert (messages and [message["messageId"].removeprefix("message-") for message in messages]) == ids


def test_a_task_tells_session_usage_failure_and_its_place() -> None:
    task, _ = journaled([*TURN, FAILED])

    metadata = task_out(task)["metadata"]

    assert metadata["shared"]["session"] == {"id": "ses_1"}
    assert metadata["shared"]["usage"]["total_tokens"] == 42
    assert metadata["shared"]["stream"] == {"cursor": f"task-1:{task.seq}"}
    assert metadata["opencode"]["error"] == {"type": "APIError", "upstream_status": 429}


def test_a_gap_is_told() -> None:
    task, _ = journaled([])

    assert task_out(task, gap=True)["metadata"]["shared"]["stream"] == {"cursor": "task-1:1", "gap": True}


def test_a_task_tells_all_that_waits_and_what_its_status_is_about() -> None:
    task, _ = journaled([STARTED, InterruptRaised(QUESTION), InterruptRaised(PERMISSION, QUESTION)])

    shared = task_out(task)["metadata"]["shared"]

    assert shared["interrupt"]["request_id"] == "que_1"
    assert [asked["request_id"] for asked in shared["interrupts"]] == ["que_1", "per_1"]


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.9999, "2023-11-14T22:13:20.999Z"),
        (1_700_000_000.0419, "2023-11-14T22:13:20.041Z"),
    ],
)
def test_moments_are_told_to_the_millisecond(at: float, told: str) -> None:
    assert timestamp(at) == told
