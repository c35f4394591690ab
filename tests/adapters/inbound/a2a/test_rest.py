"""HTTP+JSON."""

from __future__ import annotations

import pytest
from a2a import types as a2a
from google.protobuf.json_format import ParseDict

from opencode_a2a_server.domain.updates import MessageReceived
from tests.adapters.inbound.a2a.stage import Stage, message_json, said, untouched
from tests.adapters.inbound.a2a.updates import COMPLETED, STARTED

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("content_type", ["application/a2a+json", "application/json"])
async def test_a_message_becomes_a_task(content_type: str) -> None:
    sent = {"message": message_json(), "configuration": {"returnImmediately": True}}

    async with Stage().client() as client:
        answer = await client.post("/message:send", json=sent, headers={"content-type": content_type})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/a2a+json")
    assert ParseDict(answer.json(), a2a.SendMessageResponse()).task.id == "task-1"


async def test_a_task_is_got() -> None:
    stage = Stage()
    await stage.begin()

    async with stage.client() as client:
        answer = await client.get("/tasks/task-1")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/a2a+json")
    assert ParseDict(answer.json(), a2a.Task()).id == "task-1"


@pytest.mark.parametrize(
    ("query", "status", "count"),
    [
        ("", 200, 3),
        ("?historyLength=0", 200, 0),
        ("?historyLength=1&historyLength=2", 200, 2),
        ("?history_length=1", 200, 1),
    ],
)
async def test_history_is_as_long_as_was_asked(query: str, status: int, count: int) -> None:
    stage = Stage()
    log = await stage.begin()
    log.append([MessageReceived(said("b")), MessageReceived(said("c"))])

    async with stage.client() as client:
        answer = await client.get(f"/tasks/task-1{query}")

    assert (answer.status_code, len(answer.json().get("history", []))) == (status, count)


@pytest.mark.parametrize("length", ["-1", "many", "1e99", ""])
async def test_history_of_no_length_is_refused(length: str) -> None:
    stage = Stage()
    await stage.begin()

    async with stage.client() as client:
        answer = await client.get("/tasks/task-1", params={"historyLength": length})

    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert answer.json()["error"]["details"][1]["fieldViolations"][0]["field"] == "historyLength"


@pytest.mark.parametrize("body", [None, {}, {"metadata": {"why": "enough"}}, {"id": "another"}])
async def test_a_task_is_canceled_with_or_without_a_body(body: object) -> None:
    stage = Stage()
    await stage.begin()

    async with stage.client() as client:
        answer = await client.post("/tasks/task-1:cancel", **({} if body is None else {"json": body}))  # type: ignore[arg-type]

    assert (answer.status_code, answer.json()["status"]["state"]) == (200, "TASK_STATE_CANCELED")


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"'])
async def test_a_body_that_is_no_object_cancels_nothing(body: bytes) -> None:
    stage = Stage()
    log = await stage.begin()

    async with stage.client() as client:
        answer = await client.post("/tasks/task-1:cancel", content=body)

    assert answer.status_code == 400
    assert log.task.seq == 1


async def test_a_task_that_has_ended_is_not_canceled() -> None:
    stage = Stage()
    log = await stage.begin()
    log.append([STARTED, COMPLETED])

    async with stage.client() as client:
        answer = await client.post("/tasks/task-1:cancel")

    assert answer.json()["error"]["details"][0]["reason"] == "TASK_NOT_CANCELABLE"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/tasks/task-2", 404),
        ("GET", "/tasks/a%2Fb", 404),
        ("GET", "/tasks/%00", 404),
        ("GET", "/tasks/task-1:nothing", 404),
        ("POST", "/tasks/task-1:nothing", 404),
        ("GET", "/tasks/task-1:", 404),
        ("GET", "/tasks/:subscribe", 400),
        ("POST", "/tasks/:cancel", 400),
        ("GET", "/tasks/task-1/pushNotificationConfigs", 400),
        ("POST", "/tasks/task-1/pushNotificationConfigs", 400),
        ("GET", "/tasks/task-1/pushNotificationConfigs/c", 400),
        ("DELETE", "/tasks/task-1/pushNotificationConfigs/c", 400),
    ],
)
async def test_what_is_not_there_or_not_served_is_refused(method: str, path: str, status: int) -> None:
    stage = Stage()
    await stage.begin()

    async with stage.client() as client:
        answer = await client.request(method, path)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status


async def test_a_body_that_says_it_is_no_json_is_refused() -> None:
    async with untouched().client() as client:
        answer = await client.post("/message:send", content=b"{}", headers={"content-type": "text/plain"})

    assert answer.json()["error"]["details"][0]["reason"] == "CONTENT_TYPE_NOT_SUPPORTED"


async def test_a_body_of_json_rpc_is_refused() -> None:
    async with untouched().client() as client:
        answer = await client.post("/message:send", json={"jsonrpc": "2.0", "method": "SendMessage", "params": {}})

    assert answer.status_code == 400


async def test_options_name_the_methods_without_credentials() -> None:
    async with untouched().client({}) as client:
        answer = await client.options("/message:send")

    assert (answer.status_code, answer.headers["allow"]) == (204, "OPTIONS, POST")
