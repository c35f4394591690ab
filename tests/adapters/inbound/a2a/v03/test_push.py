"""Push notification configurations of 0.3: what its clients send, what they can read, and what they are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from a2a.compat.v0_3 import a2a_v0_3_pb2 as proto
from a2a.compat.v0_3 import types as v03
from google.protobuf.json_format import ParseDict

from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import StatusChanged
from tests.adapters.inbound.a2a.stage import Stage, message_json
from tests.adapters.inbound.a2a.updates import COMPLETED, STARTED, more, told
from tests.adapters.inbound.a2a.v03.test_methods import OLD, called, message
from tests.fakes.clock import settled

pytestmark = pytest.mark.anyio

INNER: dict[str, Any] = {
    "id": "mine",
    "url": "https://client.example/hook",
    "token": "my-token",
    "authentication": {"schemes": ["Bearer"], "credentials": "my-credentials"},
}
FLAT: dict[str, Any] = {
    "taskId": "task-1",
    **INNER,
    "authentication": {"scheme": "Bearer", "credentials": "my-credentials"},
}
PATH = "/v1/tasks/task-1/pushNotificationConfigs"
UNNAMED = {name: value for name, value in INNER.items() if name != "id"}


async def stage_with_task() -> Stage:
    stage = Stage(pushes=True)
    await stage.begin()
    return stage


async def configured(stage: Stage, verb: str, **params: object) -> Mapping[str, Any]:
    return await called(stage, f"tasks/pushNotificationConfig/{verb}", params)


async def test_a_configuration_is_set_got_listed_and_deleted_by_json_rpc() -> None:
    stage = await stage_with_task()
    this = {"id": "task-1", "pushNotificationConfigId": "mine"}

    made = (await configured(stage, "set", taskId="task-1", pushNotificationConfig=INNER))["result"]
    got = (await configured(stage, "get", **this))["result"]
    listed = (await configured(stage, "list", id="task-1"))["result"]
    deleted = [await configured(stage, "delete", **this) for _ in range(2)]
    gone = await configured(stage, "get", **this)

    assert made == got == {"taskId": "task-1", "pushNotificationConfig": INNER}
    assert listed == [got]
    assert [(answer["result"], "error" in answer) for answer in deleted] == [(None, False)] * 2
    assert gone["error"]["code"] == -32001
    v03.TaskPushNotificationConfig.model_validate(got)


BODIES: Mapping[str, Mapping[str, Any]] = {
    "the request of the proto": {
        "parent": "tasks/task-1",
        "configId": "mine",
        "config": {"name": "tasks/task-1/pushNotificationConfigs/mine", "pushNotificationConfig": INNER},
    },
    "its id only beside it": {"configId": "mine", "config": {"pushNotificationConfig": UNNAMED}},
    "what the request holds": {"name": "tasks/task-1/pushNotificationConfigs/mine", "pushNotificationConfig": INNER},
    "the JSON of JSON-RPC": {"taskId": "task-1", "pushNotificationConfig": INNER},
    "the proto's own names": {"config_id": "mine", "config": {"push_notification_config": INNER}},
    "another task's name": {"taskId": "task-2", "name": "tasks/task-2", "pushNotificationConfig": INNER},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_configuration_is_created_got_listed_and_deleted_by_rest(body: Mapping[str, Any]) -> None:
    stage = await stage_with_task()

    async with stage.client(OLD) as client:
        made = await client.post(PATH, json=body)
        got = await client.get(f"{PATH}/mine")
        listed = await client.get(PATH)
        deleted = await client.delete(f"{PATH}/mine")
        gone = await client.get(f"{PATH}/mine")

    assert made.json() == got.json()
    read = ParseDict(got.json(), proto.TaskPushNotificationConfig())
    assert read.name == "tasks/task-1/pushNotificationConfigs/mine"
    assert list(read.push_notification_config.authentication.schemes) == ["Bearer"]
    assert ParseDict(listed.json(), proto.ListTaskPushNotificationConfigResponse()).configs[0] == read
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert (gone.status_code, gone.json()["code"]) == (404, -32001)


async def test_without_a_name_there_is_one_named_after_the_task() -> None:
    stage = await stage_with_task()

    await configured(stage, "set", taskId="task-1", pushNotificationConfig={"url": "https://first.example/"})
    await configured(stage, "set", taskId="task-1", pushNotificationConfig={"url": "https://second.example/"})
    (one,) = (await configured(stage, "list", id="task-1"))["result"]

    assert one["pushNotificationConfig"] == {"id": "task-1", "url": "https://second.example/"}


async def test_what_was_set_without_a_name_is_the_default() -> None:
    stage = await stage_with_task()
    default = {"id": "task-1", "pushNotificationConfigId": "default"}

    nothing = await configured(stage, "get", **default)
    await configured(stage, "set", taskId="task-1", pushNotificationConfig={"url": "https://first.example/"})
    unnamed = await configured(stage, "get", **default)
    named = {"id": "default", "url": "https://second.example/"}
    await configured(stage, "set", taskId="task-1", pushNotificationConfig=named)

    assert nothing["error"]["code"] == -32001
    assert unnamed["result"]["pushNotificationConfig"]["id"] == "task-1"
    assert (await configured(stage, "get", **default))["result"]["pushNotificationConfig"] == named


async def test_a_configuration_is_got_without_its_id() -> None:
    stage = await stage_with_task()
    await configured(stage, "set", taskId="task-1", pushNotificationConfig=INNER)

    got = await configured(stage, "get", id="task-1")
    async with stage.client(OLD) as client:  # as the Python SDK asks for it
        by_rest = await client.get(f"{PATH}/None")

    assert got["result"]["pushNotificationConfig"] == INNER
    assert by_rest.json()["pushNotificationConfig"] == INNER


async def test_each_version_reads_in_its_own_shape_what_the_other_one_made() -> None:
    stage = await stage_with_task()
    await configured(stage, "set", taskId="task-1", pushNotificationConfig=INNER)
    await stage.rpc("CreateTaskPushNotificationConfig", {**FLAT, "id": "other"})

    new = [
        (await stage.rpc("GetTaskPushNotificationConfig", {"taskId": "task-1", "id": name}))["result"]
        for name in ("mine", "other")
    ]
    old = [
        (await configured(stage, "get", id="task-1", pushNotificationConfigId=name))["result"]
        for name in ("mine", "other")
    ]

    assert new == [FLAT, {**FLAT, "id": "other"}]
    assert [one["pushNotificationConfig"] for one in old] == [INNER, {**INNER, "id": "other"}]


@pytest.mark.parametrize(
    ("verb", "params", "code", "field"),
    [
        ("set", {}, -32602, "taskId"),
        ("set", {"taskId": 7, "pushNotificationConfig": INNER}, -32602, "taskId"),
        ("set", {"taskId": "task-1"}, -32602, "pushNotificationConfig"),
        ("set", {"taskId": "task-1", "pushNotificationConfig": "url"}, -32602, "pushNotificationConfig"),
        ("set", {"taskId": "task-1", "pushNotificationConfig": {}}, -32602, "url"),
        ("set", {"taskId": "task-1", "pushNotificationConfig": {"url": 7}}, -32602, "url"),
        ("set", {"taskId": "task-1", "pushNotificationConfig": {**INNER, "token": "a\r\nb"}}, -32602, "token"),
        ("set", {"taskId": "task-1", "pushNotificationConfig": {**INNER, "url": "https://internal/"}}, -32602, "url"),
        ("set", {"taskId": "nothing", "pushNotificationConfig": INNER}, -32001, None),
        ("set", {"taskId": "theirs", "pushNotificationConfig": INNER}, -32001, None),
        ("get", {}, -32602, "id"),
        ("get", {"id": "task-1"}, -32001, None),
        ("get", {"id": "theirs"}, -32001, None),
        ("get", {"id": "task-1", "pushNotificationConfigId": 7}, -32602, "pushNotificationConfigId"),
        ("list", {"id": "nothing"}, -32001, None),
        ("list", {"id": "theirs"}, -32001, None),
        ("delete", {"id": "task-1"}, -32602, "pushNotificationConfigId"),
        ("delete", {"id": "theirs", "pushNotificationConfigId": "x"}, -32001, None),
    ],
)
async def test_what_cannot_be_done_is_refused(verb: str, params: dict[str, Any], code: int, field: str | None) -> None:
    stage = await stage_with_task()
    await stage.begin("theirs", Principal("somebody"))
    stage.notifier.forbidden = "internal"

    error = (await configured(stage, verb, **params))["error"]

    assert error["code"] == code, error
    assert field is None or error["data"][1]["fieldViolations"][0]["field"] == field


@pytest.mark.parametrize("params", [None, [], "task-1"])
async def test_parameters_are_an_object(params: object) -> None:
    answer = await called(await stage_with_task(), "tasks/pushNotificationConfig/set", params)

    assert answer["error"]["code"] == -32602


@pytest.mark.parametrize("method", ["message/send", "message/stream"])
async def test_a_configuration_that_comes_with_a_message_is_told_the_task(method: str) -> None:
    stage = Stage(pushes=True)
    configuration = {"pushNotificationConfig": UNNAMED}
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": method,
        "params": {"message": message(), "configuration": configuration},
    }

    async with stage.client(OLD) as client:
        sending = asyncio.ensure_future(client.post("/", json=call))
        await settled()
        (log,) = stage.journal.logs.values()
        for updates in ([STARTED], [told("prt_1", TextPart("")), more("prt_1", "Hi", last=True)], [COMPLETED]):
            log.append(updates)
            await stage.clock.turn(1)
        await sending

    tasks = [v03.Task.model_validate(json.loads(body)) for _, _, body in stage.notifier.got]
    assert [who for who, _, _ in stage.notifier.got] == ["task-1"] * 2
    assert [task.status.state.value for task in tasks] == ["working", "completed"]
    assert [len(task.artifacts or []) for task in tasks] == [0, 1]


async def test_over_rest_a_message_brings_one_too() -> None:
    stage = Stage(pushes=True)
    body = {
        "message": {"messageId": "m", "role": "ROLE_USER", "content": [{"text": "hello"}]},
        "configuration": {"pushNotification": INNER},
    }

    async with stage.client(OLD) as client:
        await client.post("/v1/message:send", json=body)
    (log,) = stage.journal.logs.values()
    log.append([StatusChanged(TaskState.WORKING)])
    await stage.clock.turn(1)

    (_, _, told_body) = stage.notifier.got[0]
    assert json.loads(told_body)["kind"] == "task"


async def test_a_configuration_that_comes_with_a_message_of_1_0_is_told_updates() -> None:
    stage = Stage(pushes=True)
    configuration = {"returnImmediately": True, "taskPushNotificationConfig": FLAT | {"taskId": ""}}

    await stage.rpc("SendMessage", {"message": message_json(), "configuration": configuration})
    (log,) = stage.journal.logs.values()
    log.append([STARTED])
    await stage.clock.turn(1)

    assert "statusUpdate" in json.loads(stage.notifier.got[0][2])
