"""The gRPC server; it lives in the event loop of the application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from opencode_a2a_server.adapters.inbound.a2a.auth import Authenticate
from opencode_a2a_server.adapters.inbound.a2a.drain import Drain
from opencode_a2a_server.adapters.inbound.a2a.operations import Operations
from opencode_a2a_server.adapters.inbound.a2a.watch import Watch

from . import v03, v1
from .door import Door, Service
from .streams import Streams

_GRACE: Final = 1.0
"""Seconds for calls to end when the server stops. Streams were told before; what is left is cut."""

_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 30_000),  # find out about clients that are gone without a word
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),  # and let clients find out about us
)


class PortTaken(Exception):
    """The address cannot be listened on."""


@asynccontextmanager
async def serving(  # noqa: PLR0913 - the seams of the server, each by its name
    operations: Operations,
    address: str,
    *,
    authenticate: Authenticate,
    drain: Drain,
    body_limit: int = 1 << 20,
    shared: bool = False,
    tls: tuple[bytes, bytes] | None = None,
    watch: Watch | None = None,
) -> AsyncIterator[int]:
    """
    Serve; gives the port, which is a free one if the address has 0.

    Health checks (grpc.health.v1) are open to all, as `GET /health` is, and tell the end of the service in time.

    Args:
        operations: What is served, in which protocol versions.
        address: `host:port` to listen on.
        authenticate: Who is asking, by a call's metadata.
        drain: Ends the streams when the service is about to end.
        body_limit: Bytes that a request may have.
        shared: Whether other processes of this service listen there too: else two services on one port would silently
            share its clients.
        tls: A private key and its certificate with the chain, in PEM; without them nothing is encrypted.
        watch: Who hears of calls, to measure and to trace them.

    Raises:
        PortTaken: The address cannot be listened on.

    """
    own = (("grpc.so_reuseport", int(shared)), ("grpc.max_receive_message_length", body_limit))
    server = grpc.aio.server(options=[*_OPTIONS, *own])
    door, checks = Door(authenticate, drain, watch), health.HealthServicer()
    served = list(_served(operations, drain))
    server.add_generic_rpc_handlers(tuple(door.handlers(service) for service in served))
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    for service in served:
        await checks.set(service.descriptor.full_name, health_pb2.HealthCheckResponse.SERVING)
    port = _listen(server, address, tls)
    await server.start()
    async with anyio.create_task_group() as group:
        group.start_soon(_tell_the_end, drain, checks)
        try:
            yield port
        finally:
            with anyio.CancelScope(shield=True):
                await checks.enter_graceful_shutdown()
                await server.stop(_GRACE)
            group.cancel_scope.cancel()


def _listen(server: grpc.aio.Server, address: str, tls: tuple[bytes, bytes] | None) -> int:
    try:
        if tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, grpc.ssl_server_credentials([tls]))
    except RuntimeError as error:
        raise PortTaken(f"{address} cannot be listened on ({error})") from error


def _served(operations: Operations, drain: Drain) -> list[Service]:
    services: dict[str, Service] = {
        "1.0": v1.V1(operations, Streams(drain, v1.STREAMED)),
        "0.3": v03.V03(operations, Streams(drain, v03.STREAMED)),
    }
    return [services[version] for version in operations.cards.versions]


async def _tell_the_end(drain: Drain, checks: health.HealthServicer) -> None:
    await drain.wait()
    await checks.enter_graceful_shutdown()
