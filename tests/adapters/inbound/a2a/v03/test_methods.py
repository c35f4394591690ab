"""JSON-RPC of 0.3, on the same tasks as 1.0."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from a2a.compat.v0_3 import types as v03

from opencode_a2a_server.domain.ids import TaskId
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.updates import InterruptRaised
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import HEADERS, Stage, untouched
from tests.adapters.inbound.a2a.updates import COMPLETED, PERMISSION, STARTED, more, told
from tests.fakes.clock import settled

pytestmark = pytest.mark.anyio

OLD = {"authorization": HEADERS["authorization"]}
NO_VERSION = {"a2a-version": ""}


def message(text: str = "hello", **more: object) -> dict[str, Any]:
    parts = [{"kind": "text", "text": text}]
    return {"kind": "message", "messageId": "message-1", "role": "user", "parts": parts, **more}


async def called(
    stage: Stage, method: str, params: object = None, headers: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    async with stage.client(OLD | dict(headers or {})) as client:
        answer = await client.post("/", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    body: Mapping[str, Any] = answer.json()
    return body


async def test_a_message_is_sent_without_waiting_and_its_task_got() -> None:
    stage = Stage()

    sent = await called(
        stage, "message/send", {"message": message(), "configuration": {"blocking": False, "historyLength": 0}}
    )
    got = await called(stage, "tasks/get", {"id": "task-1", "historyLength": 1})

    task = v03.Task.model_validate(sent["result"])
    assert (task.kind, task.id, task.status.state) == ("task", "task-1", v03.TaskState.submitted)
    assert [said.parts[0].root.kind for said in task.history or []] == ["text"]
    assert got["result"] == sent["result"]


async def test_a_message_waits_unless_told_otherwise() -> None:
    stage = Stage()
    sending = asyncio.ensure_future(called(stage, "message/send", {"message": message()}))
    await settled()
    assert not sending.done()

    stage.journal.logs[TaskId("task-1")].append([STARTED, COMPLETED])

    assert (await sending)["result"]["status"]["state"] == "completed"


async def test_a_task_is_canceled_once() -> None:
    stage = Stage()
    await stage.begin()

    canceled = await called(stage, "tasks/cancel", {"id": "task-1"})
    again = await called(stage, "tasks/cancel", {"id": "task-1"})

    assert canceled["result"]["status"]["state"] == "canceled"
    assert again["error"]["code"] == -32002


async def test_a_stream_ends_with_the_final_status() -> None:
    stage = Stage()
    listener = await Listener.rpc(stage.app, "message/stream", {"message": message()}, headers=NO_VERSION)

    stage.journal.logs[TaskId("task-1")].append([STARTED, told("prt_1", TextPart("a")), more("prt_1", "b"), COMPLETED])
    await settled()

    results = [frame.result for frame in listener.frames]
    assert [result["kind"] for result in results] == [
        "task",
        "status-update",
        "artifact-update",
        "artifact-update",
        "status-update",
    ]
    assert [result.get("final") for result in results] == [None, False, None, None, True]
    assert all(v03.SendStreamingMessageSuccessResponse.model_validate(frame.data) for frame in listener.frames)
    assert listener.ended


async def test_a_stream_ends_where_somebody_is_asked() -> None:
    stage = Stage()
    listener = await Listener.rpc(stage.app, "message/stream", {"message": message()}, headers=NO_VERSION)

    stage.journal.logs[TaskId("task-1")].append([STARTED, InterruptRaised(PERMISSION)])
    await settled()

    last = listener.frames[-1].result
    assert (last["status"]["state"], last["final"], listener.ended) == ("input-required", True, True)


async def test_both_versions_follow_one_task_and_resume() -> None:
    stage = Stage()
    log = await stage.begin()
    old = await Listener.rpc(stage.app, "tasks/resubscribe", {"id": "task-1"}, headers=NO_VERSION)
    new = await Listener.rpc(stage.app, "SubscribeToTask", {"id": "task-1"})

    log.append([STARTED, told("prt_1", TextPart("a")), COMPLETED])
    await settled()
    seen = {**NO_VERSION, "last-event-id": old.frames[1].id}
    resumed = await Listener.rpc(stage.app, "tasks/resubscribe", {"id": "task-1"}, headers=seen)

    assert [frame.id for frame in old.frames] == [frame.id for frame in new.frames]
    assert [frame.data for frame in resumed.frames] == [frame.data for frame in old.frames[2:]]


@pytest.mark.parametrize(("method", "params"), [("message/stream", {}), ("tasks/resubscribe", {"id": "nothing"})])
async def test_a_stream_that_is_refused_is_still_a_stream(method: str, params: object) -> None:
    async with untouched().client(OLD) as client:
        answer = await client.post("/", json={"jsonrpc": "2.0", "id": 7, "method": method, "params": params})

    frame = json.loads(answer.text.removeprefix("data: "))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (frame["id"], frame["error"]["code"]) == (7, -32001 if params else -32602)


@pytest.mark.parametrize("verb", ["set", "get", "list", "delete"])
async def test_push_notifications_are_not_supported(verb: str) -> None:
    answer = await called(Stage(), f"tasks/pushNotificationConfig/{verb}", {"id": "task-1"})

    assert answer["error"]["code"] == -32003


@pytest.mark.parametrize(
    ("params", "code", "field"),
    [
        (None, -32602, None),
        ({}, -32602, "message.messageId"),
        ({"message": 1}, -32602, "message"),
        ({"message": message(role="ROLE_KING")}, -32602, "message.role"),
        ({"message": message(role=["user"])}, -32602, "message.role"),
        ({"message": message(parts=[])}, -32602, "message.parts"),
        ({"message": message(parts=7)}, -32602, None),
        ({"message": message(parts=[7])}, -32602, "message.parts[0]"),
        ({"message": message(parts=[{"kind": "song"}])}, -32602, "message.parts[0]"),
        ({"message": message(parts=[{"kind": "file", "file": {}}])}, -32602, "message.parts[0].file"),
        ({"message": message(), "configuration": {"blocking": "no"}}, -32602, "configuration.blocking"),
        ({"message": message(), "configuration": {"historyLength": -1}}, -32602, "historyLength"),
        ({"message": message(), "configuration": {"acceptedOutputModes": ["video/mp4"]}}, -32005, None),
        ({"message": message(), "configuration": {"pushNotificationConfig": {"url": "https://x"}}}, -32003, None),
        (
            {"message": message(), "configuration": {"pushNotificationConfig": {"authentication": {"schemes": []}}}},
            -32003,
            None,
        ),
    ],
)
async def test_what_breaks_the_contract_is_refused(params: object, code: int, field: str | None) -> None:
    error = (await called(Stage(), "message/send", params))["error"]

    assert error["code"] == code, error
    violations = [one for detail in error["data"] for one in detail.get("fieldViolations", ())]
    assert field is None or violations[0]["field"] == field


@pytest.mark.parametrize(
    ("version", "method", "code"),
    [
        ("", "tasks/get", -32001),
        ("0.3", "tasks/get", -32001),
        ("0.3.0", "tasks/get", -32001),
        ("1.0", "tasks/get", -32601),
        ("", "GetTask", -32001),
        ("1.0", "GetTask", -32001),
        ("0.3", "GetTask", -32601),
        ("0.2", "tasks/get", -32009),
        ("2.0", "GetTask", -32009),
    ],
)
async def test_the_version_and_the_method_agree_or_are_refused(version: str, method: str, code: int) -> None:
    answer = await called(Stage(), method, {"id": "nothing"}, {"a2a-version": version})

    assert answer["error"]["code"] == code


async def test_extensions_are_read_under_their_old_name() -> None:
    stage = Stage()
    await stage.begin()
    async with stage.client(OLD) as client:
        call = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": "task-1"}}
        answer = await client.post("/", json=call, headers={"X-A2A-Extensions": "urn:a2a:stream-hints/v1"})

    assert answer.headers["x-a2a-extensions"] == "urn:a2a:stream-hints/v1"
