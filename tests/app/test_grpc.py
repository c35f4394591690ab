"""The switch of gRPC, and the service with it on."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping

import grpc
import httpx
import pytest
from a2a import types as a2a
from a2a.types import a2a_pb2_grpc

from opencode_a2a_server.app.container import assemble, missing_extras
from opencode_a2a_server.app.settings import Settings, SettingsError, load_settings

pytestmark = pytest.mark.anyio

SETTINGS = {"A2A_BEARER_TOKEN": "secret", "A2A_RUNTIME": "scripted", "A2A_TASK_STORE_BACKEND": "memory"}


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
    return free


def settings(**more: object) -> Settings:
    return load_settings(SETTINGS | {name: str(value) for name, value in more.items()})


async def interfaces(of: Settings) -> list[tuple[str, str, str]]:
    async with assemble(of) as service:
        transport = httpx.ASGITransport(service.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        async with httpx.AsyncClient(transport=transport) as client:
            card = (await client.get("http://agent/.well-known/agent-card.json")).json()
    told = card["supportedInterfaces"]
    return [(one["protocolBinding"], one["protocolVersion"], one["url"]) for one in told]


async def test_it_is_off_unless_it_has_a_port() -> None:
    assert {binding for binding, _, _ in await interfaces(settings())} == {"JSONRPC", "HTTP+JSON"}


async def test_the_card_has_it_after_the_others_of_its_version(port: int) -> None:
    told = await interfaces(settings(A2A_GRPC_PORT=port))

    assert [(binding, version) for binding, version, _ in told] == [
        (binding, version) for version in ("1.0", "0.3") for binding in ("JSONRPC", "HTTP+JSON", "GRPC")
    ]
    assert {url for binding, _, url in told if binding == "GRPC"} == {f"127.0.0.1:{port}"}


async def test_a_message_is_sent_and_answered(port: int) -> None:
    message = a2a.Message(message_id="m", role=a2a.Role.ROLE_USER, parts=[a2a.Part(text="hello there")])
    metadata = (("authorization", "Bearer secret"), ("a2a-version", "1.0"))
    async with (
        assemble(settings(A2A_GRPC_PORT=port)),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = a2a_pb2_grpc.A2AServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        sent = await stub.SendMessage(a2a.SendMessageRequest(message=message), metadata=metadata)

    assert sent.task.status.state == a2a.TaskState.TASK_STATE_COMPLETED
    assert sent.task.artifacts[0].parts[0].text == "hello there"


async def test_a_port_that_is_taken_stops_the_start_and_is_named(port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(SettingsError, match=f"A2A_GRPC_PORT: 127.0.0.1:{port} cannot be listened on"):
            async with assemble(settings(A2A_GRPC_PORT=port)):
                raise AssertionError("it listens where somebody else does")


@pytest.mark.parametrize("missing", ["grpc", "grpc_health"])
def test_without_the_extra_the_remedy_is_named(missing: str) -> None:
    found = {"grpc", "grpc_health"} - {missing}

    (problem,) = missing_extras(settings(A2A_GRPC_PORT=50051), found.__contains__)

    assert "pip install 'opencode-a2a-server[grpc]'" in problem
    assert missing_extras(settings(), found.__contains__) == []
    assert missing_extras(settings(A2A_GRPC_PORT=50051)) == []


@pytest.mark.e2e
def test_nothing_of_it_is_loaded_where_it_is_off() -> None:
    program = (
        "import sys, opencode_a2a_server.app.container; print([name for name in sys.modules if 'a2a.grpc' in name])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("given", "listened", "told"),
    [
        ({}, "", ""),
        ({"A2A_GRPC_PUBLIC_ADDRESS": "agent.example:443"}, "", ""),
        ({"A2A_GRPC_PORT": "5"}, "127.0.0.1:5", "127.0.0.1:5"),
        ({"A2A_GRPC_PORT": "5", "A2A_HOST": "::"}, "[::]:5", "[::]:5"),
        ({"A2A_GRPC_PORT": "5", "A2A_GRPC_HOST": "0.0.0.0"}, "0.0.0.0:5", "0.0.0.0:5"),  # noqa: S104 - not bound
        ({"A2A_GRPC_PORT": "5", "A2A_PUBLIC_URL": "https://agent.example/a"}, "127.0.0.1:5", "agent.example:5"),
        ({"A2A_GRPC_PORT": "5", "A2A_PUBLIC_URL": "http://[::1]:80"}, "127.0.0.1:5", "[::1]:5"),
        ({"A2A_GRPC_PORT": "5", "A2A_GRPC_PUBLIC_ADDRESS": "a.example:443"}, "127.0.0.1:5", "a.example:443"),
        ({"A2A_GRPC_PORT": "5", "A2A_GRPC_PUBLIC_ADDRESS": "[::1]:443"}, "127.0.0.1:5", "[::1]:443"),
    ],
)
def test_where_it_listens_and_where_clients_reach_it(given: Mapping[str, str], listened: str, told: str) -> None:
    loaded = load_settings(given)

    assert (loaded.grpc_address, loaded.grpc_public_address) == (listened, told)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"A2A_GRPC_PORT": "65536"}, "A2A_GRPC_PORT: must be a port"),
        ({"A2A_GRPC_PORT": "8000"}, "A2A_GRPC_PORT: must differ from A2A_PORT"),
        ({"A2A_GRPC_PUBLIC_ADDRESS": "http://agent.example"}, "A2A_GRPC_PUBLIC_ADDRESS: must be host:port"),
        ({"A2A_GRPC_PUBLIC_ADDRESS": "agent.example"}, "A2A_GRPC_PUBLIC_ADDRESS: must be host:port"),
        ({"A2A_GRPC_ADDRESS": "x"}, "did you mean A2A_GRPC_P"),
    ],
)
def test_what_cannot_be_is_refused(given: Mapping[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load_settings(given)
