"""HTTP+JSON of 0.3: what its clients send, and what they can read."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from a2a.compat.v0_3 import a2a_v0_3_pb2 as proto
from google.protobuf.json_format import ParseDict

from opencode_a2a_server.domain.message import DataPart, RawPart, TextPart, UrlPart
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import Stage, message_json, untouched
from tests.adapters.inbound.a2a.updates import COMPLETED, STARTED, more, told
from tests.adapters.inbound.a2a.v03.test_methods import NO_VERSION, OLD, message
from tests.fakes.clock import settled

pytestmark = pytest.mark.anyio

IMAGE = b"\x89PNG\0\1"
ONCE = base64.b64encode(IMAGE).decode()
TWICE = base64.b64encode(ONCE.encode()).decode()


def proto_message(*content: Mapping[str, Any], **more: object) -> dict[str, Any]:
    return {"messageId": "message-1", "role": "ROLE_USER", "content": content or [{"text": "hello"}], **more}


@pytest.mark.parametrize(
    "body",
    [
        {"message": proto_message()},
        {"request": proto_message(), "configuration": {"acceptedOutputModes": []}},
        {"message": message(), "configuration": {"blocking": False}},
    ],
)
async def test_a_message_of_either_shape_is_answered_in_proto_json(body: Mapping[str, Any]) -> None:
    stage = Stage()
    async with stage.client(OLD) as client:
        sent = await client.post("/v1/message:send", json=body)
        got = await client.get("/v1/tasks/task-1?historyLength=0")

    response = ParseDict(sent.json(), proto.SendMessageResponse())
    assert response.task == ParseDict(got.json(), proto.Task())
    assert response.task.history[0].content[0].text == "hello"
    assert sent.headers["content-type"] == "application/json"


async def test_parts_of_either_shape_are_read() -> None:
    stage = Stage()
    old = [
        {"kind": "file", "file": {"bytes": ONCE, "mimeType": "image/png", "name": "a.png"}},
        {"kind": "file", "file": {"uri": "https://x.example/a"}, "metadata": {"a": 1}},
        {"kind": "data", "data": {"data": {"a": 1}}},
        {"kind": "data", "data": {"value": [1]}, "metadata": {"data_part_compat": True, "b": 2}},
    ]
    new: list[dict[str, Any]] = [
        {"file": {"fileWithBytes": ONCE, "mimeType": "image/png", "name": "a.png"}},
        {"file": {"fileWithBytes": TWICE, "mimeType": "image/png", "name": "a.png"}},
        {"file": {"fileWithUri": "https://x.example/a"}, "metadata": {"a": 1}},
        {"data": {"data": {"a": 1}}},
    ]
    async with stage.client(OLD) as client:
        for body in (message(parts=old), proto_message(*new)):
            answer = await client.post("/v1/message:send", json={"message": body, "configuration": {"blocking": False}})
            assert answer.status_code == 200, answer.text

    image, link = RawPart(IMAGE, "image/png", "a.png"), UrlPart("https://x.example/a", metadata={"a": 1})
    ours, theirs = (heard.parts for heard in stage.accept.heard)
    assert ours == (image, link, DataPart({"data": {"a": 1}}), DataPart([1], metadata={"b": 2}))
    assert theirs == (image, image, link, DataPart({"a": 1}))


async def test_a_stream_is_proto_json_and_resumes() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await Listener.rest(stage.app, "/v1/tasks/task-1:subscribe", headers=NO_VERSION)
    log.append([STARTED, told("prt_1", TextPart("a")), more("prt_1", "b"), COMPLETED])
    await settled()
    seen = {**NO_VERSION, "last-event-id": listener.frames[0].id}
    resumed = await Listener(stage.app, "POST", "/v1/tasks/task-1:subscribe", headers=seen).begin()

    responses = [ParseDict(dict(frame.data), proto.StreamResponse()) for frame in listener.frames]
    assert [response.WhichOneof("payload") for response in responses] == [
        "task",
        "status_update",
        "artifact_update",
        "artifact_update",
        "status_update",
    ]
    assert responses[-1].status_update.final
    assert resumed.frames == listener.frames[1:]


async def test_a_task_is_canceled_once_and_the_second_time_an_error_says_its_code() -> None:
    stage = Stage()
    await stage.begin()
    async with stage.client(OLD) as client:
        canceled = await client.post("/v1/tasks/task-1:cancel", json={"name": "tasks/task-1"})
        again = await client.post("/v1/tasks/task-1:cancel", json={})

    task = ParseDict(canceled.json(), proto.Task())
    assert task.status.state == proto.TASK_STATE_CANCELLED
    assert (again.status_code, again.json()["code"]) == (400, -32002)
    assert again.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/tasks/nothing", 404, -32001),
        ("GET", "/v1/tasks", 400, -32004),
        ("GET", "/v1/tasks/x/pushNotificationConfigs", 400, -32003),
        ("POST", "/v1/tasks/x/pushNotificationConfigs", 400, -32003),
        ("DELETE", "/v1/tasks/x/pushNotificationConfigs/y", 400, -32003),
        ("GET", "/v1/nothing", 404, -32601),
        ("POST", "/v1/tasks/x", 405, -32601),
    ],
)
async def test_errors_are_those_of_json_rpc(method: str, path: str, status: int, code: int) -> None:
    async with untouched().client(OLD) as client:
        answer = await client.request(method, path, json={} if method == "POST" else None)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("path", "version", "status"),
    [
        ("/v1/tasks/task-1", "", 200),
        ("/v1/tasks/task-1", "0.3", 200),
        ("/v1/tasks/task-1", "1.0", 400),
        ("/v1/tasks/task-1", "2.0", 400),
        ("/tasks/task-1", "", 200),
        ("/tasks/task-1", "0.3", 400),
    ],
)
async def test_a_path_is_of_one_version(path: str, version: str, status: int) -> None:
    stage = Stage()
    await stage.begin()
    async with stage.client(OLD) as client:
        answer = await client.get(path, headers={"a2a-version": version})

    assert answer.status_code == status
    refused = answer.json().get("code") if path.startswith("/v1") else answer.json().get("error")
    assert (refused is None) == (status == 200)


async def test_the_root_takes_no_message_of_0_3() -> None:
    async with Stage().client(OLD) as client:
        old = await client.post("/message:send", json={"message": message()})
        new = await client.post(
            "/message:send", json={"message": message_json(), "configuration": {"returnImmediately": True}}
        )

    assert (old.status_code, new.status_code) == (400, 200)
