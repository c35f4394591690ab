"""
A user's program on a2a-sdk 1: `python_v1.py URL TOKEN JSONRPC|HTTP+JSON|GRPC HOOK OPERATION...`.

It prints one JSON object, with what each of its conversations came to.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import httpx
from a2a.client import Client, ClientCallContext, ClientConfig, create_client
from a2a.client.errors import A2AClientError
from a2a.types import (
    CancelTaskRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import A2AError

Outcome = list[Any]


def said(text: str, task: str = "", context: str = "", *, at_once: bool = False) -> SendMessageRequest:
    """Say something."""
    message = Message(
        message_id=uuid.uuid4().hex, role=Role.ROLE_USER, parts=[Part(text=text)], task_id=task, context_id=context
    )
    return SendMessageRequest(message=message, configuration=SendMessageConfiguration(return_immediately=at_once))


def text_of(task: Task) -> str:
    """Read all that an agent gave."""
    return "".join(part.text for artifact in task.artifacts for part in artifact.parts)


def grown(events: Sequence[StreamResponse]) -> str:
    """Read what a stream tells."""
    return "".join(part.text for event in events for part in event.artifact_update.artifact.parts)


def state(number: int) -> str:
    """Name a state."""
    return TaskState.Name(number)


class Conversations:
    """Everything that is tried."""

    def __init__(self, streaming: Client, waiting: Client, token: str, hook: str) -> None:
        self.streaming, self.waiting, self.hook = streaming, waiting, hook
        self.known = ClientCallContext(service_parameters={"authorization": f"Bearer {token}"})

    async def sent(self, request: SendMessageRequest) -> Task:
        """Send, and give the task that comes back."""
        events = [event async for event in self.waiting.send_message(request, context=self.known)]
        return events[-1].task

    async def told(self, events: AsyncIterator[StreamResponse]) -> Sequence[StreamResponse]:
        """Read a stream to its end."""
        return [event async for event in events]

    async def send(self) -> Outcome:
        task = await self.sent(said("[[say hello there]]"))
        return [state(task.status.state), text_of(task)]

    async def stream(self) -> Outcome:
        events = await self.told(self.streaming.send_message(said("[[say one two three]]"), context=self.known))
        first, last = events[0], events[-1]
        return [first.HasField("task"), grown(events), state(last.status_update.status.state)]

    async def get(self) -> Outcome:
        task = await self.sent(said("hello"))
        got = await self.waiting.get_task(GetTaskRequest(id=task.id, history_length=1), context=self.known)
        return [got.id == task.id, state(got.status.state), len(got.history)]

    async def list(self) -> Outcome:
        context = uuid.uuid4().hex
        ids = [(await self.sent(said(text, context=context))).id for text in ("one", "two")]
        listed = await self.waiting.list_tasks(ListTasksRequest(context_id=context), context=self.known)
        return [[ids.index(task.id) for task in listed.tasks], listed.total_size]

    async def cancel(self) -> Outcome:
        task = await self.sent(said("[[hang 30]]", at_once=True))
        request = CancelTaskRequest(id=task.id)
        canceled = await self.waiting.cancel_task(request, context=self.known)
        return [state(canceled.status.state), await refused(self.waiting.cancel_task(request, context=self.known))]

    async def resubscribe(self) -> Outcome:
        task = await self.sent(said("[[delay 1]] [[say late words]]", at_once=True))
        events = await self.told(self.streaming.subscribe(SubscribeToTaskRequest(id=task.id), context=self.known))
        return [events[0].HasField("task"), grown(events), state(events[-1].status_update.status.state)]

    async def asked(self) -> Outcome:
        """Answer what the agent asks."""
        task = await self.sent(said("[[ask input What else?]]"))
        done = await self.sent(said("[[complete fine]]", task.id))
        question = task.status.message.parts[0].text
        return [state(task.status.state), question, state(done.status.state), done.id == task.id]

    async def permitted(self) -> Outcome:
        task = await self.sent(said("[[ask permission bash rm *]] [[say done]]"))
        done = await self.sent(said("yes", task.id))
        return [state(task.status.state), state(done.status.state), text_of(done)]

    async def bare(self) -> Outcome:
        request = said("[[reply just a message]]")
        events = await self.told(self.streaming.send_message(request, context=self.known))
        return [event.message.parts[0].text for event in events]

    async def push(self) -> Outcome:
        """Have somebody else told how a task goes on."""
        task = await self.sent(said("[[ask input What else?]]"))
        wanted = TaskPushNotificationConfig(task_id=task.id, id="mine", url=self.hook, token="my-token")  # noqa: S106
        made = await self.waiting.create_task_push_notification_config(wanted, context=self.known)
        named = GetTaskPushNotificationConfigRequest(task_id=task.id, id="mine")
        got = await self.waiting.get_task_push_notification_config(named, context=self.known)
        await self.sent(said("[[complete fine]]", task.id))
        return [made.url == self.hook, got.url == self.hook, got.token, task.id]

    async def card(self) -> Outcome:
        """Get the card that is for those who are known."""
        card = await self.waiting.get_extended_agent_card(GetExtendedAgentCardRequest(), context=self.known)
        return sorted(skill.id for skill in card.skills)

    async def errors(self) -> Outcome:
        nothing = self.waiting.get_task(GetTaskRequest(id="nothing"), context=self.known)
        stream = aiter(self.streaming.send_message(said("x", "nothing"), context=self.known))
        return [await refused(nothing), await refused(anext(stream))]


async def refused(call: Any) -> str | None:
    """Give the name of an error."""
    try:
        await call
    except (A2AError, A2AClientError) as error:
        return type(error).__name__
    return None


async def main(url: str, token: str, binding: str, hook: str, *operations: str) -> None:
    """Try the operations."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        clients = []
        for streaming in (True, False):
            config = ClientConfig(
                httpx_client=http,
                grpc_channel_factory=grpc.aio.insecure_channel,
                supported_protocol_bindings=[binding],
                streaming=streaming,
            )
            config.use_client_preference = True
            clients.append(await create_client(url, config))
        conversations = Conversations(clients[0], clients[1], token, hook)
        print(json.dumps({name: await getattr(conversations, name)() for name in operations}))  # noqa: T201
        for client in clients:
            await client.close()


asyncio.run(main(*sys.argv[1:]))
