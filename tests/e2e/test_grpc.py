"""The running service over gRPC, as a program on the SDK for Python meets it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from a2a import types as a2a
from a2a.client import Client, ClientCallContext, ClientConfig, create_client
from a2a.client.errors import A2AClientError
from a2a.utils.errors import InvalidParamsError, TaskNotCancelableError, TaskNotFoundError
from google.protobuf.json_format import ParseDict
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.e2e.service import RunningService, free_port

pytestmark = pytest.mark.anyio

SETTINGS = {"A2A_RUNTIME": "scripted", "A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1", "A2A_DRAIN_SECONDS": "1"}


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with serving() as service:
        yield service


def serving() -> RunningService:
    return RunningService(SETTINGS | {"A2A_GRPC_PORT": str(free_port())})


def asked(text: str, task: a2a.Task | None = None, *, now: bool = False) -> a2a.SendMessageRequest:
    message = a2a.Message(message_id=uuid.uuid4().hex, role=a2a.Role.ROLE_USER, parts=[a2a.Part(text=text)])
    if task is not None:
        message.task_id, message.context_id = task.id, task.context_id
    return a2a.SendMessageRequest(message=message, configuration=a2a.SendMessageConfiguration(return_immediately=now))


def by(service: RunningService, **more: str) -> ClientCallContext:
    parameters = {name: service.headers[name] for name in ("authorization", "a2a-extensions")} | more
    return ClientCallContext(service_parameters=parameters, timeout=30)


@asynccontextmanager
async def connected(service: RunningService, *, streaming: bool = True) -> AsyncIterator[Client]:
    """Connect by way of the card, and over gRPC only."""
    async with httpx.AsyncClient(trust_env=False) as http:
        config = ClientConfig(
            httpx_client=http,
            supported_protocol_bindings=["GRPC"],
            grpc_channel_factory=grpc.aio.insecure_channel,
            streaming=streaming,
        )
        client = await create_client(service.url, config)
        try:
            yield client
        finally:
            await client.close()


async def sent(service: RunningService, client: Client, request: a2a.SendMessageRequest) -> list[a2a.StreamResponse]:
    return [response async for response in client.send_message(request, context=by(service))]


def said(responses: list[a2a.StreamResponse]) -> str:
    return "".join(part.text for one in responses for part in one.artifact_update.artifact.parts)


def state(of: a2a.Task) -> str:
    return a2a.TaskState.Name(of.status.state)


async def test_a_message_is_sent_and_its_task_got_listed_and_the_same_everywhere(service: RunningService) -> None:
    async with connected(service, streaming=False) as client:
        (answer,) = await sent(service, client, asked("hello there"))
        got = await client.get_task(a2a.GetTaskRequest(id=answer.task.id), context=by(service))
        wanted = a2a.ListTasksRequest(context_id=got.context_id, include_artifacts=True)
        listed = await client.list_tasks(wanted, context=by(service))
    async with httpx.AsyncClient(headers=service.headers, trust_env=False) as http:
        by_http = (await http.get(f"{service.url}/tasks/{got.id}")).json()

    assert (state(got), got.artifacts[0].parts[0].text) == ("TASK_STATE_COMPLETED", "hello there")
    assert answer.task == got == ParseDict(by_http, a2a.Task())
    assert list(listed.tasks) == [got]


async def test_a_stream_is_read_to_its_end(service: RunningService) -> None:
    async with connected(service) as client:
        responses = await sent(service, client, asked("[[say one two three]]"))

    assert responses[0].HasField("task")
    assert said(responses) == "one two three"
    assert responses[-1].status_update.status.state == a2a.TaskState.TASK_STATE_COMPLETED


async def test_a_task_is_followed_by_somebody_else_and_canceled(service: RunningService) -> None:
    async with connected(service, streaming=False) as client, connected(service) as other:
        (answer,) = await sent(service, client, asked("[[hang]]", now=True))
        following = other.subscribe(a2a.SubscribeToTaskRequest(id=answer.task.id), context=by(service))
        opening = await anext(following)
        canceled = await client.cancel_task(a2a.CancelTaskRequest(id=answer.task.id), context=by(service))
        rest = [response async for response in following]
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(a2a.CancelTaskRequest(id=answer.task.id), context=by(service))

    assert opening.task.id == answer.task.id
    assert state(canceled) == "TASK_STATE_CANCELED"
    assert rest[-1].status_update.status.state == a2a.TaskState.TASK_STATE_CANCELED


async def test_what_the_agent_asks_is_answered(service: RunningService) -> None:
    async with connected(service) as client:
        first = await sent(service, client, asked("[[ask permission bash rm *]] [[say done]]"))
        status = first[-1].status_update.status
        second = await sent(service, client, asked("yes", first[0].task))
        done = await client.get_task(a2a.GetTaskRequest(id=first[0].task.id), context=by(service))

    assert status.state == a2a.TaskState.TASK_STATE_INPUT_REQUIRED
    assert "bash" in status.message.parts[0].text
    assert second[0].task.id == first[0].task.id
    assert "".join(part.text for one in done.artifacts for part in one.parts) == "done"


async def test_push_notifications_are_configured(service: RunningService) -> None:
    wanted = a2a.TaskPushNotificationConfig(url="http://127.0.0.1:9/hook")
    async with connected(service, streaming=False) as client:
        (answer,) = await sent(service, client, asked("[[hang]]", now=True))
        wanted.task_id = answer.task.id
        made = await client.create_task_push_notification_config(wanted, context=by(service))
        this = {"task_id": made.task_id, "id": made.id}
        got = await client.get_task_push_notification_config(
            a2a.GetTaskPushNotificationConfigRequest(**this), context=by(service)
        )
        await client.delete_task_push_notification_config(
            a2a.DeleteTaskPushNotificationConfigRequest(**this), context=by(service)
        )
        left = await client.list_task_push_notification_configs(
            a2a.ListTaskPushNotificationConfigsRequest(task_id=made.task_id), context=by(service)
        )
        await client.cancel_task(a2a.CancelTaskRequest(id=made.task_id), context=by(service))

    assert got == made
    assert list(left.configs) == []


async def test_refusals_are_the_errors_of_the_sdk(service: RunningService) -> None:
    async with connected(service, streaming=False) as client:
        with pytest.raises(TaskNotFoundError, match="nothing"):
            await client.get_task(a2a.GetTaskRequest(id="nothing"), context=by(service))
        with pytest.raises(InvalidParamsError, match="pageSize") as invalid:
            await client.list_tasks(a2a.ListTasksRequest(page_size=1000), context=by(service))
        with pytest.raises(A2AClientError, match="UNAUTHENTICATED"):
            await client.get_task(a2a.GetTaskRequest(id="nothing"))

    assert "pageSize" in str(invalid.value.data)


async def test_many_readers_of_a_long_stream_read_the_same(service: RunningService) -> None:
    async with connected(service) as client:
        (answer,) = await sent_at_once(service, client, f"[[delay 1]] [[say {'word ' * 3000}]]")

        async def read() -> list[a2a.StreamResponse]:
            wanted = a2a.SubscribeToTaskRequest(id=answer.task.id)
            return [one async for one in client.subscribe(wanted, context=by(service))]

        heard = await asyncio.gather(*(read() for _ in range(5)))

    assert len({said(responses) for responses in heard}) == 1
    assert len(said(heard[0]).split()) == 3000


async def sent_at_once(service: RunningService, client: Client, text: str) -> list[a2a.StreamResponse]:
    """Send over a connection of its own that does not stream."""
    async with connected(service, streaming=False) as other:
        return await sent(service, other, asked(text, now=True))


async def test_the_end_of_the_service_is_told_and_the_next_one_goes_on() -> None:
    with serving() as service:
        async with connected(service) as client:
            stream = client.send_message(asked("[[say one]] [[delay 5]] [[say two]]"), context=by(service))
            heard = [await anext(stream)]
            while "one" not in said(heard):
                heard.append(await anext(stream))
            began = time.monotonic()
            ending = asyncio.create_task(asyncio.to_thread(service.terminate))
            with pytest.raises(A2AClientError, match="UNAVAILABLE") as told:
                heard += [response async for response in stream]
            status = await ending
            took = time.monotonic() - began
        assert "about to stop" in str(told.value)
        service.start()
        async with connected(service) as client:
            last = heard[-1].artifact_update.artifact.metadata["shared"]["stream"]["event_id"]  # type: ignore[index] # structs all the way
            wanted = a2a.SubscribeToTaskRequest(id=heard[0].task.id)
            context = by(service, **{"last-event-id": str(last)})
            rest = [response async for response in client.subscribe(wanted, context=context)]

    assert (status, took < 10) == (0, True)
    assert not rest[0].HasField("task")
    assert rest[-1].status_update.status.state in (
        a2a.TaskState.TASK_STATE_COMPLETED,
        a2a.TaskState.TASK_STATE_FAILED,
    )


async def test_health_is_told_without_a_token(service: RunningService) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.settings['A2A_GRPC_PORT']}") as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_port_that_is_taken_stops_the_start_with_the_reason(service: RunningService) -> None:
    port = service.settings["A2A_GRPC_PORT"]
    second = RunningService(SETTINGS | {"A2A_GRPC_PORT": port})

    with pytest.raises(AssertionError, match=rf"A2A_GRPC_PORT: 127\.0\.0\.1:{port} cannot be listened on"), second:
        raise AssertionError("it started")
