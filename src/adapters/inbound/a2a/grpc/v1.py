"""
Protocol 1.0 over gRPC: the SDK's handler, on the methods that JSON-RPC has by the same names.

Streams go past it: it would make each message anew for each reader, and they are made once for all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final, TypeVar, cast

from a2a import types as a2a
from a2a.server.context import ServerCallContext
from a2a.server.events.event_queue import Event
from a2a.server.request_handlers.grpc_handler import GrpcHandler
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.types import a2a_pb2
from attrs import frozen
from google.protobuf.message import Message

from opencode_a2a_server.adapters.inbound.a2a.encode import VERSION
from opencode_a2a_server.adapters.inbound.a2a.operations import Operations
from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.rpc import METHODS
from opencode_a2a_server.adapters.inbound.a2a.sse import Feed

from .door import Responses, Service
from .frames import read
from .status import Context
from .streams import Streams

_M = TypeVar("_M", bound=Message)


@frozen
class V1(Service):
    """The service lf.a2a.v1.A2AService."""

    operations: Operations
    streams: Streams

    version = VERSION
    descriptor = a2a_pb2.DESCRIPTOR.services_by_name["A2AService"]

    async def answer(self, name: str, call: Call, request: Message, context: Context) -> Message:
        """Have the SDK's handler answer, in the caller's name."""
        handler = GrpcHandler(Answers(self.operations, call))
        return cast("Message", await getattr(handler, name)(request, context))

    async def stream(self, name: str, call: Call, request: Message) -> Responses:
        """Stream."""
        feed = cast("Feed", await METHODS[name](self.operations, call, request))
        async for frame in self.streams(feed):
            yield frame


@frozen
class Answers(RequestHandler):
    """
    What the SDK's handler asks, for one call.

    It raises our own refusals: the SDK's classes know neither all of them nor their details, and the door tells them.
    """

    operations: Operations
    call: Call

    async def on_message_send(self, params: a2a.SendMessageRequest, context: ServerCallContext) -> Any:
        """SendMessage."""
        sent = await self._told("SendMessage", params, a2a.SendMessageResponse())
        return sent.task if sent.HasField("task") else sent.message

    def on_message_send_stream(
        self, params: a2a.SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        """Is not asked: see V1.stream."""
        raise NotImplementedError

    def on_subscribe_to_task(
        self, params: a2a.SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        """Is not asked, either."""
        raise NotImplementedError

    async def on_get_task(self, params: a2a.GetTaskRequest, context: ServerCallContext) -> a2a.Task:
        """GetTask."""
        return await self._told("GetTask", params, a2a.Task())

    async def on_list_tasks(self, params: a2a.ListTasksRequest, context: ServerCallContext) -> a2a.ListTasksResponse:
        """ListTasks."""
        return await self._told("ListTasks", params, a2a.ListTasksResponse())

    async def on_cancel_task(self, params: a2a.CancelTaskRequest, context: ServerCallContext) -> a2a.Task:
        """CancelTask."""
        return await self._told("CancelTask", params, a2a.Task())

    async def on_create_task_push_notification_config(
        self, params: a2a.TaskPushNotificationConfig, context: ServerCallContext
    ) -> a2a.TaskPushNotificationConfig:
        """CreateTaskPushNotificationConfig."""
        return await self._told("CreateTaskPushNotificationConfig", params, a2a.TaskPushNotificationConfig())

    async def on_get_task_push_notification_config(
        self, params: a2a.GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> a2a.TaskPushNotificationConfig:
        """GetTaskPushNotificationConfig."""
        return await self._told("GetTaskPushNotificationConfig", params, a2a.TaskPushNotificationConfig())

    async def on_list_task_push_notification_configs(
        self, params: a2a.ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> a2a.ListTaskPushNotificationConfigsResponse:
        """ListTaskPushNotificationConfigs."""
        made = a2a.ListTaskPushNotificationConfigsResponse()
        return await self._told("ListTaskPushNotificationConfigs", params, made)

    async def on_delete_task_push_notification_config(
        self, params: a2a.DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        """DeleteTaskPushNotificationConfig."""
        await METHODS["DeleteTaskPushNotificationConfig"](self.operations, self.call, params)

    async def on_get_extended_agent_card(
        self, params: a2a.GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> a2a.AgentCard:
        """GetExtendedAgentCard."""
        return await self._told("GetExtendedAgentCard", params, a2a.AgentCard())

    async def _told(self, method: str, params: Message, made: _M) -> _M:
        return read(cast("bytes", await METHODS[method](self.operations, self.call, params)), made)


STREAMED: Final = a2a.StreamResponse
"""What this version streams."""
