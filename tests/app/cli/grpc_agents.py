"""An agent that speaks gRPC of 1.0 on loopback: it answers as it is told, and keeps the metadata it was asked with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from a2a.types import a2a_pb2, a2a_pb2_grpc
from attrs import define, field
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped] # it has no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # it has no types

Refusal = tuple[grpc.StatusCode, str]
"""A status and a reason."""


@define(eq=False)
class GrpcAgent(a2a_pb2_grpc.A2AServiceServicer):
    """What it answers to methods: JSON of the response, several for a stream, or a refusal."""

    results: dict[str, Any] = field(factory=dict)
    calls: list[tuple[str, Mapping[str, Any]]] = field(factory=list)
    metadata: list[Mapping[str, str]] = field(factory=list)
    cut: bool = False
    """Whether streams break off."""
    port: int = 0

    def SendMessage(self, request: Message, context: Any) -> Message:  # noqa: N802 - the service's names
        return self._one("SendMessage", request, context, a2a_pb2.SendMessageResponse())

    def SendStreamingMessage(self, request: Message, context: Any) -> Iterator[Message]:  # noqa: N802
        for told in self._told("SendStreamingMessage", request, context):
            yield ParseDict(told, a2a_pb2.StreamResponse())
        if self.cut:
            context.abort(grpc.StatusCode.UNAVAILABLE, "lost")

    def GetTask(self, request: Message, context: Any) -> Message:  # noqa: N802
        return self._one("GetTask", request, context, a2a_pb2.Task())

    def ListTasks(self, request: Message, context: Any) -> Message:  # noqa: N802
        return self._one("ListTasks", request, context, a2a_pb2.ListTasksResponse())

    def CancelTask(self, request: Message, context: Any) -> Message:  # noqa: N802
        return self._one("CancelTask", request, context, a2a_pb2.Task())

    def _one(self, name: str, request: Message, context: Any, response: Message) -> Message:
        return ParseDict(self._told(name, request, context), response)

    def _told(self, name: str, request: Message, context: Any) -> Any:
        asked = MessageToDict(request)
        self.calls.append((name, asked))
        self.metadata.append({pair.key: pair.value for pair in context.invocation_metadata()})
        told = self.results.get(name, (grpc.StatusCode.UNIMPLEMENTED, ""))
        told = told(asked) if callable(told) else told
        if not isinstance(told, tuple):
            return told
        code, reason = told
        if reason:
            detail = Packed()
            detail.Pack(ErrorInfo(reason=reason, domain="a2a-protocol.org"))
            status = Status(code=code.value[0], message=f"no: {reason}", details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, f"no: {reason}")
        raise AssertionError("abort raises")


@contextmanager
def speaking(agent: GrpcAgent, tls: tuple[bytes, bytes] | None = None) -> Iterator[GrpcAgent]:
    """Let it answer, with TLS if there are a key and a certificate."""
    server = grpc.server(ThreadPoolExecutor(4))
    a2a_pb2_grpc.add_A2AServiceServicer_to_server(agent, server)  # type: ignore[no-untyped-call] # generated
    if tls is None:
        agent.port = server.add_insecure_port("127.0.0.1:0")
    else:
        agent.port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([tls]))
    server.start()
    try:
        yield agent
    finally:
        server.stop(None).wait()


def offering(told: Mapping[str, Any], interfaces: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Have a card offer these interfaces of 1.0: binding and URL."""
    offered = [{"url": url, "protocolBinding": binding, "protocolVersion": "1.0"} for binding, url in interfaces]
    return {**told, "supportedInterfaces": offered}
