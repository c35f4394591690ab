"""There are no tenants: what is meant for one is refused, and never done for somebody else."""

from __future__ import annotations

from typing import Any

import pytest
from a2a import types as a2a

from tests.adapters.inbound.a2a.grpc.line import METADATA, error_of, line
from tests.adapters.inbound.a2a.stage import HEADERS, Stage, message_json, untouched
from tests.adapters.inbound.a2a.v03.test_methods import OLD

pytestmark = pytest.mark.anyio

TASK = {"id": "task-1"}
CALLS: dict[str, dict[str, Any]] = {
    "SendMessage": {"message": message_json()},
    "SendStreamingMessage": {"message": message_json()},
    "GetTask": TASK,
    "ListTasks": {},
    "CancelTask": TASK,
    "SubscribeToTask": TASK,
    "CreateTaskPushNotificationConfig": {"taskId": "task-1", "url": "https://agent.example/hook"},
    "GetTaskPushNotificationConfig": {"taskId": "task-1", "id": "x"},
    "ListTaskPushNotificationConfigs": {"taskId": "task-1"},
    "DeleteTaskPushNotificationConfig": {"taskId": "task-1", "id": "x"},
    "GetExtendedAgentCard": {},
}


@pytest.mark.parametrize("method", CALLS)
async def test_a_tenant_in_parameters_is_refused(method: str) -> None:
    stage = Stage(pushes=True)
    log = await stage.begin()
    before = log.task.seq

    error = (await stage.rpc(method, {**CALLS[method], "tenant": "acme"}))["error"]

    assert error["code"] == -32602
    assert error["data"][1]["fieldViolations"][0]["field"] == "tenant"
    assert "serves no tenants" in error["message"]
    assert (log.task.seq, stage.accept.heard) == (before, [])


async def test_a_tenant_in_a_configuration_is_refused() -> None:
    config = {"taskPushNotificationConfig": {"url": "https://agent.example/hook", "tenant": "acme"}}

    error = (await Stage(pushes=True).rpc("SendMessage", {"message": message_json(), "configuration": config}))["error"]

    assert error["data"][1]["fieldViolations"][0]["field"] == "configuration.taskPushNotificationConfig.tenant"


@pytest.mark.parametrize("path", ["/tasks", "/tasks/task-1", "/tasks/task-1:subscribe", "/extendedAgentCard"])
async def test_a_tenant_in_the_query_is_refused(path: str) -> None:
    stage = Stage()
    await stage.begin()
    async with stage.client() as client:
        answer = await client.get(f"{path}?tenant=acme")
        plain = await client.get("/tasks/task-1?tenant=")

    assert (answer.status_code, plain.status_code) == (400, 200)
    assert answer.json()["error"]["details"][1]["fieldViolations"][0]["field"] == "tenant"


async def test_a_tenant_is_refused_over_grpc() -> None:
    stage = Stage()
    await stage.begin()
    async with line(stage) as called:
        told = await error_of(called.v1.GetTask(a2a.GetTaskRequest(id="task-1", tenant="acme"), metadata=METADATA))

    assert (told.reason, told.fields) == ("INVALID_PARAMS", ["tenant"])


async def test_an_empty_tenant_is_none() -> None:
    stage = Stage()
    await stage.begin()

    assert (await stage.rpc("GetTask", {**TASK, "tenant": ""}))["result"]["id"] == "task-1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/acme/message:send"),
        ("POST", "/acme/message:stream"),
        ("GET", "/acme/tasks"),
        ("GET", "/acme/tasks/task-1"),
        ("POST", "/acme/tasks/task-1:cancel"),
        ("GET", "/acme/tasks/task-1:subscribe"),
        ("GET", "/acme/tasks/task-1/pushNotificationConfigs"),
        ("GET", "/acme/tasks/task-1/pushNotificationConfigs/x"),
        ("GET", "/acme/extendedAgentCard"),
    ],
)
async def test_a_path_of_a_tenant_is_not_there_and_the_answer_says_why(method: str, path: str) -> None:
    stage = Stage(pushes=True)
    log = await stage.begin()
    before = log.task.seq

    async with stage.client() as client:
        answer = await client.request(method, path, json={"message": message_json()} if method == "POST" else None)

    error = answer.json()["error"]
    assert (answer.status_code, error["details"][0]["reason"]) == (404, "METHOD_NOT_FOUND")
    assert "serves no tenants" in error["message"]
    assert (log.task.seq, stage.accept.heard) == (before, [])


async def test_a_path_that_would_be_no_tenants_either_is_just_not_there() -> None:
    async with untouched().client() as client:
        answers = [(await client.get(path)).json()["error"]["message"] for path in ("/acme", "/acme/x", "/a/b/tasks")]

    assert not [message for message in answers if "tenant" in message]


async def test_v1_is_no_tenant_but_the_other_version() -> None:
    stage = Stage()
    await stage.begin()
    async with stage.client(OLD) as client:
        assert (await client.get("/v1/tasks/task-1")).json()["id"] == "task-1"

    async with Stage(versions=["1.0"]).client(HEADERS) as client:
        gone = await client.get("/v1/tasks/task-1")

    assert gone.status_code == 404
    assert "0.3" in gone.json()["message"]
    assert "tenant" not in gone.text


async def test_the_card_names_no_tenant() -> None:
    stage = Stage()
    extended = (await stage.rpc("GetExtendedAgentCard"))["result"]
    async with stage.client({}) as client:
        public = (await client.get("/.well-known/agent-card.json")).json()

    assert not [one for card in (public, extended) for one in card["supportedInterfaces"] if "tenant" in one]
