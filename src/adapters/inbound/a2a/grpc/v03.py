"""Protocol 0.3 over gRPC: what it has over HTTP+JSON, in its own proto (package `a2a.v1`)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from a2a.compat.v0_3 import a2a_v0_3_pb2
from attrs import evolve, frozen
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from opencode_a2a_server.adapters.inbound.a2a.card.served import Form
from opencode_a2a_server.adapters.inbound.a2a.encode import to_json
from opencode_a2a_server.adapters.inbound.a2a.operations import Operations
from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.requests import read_cancel, read_get, read_subscribe
from opencode_a2a_server.adapters.inbound.a2a.sse import Feed
from opencode_a2a_server.adapters.inbound.a2a.v03.push import PushV03, config_proto
from opencode_a2a_server.adapters.inbound.a2a.v03.requests import read_send_0_3, task_params
from opencode_a2a_server.adapters.inbound.a2a.v03.shape import PROTO, VERSION
from opencode_a2a_server.domain.errors import InvalidRequest

from .door import Responses, Service
from .frames import read
from .status import Context
from .streams import Streams

_Asked: TypeAlias = Mapping[str, Any]
"""A request as ProtoJSON."""

_NAME: Final = re.compile("tasks/(?P<task>[^/]+)(/pushNotificationConfigs(/(?P<config>[^/]*))?)?")

STREAMED: Final = a2a_v0_3_pb2.StreamResponse
"""What this version streams."""


@frozen
class V03(Service):
    """The service a2a.v1.A2AService."""

    operations: Operations
    streams: Streams

    version = VERSION
    descriptor = a2a_v0_3_pb2.DESCRIPTOR.services_by_name["A2AService"]

    async def answer(self, name: str, call: Call, request: Message, context: Context) -> Message:  # noqa: ARG002
        """Answer."""
        told = await _ANSWERED[name](self.operations, evolve(call, shape=PROTO), MessageToDict(request))
        return read(told, GetMessageClass(self.descriptor.methods_by_name[name].output_type)())

    async def stream(self, name: str, call: Call, request: Message) -> Responses:
        """Stream."""
        feed = await _STREAMED[name](self.operations, evolve(call, shape=PROTO), MessageToDict(request))
        async for frame in self.streams(feed):
            yield frame


async def _send(operations: Operations, call: Call, asked: _Asked) -> bytes:
    return await operations.send(call, read_send_0_3(asked))


async def _get(operations: Operations, call: Call, asked: _Asked) -> bytes:
    wanted = {"id": _task_id(asked), "historyLength": asked.get("historyLength")}
    return await operations.get(call, read_get(task_params(wanted)))


async def _cancel(operations: Operations, call: Call, asked: _Asked) -> bytes:
    return await operations.cancel(call, read_cancel({"id": _task_id(asked)}))


async def _create_push(operations: Operations, call: Call, asked: _Asked) -> bytes:
    task, _ = _named(asked, "parent")
    return to_json(await _push(operations).create(call, task, asked, "parent"))


async def _get_push(operations: Operations, call: Call, asked: _Asked) -> bytes:
    return to_json(await _push(operations).get(call, *_named(asked)))


async def _list_push(operations: Operations, call: Call, asked: _Asked) -> bytes:
    task, _ = _named(asked, "parent")
    return to_json({"configs": await _push(operations).list(call, task)})


async def _delete_push(operations: Operations, call: Call, asked: _Asked) -> bytes:
    await _push(operations).delete(call, *_named(asked))
    return b"{}"


def _push(operations: Operations) -> PushV03:
    return PushV03(operations.push.services, config_proto)


async def _card(operations: Operations, call: Call, _asked: _Asked) -> bytes:
    return operations.extended_card(call, Form.V03_GRPC).body


async def _stream(operations: Operations, call: Call, asked: _Asked) -> Feed:
    return await operations.stream(call, read_send_0_3(asked))


async def _subscribe(operations: Operations, call: Call, asked: _Asked) -> Feed:
    return await operations.subscribe(call, read_subscribe({"id": _task_id(asked)}))


def _task_id(asked: _Asked) -> str:
    return _named(asked)[0]


def _named(asked: _Asked, field: str = "name") -> tuple[str, str]:
    """Read the ids of a task, and of a push notification configuration of it, out of a resource's name."""
    found = _NAME.fullmatch(str(asked.get(field, "")))
    if found is None:
        raise InvalidRequest("a name is tasks/{id}, or tasks/{id}/pushNotificationConfigs/{id}", field)
    return found["task"], found["config"] or ""


_ANSWERED: Final[Mapping[str, Callable[[Operations, Call, _Asked], Awaitable[bytes]]]] = {
    "SendMessage": _send,
    "GetTask": _get,
    "CancelTask": _cancel,
    "CreateTaskPushNotificationConfig": _create_push,
    "GetTaskPushNotificationConfig": _get_push,
    "ListTaskPushNotificationConfig": _list_push,
    "DeleteTaskPushNotificationConfig": _delete_push,
    "GetAgentCard": _card,
}
_STREAMED: Final[Mapping[str, Callable[[Operations, Call, _Asked], Awaitable[Feed]]]] = {
    "SendStreamingMessage": _stream,
    "TaskSubscription": _subscribe,
}
