"""The server, as far as it is not Granian's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from opencode_a2a_server.adapters.inbound.server import cut_connections


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connected(stack: ExitStack, family: socket.AddressFamily, host: str) -> tuple[int, socket.socket]:
    """Give the port of somebody who listens, and a client's end of a connection to him."""
    listening = stack.enter_context(socket.create_server((host, 0), family=family))
    port: int = listening.getsockname()[1]
    client = stack.enter_context(socket.create_connection((host, port), 5))
    ours, _ = listening.accept()
    stack.enter_context(ours)
    return port, client


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_connections_of_clients_are_cut_and_no_others(
    stack: ExitStack, family: socket.AddressFamily, host: str
) -> None:
    port, client = connected(stack, family, host)
    _, other = connected(stack, socket.AF_INET, "127.0.0.1")

    cut_connections(port)

    client.settimeout(5)
    assert client.recv(1) == b""
    other.settimeout(0.05)
    with pytest.raises(TimeoutError):
        other.recv(1)


def test_who_listens_goes_on(stack: ExitStack) -> None:
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = listening.getsockname()[1]

    cut_connections(port)

    stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
