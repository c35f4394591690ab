"""Every shape of 0.3 as the SDK reads it and makes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from a2a import types as a2a
from a2a.compat.v0_3 import a2a_v0_3_pb2 as proto
from a2a.compat.v0_3 import conversions, proto_utils
from a2a.compat.v0_3 import types as v03
from google.protobuf.json_format import MessageToDict, ParseDict

from opencode_a2a_server.adapters.inbound.a2a.codec import message_out, task_out
from opencode_a2a_server.adapters.inbound.a2a.encode import Encoder, message_response, task_response, task_result
from opencode_a2a_server.adapters.inbound.a2a.v03.requests import read_send_0_3
from opencode_a2a_server.adapters.inbound.a2a.v03.shape import JSON, PROTO
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import StatusChanged, TaskSubmitted
from tests.adapters.inbound.a2a.test_codec import MESSAGE
from tests.adapters.inbound.a2a.test_encode import journaled
from tests.adapters.inbound.a2a.updates import JOURNALS, STARTED

Result = v03.Task | v03.Message | v03.TaskStatusUpdateEvent | v03.TaskArtifactUpdateEvent

_FINAL = {"completed", "failed", "canceled", "rejected", "input-required", "auth-required"}


def converted(response: a2a.StreamResponse) -> dict[str, Any]:
    """Give what the SDK makes of a response of 1.0; `final` as we promise it."""
    compat = conversions.to_compat_stream_response(response, "1").result
    told: dict[str, Any] = compat.model_dump(mode="json", by_alias=True, exclude_none=True)
    if told["kind"] == "status-update":
        told["final"] = told["status"]["state"] in _FINAL
    return told


def compared(told: Any) -> Any:
    """Leave out what is empty or false, which need not be told, and write moments alike."""
    if isinstance(told, dict):
        known = {name: compared(value) for name, value in told.items()}
        return {name: value for name, value in known.items() if value or (value == 0 and value is not False)}
    if isinstance(told, list):
        return [compared(value) for value in told]
    return told.replace("+00:00", "Z").replace(".000Z", "Z") if isinstance(told, str) else told


@pytest.mark.parametrize("name", JOURNALS)
def test_updates_are_those_of_the_sdk(name: str) -> None:
    task, entries = journaled(JOURNALS[name])
    ours, theirs = Encoder(task, JSON), Encoder(task)

    for entry in entries:
        if told := ours(entry):
            response = ParseDict(json.loads(theirs(entry)), a2a.StreamResponse())
            assert compared(json.loads(told)) == compared(converted(response))


@pytest.mark.parametrize("name", JOURNALS)
def test_a_task_is_that_of_the_sdk(name: str) -> None:
    task, _ = journaled(JOURNALS[name])

    result = json.loads(task_result(task, shape=JSON))

    response = ParseDict({"task": json.loads(json.dumps(task_out(task), default=dict))}, a2a.StreamResponse())
    assert compared(result) == compared(converted(response))
    assert json.loads(task_response(task, shape=JSON)) == result
    assert v03.Task.model_validate(result).model_dump(mode="json", by_alias=True, exclude_none=True) == result


def test_a_message_is_that_of_the_sdk() -> None:
    told = json.loads(message_response(MESSAGE, shape=JSON))

    wire = ParseDict({"message": message_out(MESSAGE)}, a2a.StreamResponse())
    assert compared(told) == compared(converted(wire))


@pytest.mark.parametrize("name", JOURNALS)
def test_proto_json_is_read_strictly_and_says_the_same(name: str) -> None:
    task, entries = journaled(JOURNALS[name])
    ours, theirs = Encoder(task, PROTO), Encoder(task, JSON)

    for entry in entries:
        if told := ours(entry):
            response = ParseDict(json.loads(told), proto.StreamResponse())
            result: Any = proto_utils.FromProto.stream_response(response)
            assert _dumped(result) == compared(json.loads(theirs(entry)))


@pytest.mark.parametrize("name", JOURNALS)
def test_a_task_in_proto_json_says_the_same(name: str) -> None:
    task, _ = journaled(JOURNALS[name])

    told = json.loads(task_result(task, shape=PROTO))

    wire = ParseDict(told, proto.Task())
    assert _dumped(proto_utils.FromProto.task(wire)) == compared(json.loads(task_result(task, shape=JSON)))
    assert json.loads(task_response(task, shape=PROTO)) == {"task": told}


def _dumped(result: Result) -> Any:
    return compared(result.model_dump(mode="json", by_alias=True, exclude_none=True))


@pytest.mark.parametrize("state", TaskState)
def test_every_state_has_its_name_in_both_shapes(state: TaskState) -> None:
    before = () if state in {TaskState.SUBMITTED, TaskState.REJECTED} else (STARTED,)
    updates = () if state is TaskState.SUBMITTED else (*before, StatusChanged(state))
    task, entries = journaled(updates)

    told = json.loads(Encoder(task, JSON)(entries[-1]))
    wire = ParseDict(json.loads(Encoder(task, PROTO)(entries[-1])), proto.StreamResponse())

    assert told["status"]["state"] == state.value
    assert told["final"] == (state.terminal or state.interrupted) == wire.status_update.final
    assert proto_utils.FromProto.task_state(wire.status_update.status.state).value == state.value


def test_each_shape_is_encoded_once_and_apart() -> None:
    task, entries = journaled(JOURNALS["output"])
    for shape in (JSON, PROTO):
        first, second = ([Encoder(task, shape)(entry) for entry in entries] for _ in range(2))
        assert all(one is other for one, other in zip(first, second, strict=True))

    assert isinstance(entries[0].update, TaskSubmitted)
    assert set(entries[0].encodings) == {"0.3", PROTO.version}


def test_a_message_comes_back_as_it_was_told() -> None:
    told = json.loads(message_response(MESSAGE, shape=JSON))

    heard = read_send_0_3({"message": told}).message

    assert heard.message_id == MESSAGE.message_id
    assert [type(part) for part in heard.parts] == [type(part) for part in MESSAGE.parts]
    assert heard.metadata == MESSAGE.metadata


def test_a_message_of_proto_json_comes_back_as_it_was_told() -> None:
    told = json.loads(message_response(MESSAGE, shape=PROTO))["message"]
    again = MessageToDict(ParseDict(told, proto.Message()))

    heard = read_send_0_3({"message": again})

    assert [type(part) for part in heard.message.parts] == [type(part) for part in MESSAGE.parts]
    assert heard.return_immediately
