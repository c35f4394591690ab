"""Push notification configurations over both bindings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from a2a import types as a2a
from google.protobuf.json_format import Parse, ParseDict

from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import StatusChanged
from tests.adapters.inbound.a2a.stage import Stage, message_json

pytestmark = pytest.mark.anyio

CONFIG: dict[str, Any] = {
    "url": "https://client.example/hook",
    "token": "my-token",
    "authentication": {"scheme": "Bearer", "credentials": "my-credentials"},
}
PATH = "/tasks/task-1/pushNotificationConfigs"


async def stage_with_task() -> Stage:
    stage = Stage(pushes=True)
    await stage.begin()
    return stage


async def test_a_configuration_is_created_got_listed_and_deleted_by_json_rpc() -> None:
    stage = await stage_with_task()
    this = {"taskId": "task-1", "id": "mine"}

    created = (await stage.rpc("CreateTaskPushNotificationConfig", {**this, **CONFIG}))["result"]
    got = (await stage.rpc("GetTaskPushNotificationConfig", this))["result"]
    listed = (await stage.rpc("ListTaskPushNotificationConfigs", {"taskId": "task-1"}))["result"]
    deleted = [(await stage.rpc("DeleteTaskPushNotificationConfig", this))["result"] for _ in range(2)]
    gone = await stage.rpc("GetTaskPushNotificationConfig", this)

    assert created == got == {**this, **CONFIG}
    assert listed == {"configs": [got], "nextPageToken": ""}
    assert deleted == [{}, {}]
    assert gone["error"]["code"] == -32001
    ParseDict(listed, a2a.ListTaskPushNotificationConfigsResponse())


async def test_a_configuration_is_created_got_listed_and_deleted_by_rest() -> None:
    stage = await stage_with_task()

    async with stage.client() as client:
        created = await client.post(PATH, json=CONFIG)
        name = created.json()["id"]
        got = await client.get(f"{PATH}/{name}")
        listed = await client.get(PATH, params={"pageSize": 1})
        deleted = await client.delete(f"{PATH}/{name}")
        gone = await client.get(f"{PATH}/{name}")

    assert created.headers["content-type"] == "application/a2a+json"
    assert created.json() == got.json() == {**CONFIG, "taskId": "task-1", "id": name}
    assert listed.json()["configs"] == [got.json()]
    assert (deleted.status_code, gone.status_code) == (200, 404)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"url": ""}, "url"),
        ({"url": "https://internal/"}, "url"),
        ({"token": "a\r\nX-Admin: yes"}, "token"),
        ({"authentication": {"scheme": "Bearer", "credentials": "a\nb"}}, "authentication.credentials"),
        ({"taskId": ""}, "taskId"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_the_field_named(changed: dict[str, Any], field: str) -> None:
    stage = await stage_with_task()
    stage.notifier.forbidden = "internal"

    answer = await stage.rpc("CreateTaskPushNotificationConfig", {"taskId": "task-1", **CONFIG, **changed})

    assert answer["error"]["code"] == -32602
    assert answer["error"]["data"][1]["fieldViolations"][0]["field"] == field


async def test_somebody_else_s_task_is_not_found() -> None:
    stage = Stage(pushes=True)
    await stage.begin("theirs", Principal("somebody"))

    answer = await stage.rpc("CreateTaskPushNotificationConfig", {"taskId": "theirs", **CONFIG})

    assert answer["error"]["code"] == -32001


@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
async def test_a_message_that_brings_what_cannot_be_used_is_not_accepted(method: str) -> None:
    stage = Stage(pushes=True)
    stage.notifier.forbidden = "client.example"

    answer = await stage.rpc(
        method, {"message": message_json(), "configuration": {"taskPushNotificationConfig": CONFIG}}
    )

    assert answer["error"]["code"] == -32602
    assert stage.accept.heard == []


async def test_a_configuration_that_comes_with_a_message_is_told_what_comes_of_it() -> None:
    stage = Stage(pushes=True)
    configuration = {"returnImmediately": True, "taskPushNotificationConfig": {**CONFIG, "id": "mine"}}

    await stage.rpc("SendMessage", {"message": message_json(), "configuration": configuration})
    (log,) = stage.journal.logs.values()
    log.append([StatusChanged(TaskState.WORKING), StatusChanged(TaskState.COMPLETED)])
    await stage.clock.turn(1)

    states = []
    for who, _, body in stage.notifier.got:
        told = Parse(body, a2a.StreamResponse())
        assert (who, told.status_update.task_id) == ("mine", "task-1")
        states.append(json.loads(body)["statusUpdate"]["status"]["state"])
    assert states == ["TASK_STATE_WORKING", "TASK_STATE_COMPLETED"]


async def test_a_list_comes_in_pages_of_the_size_that_is_asked_for() -> None:
    stage = await stage_with_task()
    for name in ("a", "b", "c"):
        await stage.rpc("CreateTaskPushNotificationConfig", {"taskId": "task-1", **CONFIG, "id": name})

    pages: list[list[str]] = []
    token = ""
    async with stage.client() as client:
        while not pages or token:
            told = (await client.get(PATH, params={"pageSize": 2, "pageToken": token})).json()
            pages.append([config["id"] for config in told["configs"]])
            token = told["nextPageToken"]

    assert pages == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"pageSize": -1}, "pageSize"),
        ({"pageSize": 101}, "pageSize"),
        ({"pageSize": "many"}, "pageSize"),
        ({"pageToken": "!"}, "pageToken"),
        ({"pageToken": "bm90IG91cnM"}, "pageToken"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(asked: dict[str, Any], field: str) -> None:
    stage = await stage_with_task()

    answer = await stage.rpc("ListTaskPushNotificationConfigs", {"taskId": "task-1", **asked})

    assert answer["error"]["code"] == -32602
    assert answer["error"]["data"][1]["fieldViolations"][0]["field"] == field


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("CreateTaskPushNotificationConfig", CONFIG),
        ("GetTaskPushNotificationConfig", {"id": "x"}),
        ("ListTaskPushNotificationConfigs", {}),
        ("DeleteTaskPushNotificationConfig", {"id": "x"}),
    ],
)
async def test_where_notifications_are_off_every_operation_says_so(method: str, params: dict[str, Any]) -> None:
    stage = Stage()
    await stage.begin()

    answer = await stage.rpc(method, {"taskId": "task-1", **params})

    assert answer["error"]["code"] == -32003


async def test_a_task_that_has_ended_takes_a_configuration_which_is_told_nothing() -> None:
    stage = Stage(pushes=True)
    log = await stage.begin()
    log.append([StatusChanged(TaskState.COMPLETED)])

    created = await stage.rpc("CreateTaskPushNotificationConfig", {"taskId": "task-1", **CONFIG})
    await stage.clock.turn(1)

    assert created["result"]["url"] == CONFIG["url"]
    assert stage.notifier.attempts == []
