"""An agent's interface by gRPC, asked and answering in the words of HTTP, so that the same demands are put to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

import grpc
import httpx
from a2a.compat.v0_3 import a2a_v0_3_pb2, a2a_v0_3_pb2_grpc
from a2a.types import a2a_pb2, a2a_pb2_grpc
from a2a.utils.grpc_status import status_from_call
from attrs import define, field
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from .probes import V1, Broken, Interface

_SECONDS: Final = 120.0

_REQUESTS: Final[Mapping[str, tuple[str, type[Message], str, type[Message]]]] = {
    "send": ("SendMessage", a2a_pb2.SendMessageRequest, "SendMessage", a2a_v0_3_pb2.SendMessageRequest),
    "stream": (
        "SendStreamingMessage",
        a2a_pb2.SendMessageRequest,
        "SendStreamingMessage",
        a2a_v0_3_pb2.SendMessageRequest,
    ),
    "get": ("GetTask", a2a_pb2.GetTaskRequest, "GetTask", a2a_v0_3_pb2.GetTaskRequest),
    "list": ("ListTasks", a2a_pb2.ListTasksRequest, "", Message),
    "cancel": ("CancelTask", a2a_pb2.CancelTaskRequest, "CancelTask", a2a_v0_3_pb2.CancelTaskRequest),
    "push": ("ListTaskPushNotificationConfigs", a2a_pb2.ListTaskPushNotificationConfigsRequest, "", Message),
    "card": (
        "GetExtendedAgentCard",
        a2a_pb2.GetExtendedAgentCardRequest,
        "GetAgentCard",
        a2a_v0_3_pb2.GetAgentCardRequest,
    ),
}
"""Each operation: its method and request in 1.0, and in 0.3."""

_STATUSES: Final[Mapping[str, int]] = {
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 501,
}
_SSE: Final = {"content-type": "text/event-stream"}


@define(eq=False)
class OverGrpc(Interface):
    """One interface by gRPC."""

    channel: grpc.aio.Channel = field(kw_only=True)

    async def ask(self, operation: str, params: Mapping[str, Any], **headers: str) -> httpx.Response:
        """Ask for an operation; what comes of it is told as HTTP+JSON tells it."""
        name, request = self._request(operation, params)
        stub: Any = (a2a_pb2_grpc if self.version == V1 else a2a_v0_3_pb2_grpc).A2AServiceStub(self.channel)
        call = getattr(stub, name)(request, metadata=self._metadata(headers), timeout=_SECONDS)
        try:
            if operation == "stream":
                return httpx.Response(200, headers=_SSE, text="".join([_frame(told) async for told in call]))
            return httpx.Response(200, json=_told(await call))
        except grpc.aio.AioRpcError as error:
            return _refusal(error)

    def _request(self, operation: str, params: Mapping[str, Any]) -> tuple[str, Message]:
        name, kind, old_name, old_kind = _REQUESTS[operation]
        given = dict(params)
        if self.version != V1:
            name, kind = old_name, old_kind
            given |= {"name": f"tasks/{given.pop('id')}"} if "id" in given else {}
        try:
            return name, ParseDict(given, kind())
        except ParseError as error:
            raise Broken(f"the request cannot be written: {error}") from error

    def _metadata(self, headers: Mapping[str, str]) -> list[tuple[str, str]]:
        own = {"a2a-version": self.version, "authorization": self.http.headers.get("authorization", "")}
        return [(name, value) for name, value in {**own, **headers}.items() if value and name != "accept"]


def _told(message: Message) -> Mapping[str, Any]:
    told = MessageToDict(message)
    if isinstance(message, a2a_pb2.ListTasksResponse):  # what is empty is there all the same
        told |= {
            "nextPageToken": message.next_page_token,
            "pageSize": message.page_size,
            "totalSize": message.total_size,
        }
    return told


def _frame(message: Message) -> str:
    return f"data: {json.dumps(MessageToDict(message))}\n\n"


def _refusal(error: grpc.aio.AioRpcError) -> httpx.Response:
    """
    Tell an error.

    Raises:
        httpx.ConnectError: There was nobody to give one.

    """
    code = error.code().name
    if code == "UNAVAILABLE":
        raise httpx.ConnectError(str(error.details()))
    status = status_from_call(cast("grpc.Call", error))
    details = [] if status is None else [MessageToDict(detail) for detail in status.details]
    told = {"status": code, "message": error.details(), "details": details}
    return httpx.Response(_STATUSES.get(code, 500), json={"error": told})
