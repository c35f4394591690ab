"""Push notifications as users' programs set them up, and what then arrives where they said."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from a2a import types as a2a
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.compat.v0_3 import types as v03
from google.protobuf.json_format import ParseDict

from tests.e2e.installed import JAVASCRIPT_V03, JAVASCRIPT_V1, PYTHON_V03, javascript_with, python_with
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.service import RunningService
from tests.e2e.until import until

CLIENTS = Path(__file__).parent / "clients"
BINDINGS = ["JSONRPC", "HTTP+JSON"]


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with RunningService({"A2A_RUNTIME": "scripted", "A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1"}) as service:
        yield service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def run(
    command: list[str | Path], service: RunningService, binding: str, receiver: Receiver, *more: str
) -> Mapping[str, Any]:
    arguments = [*command, service.url, service.token, binding, receiver.url, *more]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{service.log}"
    result: Mapping[str, Any] = json.loads(done.stdout)
    return result


def states_told(receiver: Receiver, task_id: str) -> list[str]:
    """Give the states of a task as a receiver of 0.3 reads them."""
    return [v03.Task.model_validate(task).status.state.value for task in receiver.tasks if task["id"] == task_id]


def states_updated(receiver: Receiver, task_id: str) -> list[str]:
    """Give the states of a task as a receiver of 1.0 reads them."""
    updates = [ParseDict(one, a2a.StreamResponse()) for one in receiver.told]
    return [
        a2a.TaskState.Name(one.status_update.status.state)
        for one in updates
        if one.HasField("status_update") and one.status_update.task_id == task_id
    ]


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_python_sdk_of_0_3_is_notified_in_its_words(
    service: RunningService, receiver: Receiver, binding: str
) -> None:
    came = run([python_with(PYTHON_V03), CLIENTS / "python_v03_push.py"], service, binding, receiver)
    until(lambda: states_told(receiver, came["asked"]).count("completed") == 2, what=f"both receivers; {service.log}")
    until(lambda: "completed" in states_told(receiver, came["sent"]), what=f"the second task; {service.log}")

    assert came["results"] == {
        "set": [[True, "mine"], [True, "TASK"], [True, "TASK"]],
        "get": ["mine", "my-token", [["Bearer"], "my-credentials"]],
        "get without an id": "TASK",
        "with a message": "completed",
    }
    for headers, body in receiver.got:
        assert headers["content-type"] == "application/json"
        assert headers["x-a2a-notification-token"] == "my-token"
        assert v03.Task.model_validate_json(body).kind == "task"
    assert {headers.get("authorization") for headers, _ in receiver.got} == {None, "Bearer my-credentials"}
    last = v03.Task.model_validate([task for task in receiver.tasks if task["id"] == came["sent"]][-1])
    assert last.artifacts
    assert "hello there" in str(last.artifacts[0].parts[0].root)


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_javascript_sdk_of_0_3_is_notified_in_its_words(
    service: RunningService, receiver: Receiver, binding: str
) -> None:
    program = javascript_with(JAVASCRIPT_V03, CLIENTS / "javascript_v03_push.mjs")

    came = run(program, service, binding, receiver)
    until(lambda: states_told(receiver, came["sent"])[-1:] == ["completed"], what=f"the second task; {service.log}")
    until(lambda: states_told(receiver, came["asked"])[-1:] == ["completed"], what=f"the first task; {service.log}")

    without_id = {"get without an id": "TASK"} if binding == "JSONRPC" else {}
    assert came["results"] == {
        "set": [[True, "mine"], [True, "TASK"], [True, "TASK"]],
        "get": ["my-token", {"schemes": ["Bearer"], "credentials": "my-credentials"}],
        **without_id,
        "list": ["mine", "TASK"],
        "list after delete": ["TASK"],
        "with a message": "completed",
    }
    assert states_told(receiver, came["asked"]).count("completed") == 1


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("words", ["1.0", "0.3"])
def test_the_javascript_sdk_of_1_0_is_notified_in_the_words_it_speaks(
    service: RunningService, receiver: Receiver, binding: str, words: str
) -> None:
    program = javascript_with(JAVASCRIPT_V1, CLIENTS / "javascript_v1_push.mjs")
    states, end = (states_told, "completed") if words == "0.3" else (states_updated, "TASK_STATE_COMPLETED")

    came = run(program, service, binding, receiver, *(["legacy"] if words == "0.3" else []))
    until(lambda: states(receiver, came["sent"])[-1:] == [end], what=f"the second task; {service.log}")
    until(lambda: states(receiver, came["asked"])[-1:] == [end], what=f"the first task; {service.log}")

    assert came["results"] == {
        "set": [[True, "mine"], [True, "other"]],
        "get": ["my-token", "Bearer", "my-credentials"],
        "list": ["mine", "other"],
        "list after delete": ["other"],
    }
    assert {headers["a2a-version"] for headers, _ in receiver.got} == {words}


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_python_sdk_of_1_0_is_notified(service: RunningService, receiver: Receiver, binding: str) -> None:
    came = asyncio.run(converse(service, binding, receiver.url))
    until(
        lambda: states_updated(receiver, came["task"])[-1:] == ["TASK_STATE_COMPLETED"],
        what=f"the end of the task; {service.log}",
    )

    assert came["created"] == came["got"] == "mine"
    assert (came["listed"], came["left"]) == (["mine", "other"], ["other"])
    assert {headers["content-type"] for headers, _ in receiver.got} == {"application/a2a+json"}


async def converse(service: RunningService, binding: str, hook: str) -> dict[str, Any]:
    """Go through all that the SDK installed here has."""
    headers = {"authorization": f"Bearer {service.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        card = await A2ACardResolver(http, service.url).get_agent_card()
        config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding], streaming=False)
        client = ClientFactory(config).create(card)
        task = await sent(client, "[[ask input What else?]]")
        wanted = [a2a.TaskPushNotificationConfig(task_id=task.id, id=name, url=hook) for name in ("mine", "other")]
        created = [await client.create_task_push_notification_config(one) for one in wanted]
        this = {"task_id": task.id, "id": "mine"}
        got = await client.get_task_push_notification_config(a2a.GetTaskPushNotificationConfigRequest(**this))
        every = a2a.ListTaskPushNotificationConfigsRequest(task_id=task.id)
        listed = await client.list_task_push_notification_configs(every)
        await client.delete_task_push_notification_config(a2a.DeleteTaskPushNotificationConfigRequest(**this))
        left = await client.list_task_push_notification_configs(every)
        await sent(client, "[[complete fine]]", task)
    return {
        "task": task.id,
        "created": created[0].id,
        "got": got.id,
        "listed": [one.id for one in listed.configs],
        "left": [one.id for one in left.configs],
    }


async def sent(client: Any, text: str, task: a2a.Task | None = None) -> a2a.Task:
    message = a2a.Message(message_id=uuid4().hex, role=a2a.Role.ROLE_USER, parts=[a2a.Part(text=text)])
    if task is not None:
        message.task_id, message.context_id = task.id, task.context_id
    events = [event async for event in client.send_message(a2a.SendMessageRequest(message=message))]
    answer: a2a.Task = events[-1].task
    return answer
