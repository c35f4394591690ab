"""JSON-RPC on one path."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from a2a import types as a2a
from google.protobuf.json_format import ParseDict

from opencode_a2a_server.adapters.inbound.a2a.rpc import METHODS
from opencode_a2a_server.domain.ids import Principal, TaskId
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import MessageReceived, StatusChanged
from tests.adapters.inbound.a2a.stage import Stage, message_json, said, untouched
from tests.adapters.inbound.a2a.updates import COMPLETED, STARTED, told
from tests.fakes.clock import settled

pytestmark = pytest.mark.anyio

AT_ONCE = {"message": message_json(), "configuration": {"returnImmediately": True}}


async def post(stage: Stage, body: bytes, content_type: str = "application/json") -> httpx.Response:
    async with stage.client() as client:
        return await client.post("/", content=body, headers={"content-type": content_type})


def code(answer: httpx.Response) -> object:
    return answer.json()["error"]["code"]


async def test_a_message_becomes_a_task() -> None:
    stage = Stage()

    answer = await stage.rpc("SendMessage", AT_ONCE)

    task = ParseDict(answer["result"], a2a.SendMessageResponse()).task
    assert (task.id, task.context_id) == ("task-1", "context-1")
    assert task.status.state == a2a.TaskState.TASK_STATE_SUBMITTED


async def test_a_bare_reply_is_a_message() -> None:
    stage = Stage()
    stage.accept.answer = said("hello yourself")

    answer = await stage.rpc("SendMessage", {"message": message_json()})

    assert ParseDict(answer["result"], a2a.SendMessageResponse()).message.parts[0].text == "hello yourself"


async def test_a_sender_waits_for_the_end_and_gets_all_of_it() -> None:
    stage = Stage()
    async with stage.client() as client:
        call = {"jsonrpc": "2.0", "id": "x", "method": "SendMessage", "params": {"message": message_json()}}
        waiting = asyncio.ensure_future(client.post("/", json=call))
        await settled()
        stage.journal.logs[TaskId("task-1")].append([STARTED, told("prt_1", TextPart("42")), COMPLETED])
        answer = (await waiting).json()

    task = ParseDict(answer["result"], a2a.SendMessageResponse()).task
    assert answer["id"] == "x"
    assert task.status.state == a2a.TaskState.TASK_STATE_COMPLETED
    assert task.artifacts[0].parts[0].text == "42"


async def test_what_is_not_durable_is_not_told() -> None:
    stage = Stage()
    log = await stage.begin()
    stage.journal.held = True
    log.append([STARTED])
    async with stage.client() as client:
        call = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "task-1"}}
        waiting = asyncio.ensure_future(client.post("/", json=call))
        await settled()
        assert not waiting.done()

        stage.journal.release()

        assert (await waiting).json()["result"]["status"]["state"] == "TASK_STATE_WORKING"


async def test_a_store_that_takes_no_writes_is_told() -> None:
    stage = Stage()
    log = await stage.begin()
    stage.journal.held = stage.journal.broken = True
    log.append([STARTED])

    assert (await stage.rpc("GetTask", {"id": "task-1"}))["error"]["code"] == -32051


async def test_a_task_is_got_and_canceled() -> None:
    stage = Stage()
    await stage.begin()

    got = await stage.rpc("GetTask", {"id": "task-1"})
    canceled = await stage.rpc("CancelTask", {"id": "task-1", "metadata": {"why": "enough"}})
    again = await stage.rpc("CancelTask", {"id": "task-1"})

    assert ParseDict(got["result"], a2a.Task()).status.state == a2a.TaskState.TASK_STATE_SUBMITTED
    assert ParseDict(canceled["result"], a2a.Task()).status.state == a2a.TaskState.TASK_STATE_CANCELED
    assert again["error"]["code"] == -32002


@pytest.mark.parametrize(("length", "count"), [(None, 3), (0, 0), (2, 2), (5, 3)])
async def test_history_is_as_long_as_was_asked(length: int | None, count: int) -> None:
    stage = Stage()
    log = await stage.begin()
    log.append([MessageReceived(said("b")), MessageReceived(said("c"))])
    asked = {} if length is None else {"historyLength": length}

    got = await stage.rpc("GetTask", {"id": "task-1", **asked})

    assert len(got["result"].get("history", [])) == count


async def test_history_of_a_sent_message_is_as_long_as_was_asked() -> None:
    stage = Stage()

    answer = await stage.rpc(
        "SendMessage", {"message": message_json(), "configuration": {"returnImmediately": True, "historyLength": 0}}
    )

    assert "history" not in answer["result"]["task"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("GetTask", {"id": "task-1", "historyLength": -1}),
        ("SendMessage", {"message": message_json(), "configuration": {"historyLength": -1}}),
    ],
)
async def test_history_of_negative_length_is_refused(method: str, params: object) -> None:
    stage = Stage()
    await stage.begin()

    assert (await stage.rpc(method, params))["error"]["code"] == -32602


async def test_another_principals_task_is_no_task() -> None:
    stage = Stage()
    methods = ("GetTask", "CancelTask", "SubscribeToTask")
    unknown = [await stage.rpc(method, {"id": "task-1"}) for method in methods]
    await stage.begin(principal=Principal("bearer:somebody"))

    foreign = [await stage.rpc(method, {"id": "task-1"}) for method in methods]

    assert [answer["error"]["code"] for answer in foreign] == [-32001] * 3
    assert foreign == unknown


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "message.messageId"),
        ({"message": {}}, "message.messageId"),
        ({"message": {"messageId": 5}}, "message.messageId"),
        ({"message": message_json(role="user")}, "message.role"),
        ({"message": message_json(role="ROLE_UNSPECIFIED")}, "message.role"),
        ({"message": message_json(role=7)}, "message.role"),
        ({"message": message_json(parts=[])}, "message.parts"),
        ({"message": message_json(parts=[{"text": "a"}, {"kind": "text"}])}, "message.parts[1]"),
        ({"message": message_json(parts=[{"text": "a", "url": "b"}])}, "message.parts"),
        ({"message": message_json(messageId="a\0")}, "message.messageId"),
        ({"message": message_json(contextId="c" * 300)}, "message.contextId"),
        ({"message": message_json(), "configuration": {"historyLength": "many"}}, "configuration.historyLength"),
        ({"message": message_json(), "configuration": {"returnImmediately": "yes"}}, "configuration.returnImmediately"),
        ({"message": message_json(), "configuration": "yes"}, "configuration"),
        ({"message": message_json(), "configuration": []}, "configuration"),
        ({"message": message_json(parts=["text"])}, "message.parts"),
        ({"message": message_json(parts={"text": "a"})}, "message.parts"),
        ({"message": "text"}, "message"),
    ],
)
async def test_a_message_that_is_none_is_refused_with_the_field_it_lacks(params: object, field: str) -> None:
    stage = Stage()

    error = (await stage.rpc("SendMessage", params))["error"]

    assert error["code"] == -32602
    assert error["data"][1]["fieldViolations"][0]["field"] == field
    assert stage.accept.heard == []


@pytest.mark.parametrize("params", [None, [], "x", 5, {"message": [1]}, {"message": message_json(metadata=[1])}])
async def test_params_that_are_no_object_are_refused(params: object) -> None:
    assert (await untouched().rpc("SendMessage", params))["error"]["code"] == -32602


async def test_a_deep_nest_of_objects_is_refused() -> None:
    nest: dict[str, Any] = {}
    for _ in range(200):
        nest = {"a": nest}

    answer = await untouched().rpc("SendMessage", {"message": message_json(metadata=nest)})

    assert answer["error"]["code"] == -32602


async def test_unknown_fields_are_ignored() -> None:
    stage = Stage()

    answer = await stage.rpc("SendMessage", {**AT_ONCE, "from the future": [1]})

    assert "result" in answer


@pytest.mark.parametrize("task_id", ["", None])
async def test_a_task_needs_an_id(task_id: str | None) -> None:
    assert (await untouched().rpc("GetTask", {"id": task_id}))["error"]["code"] == -32602


@pytest.mark.parametrize("task_id", ["\0", "x" * 300, "a\nb"])
async def test_what_can_be_no_id_is_no_task(task_id: str) -> None:
    stage = Stage()

    assert (await stage.rpc("GetTask", {"id": task_id}))["error"]["code"] == -32001
    sent = await stage.rpc("SendMessage", {"message": message_json(taskId=task_id)})
    assert sent["error"]["code"] == -32001


@pytest.mark.parametrize(
    "modes", [["text/plain"], ["TEXT/Plain;charset=utf-8"], ["image/png", "*/*"], ["application/json"]]
)
async def test_output_that_the_client_takes_is_made(modes: list[str]) -> None:
    answer = await Stage().rpc(
        "SendMessage",
        {"message": message_json(), "configuration": {"acceptedOutputModes": modes, "returnImmediately": True}},
    )

    assert "result" in answer


async def test_output_that_nobody_takes_is_not_made() -> None:
    stage = Stage()

    answer = await stage.rpc(
        "SendMessage", {"message": message_json(), "configuration": {"acceptedOutputModes": ["image/png"]}}
    )

    assert answer["error"]["code"] == -32005
    assert stage.accept.heard == []


async def test_push_notifications_are_refused_wherever_they_are_asked_for() -> None:
    stage = Stage()
    inline = {"message": message_json(), "configuration": {"taskPushNotificationConfig": {"url": "https://x.example"}}}

    answers = [await stage.rpc("SendMessage", inline)]
    answers += [
        await stage.rpc(f"{verb}TaskPushNotificationConfig{'s' if verb == 'List' else ''}", {"taskId": "x"})
        for verb in ("Create", "Get", "List", "Delete")
    ]

    assert [answer["error"]["code"] for answer in answers] == [-32003] * 5


async def test_every_method_of_the_protocol_has_an_answer() -> None:
    service = a2a.a2a_pb2.DESCRIPTOR.services_by_name["A2AService"]

    assert set(METHODS) == {method.name for method in service.methods}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":NaN}', b'{"id":"\\ud800"}', b"[" * 4000])
async def test_what_is_no_json_is_a_parse_error(body: bytes) -> None:
    answer = await post(Stage(), body)

    assert (answer.status_code, code(answer), answer.json()["id"]) == (200, -32700, None)


@pytest.mark.parametrize(
    ("body", "request_id"),
    [
        ([{"jsonrpc": "2.0", "id": 1, "method": "GetTask"}], None),
        ([], None),
        ("text", None),
        (5, None),
        ({}, None),
        ({"id": 7}, 7),
        ({"jsonrpc": "1.0", "id": "a", "method": "GetTask"}, "a"),
        ({"jsonrpc": "2.0", "id": "a"}, "a"),
        ({"jsonrpc": "2.0", "id": "a", "method": 5}, "a"),
        ({"jsonrpc": "2.0", "id": True, "method": "GetTask"}, None),
        ({"jsonrpc": "2.0", "id": [1], "method": "GetTask"}, None),
        ({"jsonrpc": "2.0", "method": None}, None),
    ],
)
async def test_what_is_no_call_is_an_invalid_request(body: object, request_id: object) -> None:
    answer = await post(Stage(), json.dumps(body).encode())

    assert (answer.status_code, code(answer), answer.json()["id"]) == (200, -32600, request_id)


async def test_a_batch_is_refused_in_so_many_words() -> None:
    answer = await post(Stage(), b"[]")

    assert "batch" in answer.json()["error"]["message"]


@pytest.mark.parametrize("request_id", [0, -1, 1.5, "", "a\u2028", None, 2**60])
async def test_an_answer_has_the_id_of_its_call(request_id: object) -> None:
    stage = Stage()
    await stage.begin()

    answer = await post(
        stage,
        json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "GetTask", "params": {"id": "task-1"}}).encode(),
    )

    assert answer.json()["id"] == request_id
    assert "result" in answer.json()


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data"])
async def test_a_body_that_says_it_is_no_json_is_refused(content_type: str) -> None:
    assert code(await post(Stage(), b"{}", content_type)) == -32005


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/a2a+json"]
)
async def test_a_body_may_say_it_is_json_in_many_ways(content_type: str) -> None:
    assert code(await post(Stage(), b"{}", content_type)) == -32600


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("SendMessage", {"message": message_json()}),
        ("SendStreamingMessage", {"message": message_json()}),
        ("GetTask", {"id": "nothing"}),
    ],
)
async def test_a_notification_is_done_and_not_answered(method: str, params: Mapping[str, Any]) -> None:
    stage = Stage()

    answer = await post(stage, json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode())

    assert (answer.status_code, answer.content) == (204, b"")
    assert len(stage.accept.heard) == ("message" in params)


@pytest.mark.parametrize(
    ("method", "params", "code"), [("SendMessage", {}, -32602), ("GetTask", {}, -32602), ("No", {}, -32601)]
)
async def test_a_notification_that_cannot_be_one_is_told_so(method: str, params: object, code: int) -> None:
    answer = await post(Stage(), json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode())

    assert (answer.status_code, answer.json()["id"], answer.json()["error"]["code"]) == (200, None, code)


async def test_a_message_to_a_task_that_waits_goes_there() -> None:
    stage = Stage()
    log = await stage.begin()
    log.append([STARTED, StatusChanged(TaskState.INPUT_REQUIRED, (TextPart("which?"),))])
    await log.durable()

    answer = await stage.rpc(
        "SendMessage", {"message": message_json("that", taskId="task-1"), "configuration": {"returnImmediately": True}}
    )

    assert answer["result"]["task"]["id"] == "task-1"
    assert stage.accept.heard[0].task_id == "task-1"
