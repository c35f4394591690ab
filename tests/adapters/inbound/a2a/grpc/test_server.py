"""The server: its health, its port, what it needs."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from opencode_a2a_server.adapters.inbound.a2a.auth import BearerTokens
from opencode_a2a_server.adapters.inbound.a2a.grpc.server import PortTaken, serving
from tests.adapters.inbound.a2a.grpc.line import METADATA, line
from tests.adapters.inbound.a2a.stage import TOKEN, Stage

pytestmark = pytest.mark.anyio

Status = health_pb2.HealthCheckResponse
SERVICES = ["", "lf.a2a.v1.A2AService", "a2a.v1.A2AService"]


@pytest.mark.parametrize("service", SERVICES)
async def test_health_is_told_to_all_until_the_service_ends(service: str) -> None:
    stage = Stage()
    async with line(stage) as called:
        health: Any = health_pb2_grpc.HealthStub(called.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=service))
        before = (await watch.read()).status
        stage.drain.begin()
        after = (await watch.read()).status
        watch.cancel()

    assert (before, after) == (Status.SERVING, Status.NOT_SERVING)


async def test_a_version_that_is_turned_off_has_no_service() -> None:
    async with line(Stage(versions=("1.0",))) as called:
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await called.raw("/a2a.v1.A2AService/GetTask")(b"", metadata=METADATA)

    assert told.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_port_that_is_taken_is_not_shared() -> None:
    stage = Stage()
    common = {
        "authenticate": BearerTokens.of([TOKEN]),
        "drain": stage.drain,
    }
    async with serving(stage.operations(), "127.0.0.1:0", **common) as port:  # type: ignore[arg-type] # as they are
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port} cannot be listened on"):
            async with serving(stage.operations(), f"127.0.0.1:{port}", **common):  # type: ignore[arg-type] # see above
                raise AssertionError("two services listen on one port")
