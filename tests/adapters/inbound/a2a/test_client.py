"""The SDK's own client, over both bindings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from a2a import types as a2a
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.utils.constants import TransportProtocol
from a2a.utils.errors import ContentTypeNotSupportedError, TaskNotCancelableError, TaskNotFoundError

from opencode_a2a_server.domain.errors import ContentTypeNotSupported
from opencode_a2a_server.domain.ids import TaskId
from opencode_a2a_server.domain.message import TextPart
from tests.adapters.inbound.a2a.stage import Stage
from tests.adapters.inbound.a2a.updates import COMPLETED, STARTED, more, told
from tests.fakes.clock import settled

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("binding", list(TransportProtocol)[:2])]

MESSAGE = a2a.Message(message_id="message-1", role=a2a.Role.ROLE_USER, parts=[a2a.Part(text="hello")])


@asynccontextmanager
async def connected(stage: Stage, binding: TransportProtocol, *, streaming: bool = False) -> AsyncIterator[Client]:
    """Connect as a user of the SDK does: by way of the card."""
    async with stage.client() as http:
        card = await A2ACardResolver(http, "https://agent.example").get_agent_card()
        config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding], streaming=streaming)
        yield ClientFactory(config).create(card)


async def test_a_message_is_sent_and_its_task_got(binding: TransportProtocol) -> None:
    stage = Stage()
    now = a2a.SendMessageConfiguration(return_immediately=True)
    async with connected(stage, binding) as client:
        request = a2a.SendMessageRequest(message=MESSAGE, configuration=now)
        (sent,) = [response async for response in client.send_message(request)]
        got = await client.get_task(a2a.GetTaskRequest(id=sent.task.id, history_length=1))

    assert sent.task.status.state == a2a.TaskState.TASK_STATE_SUBMITTED
    assert got == sent.task


async def test_a_task_is_canceled_once(binding: TransportProtocol) -> None:
    stage = Stage()
    await stage.begin()
    async with connected(stage, binding) as client:
        canceled = await client.cancel_task(a2a.CancelTaskRequest(id="task-1"))
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(a2a.CancelTaskRequest(id="task-1"))

    assert canceled.status.state == a2a.TaskState.TASK_STATE_CANCELED


async def test_refusals_are_the_errors_of_the_sdk(binding: TransportProtocol) -> None:
    stage = Stage()
    stage.accept.answer = ContentTypeNotSupported("no films")
    async with connected(stage, binding) as client:
        with pytest.raises(TaskNotFoundError, match="was not found"):
            await client.get_task(a2a.GetTaskRequest(id="nothing"))
        with pytest.raises(ContentTypeNotSupportedError, match="no films"):
            await anext(aiter(client.send_message(a2a.SendMessageRequest(message=MESSAGE))))


async def test_a_stream_is_read_to_its_end(binding: TransportProtocol) -> None:
    stage = Stage()
    async with connected(stage, binding, streaming=True) as client:

        async def read() -> list[a2a.StreamResponse]:
            return [response async for response in client.send_message(a2a.SendMessageRequest(message=MESSAGE))]

        reading = asyncio.ensure_future(read())
        await settled()
        log = stage.journal.logs[TaskId("task-1")]
        log.append([STARTED, told("prt_1", TextPart("one\u2028")), more("prt_1", "two\u0085"), COMPLETED])
        responses = await reading

    texts = [part.text for response in responses for part in response.artifact_update.artifact.parts]
    assert [response.WhichOneof("payload") for response in responses] == [
        "task",
        "status_update",
        "artifact_update",
        "artifact_update",
        "status_update",
    ]
    assert texts == ["one\u2028", "two\u0085"]


async def test_a_stream_that_the_service_ends_is_an_error(binding: TransportProtocol) -> None:
    stage = Stage()
    async with connected(stage, binding, streaming=True) as client:

        async def read() -> None:
            async for _ in client.send_message(a2a.SendMessageRequest(message=MESSAGE)):
                pass

        reading = asyncio.ensure_future(read())
        await settled()
        stage.drain.begin()

        with pytest.raises(Exception, match="about to stop"):
            await reading


async def test_push_notifications_are_configured(binding: TransportProtocol) -> None:
    stage = Stage(pushes=True)
    await stage.begin()
    wanted = a2a.TaskPushNotificationConfig(
        task_id="task-1",
        url="https://client.example/hook",
        token="t",  # noqa: S106 - a test's
        authentication=a2a.AuthenticationInfo(scheme="Bearer", credentials="c"),
    )
    async with connected(stage, binding) as client:
        made = await client.create_task_push_notification_config(wanted)
        this = {"task_id": "task-1", "id": made.id}
        got = await client.get_task_push_notification_config(a2a.GetTaskPushNotificationConfigRequest(**this))
        every = a2a.ListTaskPushNotificationConfigsRequest(task_id="task-1", page_size=10)
        listed = await client.list_task_push_notification_configs(every)
        await client.delete_task_push_notification_config(a2a.DeleteTaskPushNotificationConfigRequest(**this))
        left = await client.list_task_push_notification_configs(every)

    assert got == made
    assert (made.url, made.authentication.credentials) == (wanted.url, "c")
    assert list(listed.configs) == [made]
    assert list(left.configs) == []
