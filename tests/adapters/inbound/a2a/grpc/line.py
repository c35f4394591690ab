"""A line to the service: the application's use cases behind a gRPC server on a port of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from a2a.compat.v0_3 import a2a_v0_3_pb2_grpc
from a2a.types import a2a_pb2_grpc
from attrs import frozen
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # it has no types

from opencode_a2a_server.adapters.inbound.a2a.grpc.server import serving
from tests.adapters.inbound.a2a.stage import TOKEN, Stage

METADATA = (("authorization", f"Bearer {TOKEN}"), ("a2a-version", "1.0"))
OLD = (("authorization", f"Bearer {TOKEN}"),)
"""What a client of 0.3 says: nothing of a version."""
LARGEST = 8192


@frozen
class Line:
    """An open channel, and what speaks each version over it."""

    channel: grpc.aio.Channel

    @property
    def v1(self) -> Any:
        """The SDK's stub of protocol 1.0."""
        return a2a_pb2_grpc.A2AServiceStub(self.channel)  # type: ignore[no-untyped-call] # generated

    @property
    def v03(self) -> Any:
        """The SDK's stub of protocol 0.3."""
        return a2a_v0_3_pb2_grpc.A2AServiceStub(self.channel)  # type: ignore[no-untyped-call] # generated

    def raw(self, method: str) -> Any:
        """What sends bytes to a method and gives bytes."""
        called: Any = self.channel.unary_unary(method)
        return called

    async def knock(self) -> None:
        """Call and be answered, so that the other side has had its turn."""
        await self.raw("/grpc.health.v1.Health/Check")(b"")


@asynccontextmanager
async def line(stage: Stage, *, options: Sequence[tuple[str, Any]] = ()) -> AsyncIterator[Line]:
    """Serve a stage and call it."""
    async with (
        serving(
            stage.operations(),
            "127.0.0.1:0",
            authenticate=stage.authenticate,
            drain=stage.drain,
            body_limit=LARGEST,
        ) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel,
    ):
        yield Line(channel)


@frozen
class Told:
    """How a call was refused."""

    code: str
    message: str
    reason: str
    metadata: dict[str, str]
    fields: list[str]
    """The fields which broke the contract."""
    retry: int
    """Seconds after which to try again, 0 if nothing is said of that."""


async def error_of(call: Any) -> Told:
    """Hear a call to its end, which is an error; what a stream tells before is left out."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await (_read_out(call) if hasattr(call, "read") else call)
    return refusal(error.value)


async def _read_out(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


def shared(metadata: Any) -> dict[str, Any]:
    """Give what `metadata.shared.stream` says."""
    return dict(metadata["shared"]["stream"])


def refusal(error: grpc.aio.AioRpcError) -> Told:
    """Read an error as clients do: its code, and the details in the trailing metadata."""
    status = status_pb2.Status()
    status.ParseFromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    info, bad, again = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        assert any(detail.Unpack(kind) for kind in (info, bad, again))
    assert (status.code, status.message) == (error.code().value[0], error.details())
    assert info.domain == "a2a-protocol.org"
    fields = [violation.field for violation in bad.field_violations]
    return Told(error.code().name, status.message, info.reason, dict(info.metadata), fields, again.retry_delay.seconds)
