"""The gRPC binding: imported and listened to where a port is configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from importlib.util import find_spec

from opencode_a2a_server.app.settings import Settings, SettingsError

from .inbound import Container
from .tls import key_and_certificate


async def listen_to_grpc(stack: AsyncExitStack, container: Container, settings: Settings) -> None:
    """
    Listen, until the stack is left.

    Raises:
        SettingsError: Somebody else has the port.

    """
    from opencode_a2a_server.adapters.inbound.a2a.grpc.server import PortTaken, serving

    server = serving(
        container.operations(),
        settings.grpc_address,
        authenticate=container.authenticate(),
        drain=container.drain(),
        body_limit=settings.server.max_body,
        shared=settings.server.workers > 1,
        tls=key_and_certificate(settings),
        watch=container.requests(),
    )
    try:
        await stack.enter_async_context(server)
    except PortTaken as taken:
        raise SettingsError([f"A2A_GRPC_PORT: {taken}"]) from taken


def missing_for_grpc(settings: Settings, find: Callable[[str], object] = find_spec) -> Iterator[str]:
    """Say what gRPC needs and this installation does not have."""
    if settings.grpc.port and not (find("grpc") and find("grpc_health")):
        yield "A2A_GRPC_PORT: gRPC is not installed; pip install 'opencode-a2a-server[grpc]', or leave the port out"
