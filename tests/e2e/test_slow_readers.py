"""Clients that have stopped reading, a hundred of them: nobody else notices, neither at work nor at the end."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.e2e.flood import MEGABYTES
from tests.e2e.service import RunningService
from tests.e2e.until import until

CLIENTS = 100
DRAIN_SECONDS = 1
MEMORY = 3 * 1024
"""Kilobytes that each may cost: what the server has of one read on its way to it, whatever there is to tell."""


@pytest.fixture
def service() -> Iterator[RunningService]:
    settings = {
        "A2A_RUNTIME": "tests.e2e.flood:factory",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "A2A_DRAIN_SECONDS": str(DRAIN_SECONDS),
    }
    with RunningService(settings) as service:
        yield service


def subscribed(service: RunningService, task_id: str) -> socket.socket:
    """Give a client that asks for a stream and reads nothing of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", service.port))
    headers = "".join(f"{name}: {value}\r\n" for name, value in service.headers.items())
    asked = f"POST /tasks/{task_id}:subscribe HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n{headers}\r\n"
    client.sendall(asked.encode())
    return client


def memory_of(service: RunningService) -> int:
    """Give the kilobytes that its worker has."""
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    statuses = [Path(f"/proc/{child}/status").read_text() for child in children]
    return sum(int(status.partition("VmRSS:")[2].split()[0]) for status in statuses)


def told(client: httpx.Client, task_id: str) -> int:
    task = client.get(f"/tasks/{task_id}", params={"historyLength": 0}).json()
    return sum(len(part["text"]) for artifact in task.get("artifacts", ()) for part in artifact["parts"])


def begun(client: httpx.Client) -> str:
    """Begin a task that has much to tell; gives its id."""
    said = {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "go"}]}
    sent = client.post("/message:send", json={"message": said, "configuration": {"returnImmediately": True}})
    return str(sent.json()["task"]["id"])


def test_a_hundred_that_stopped_reading_keep_nobody_waiting_and_cost_little(service: RunningService) -> None:
    with httpx.Client(base_url=service.url, headers=service.headers, timeout=20) as client, ExitStack() as stack:
        task_id = begun(client)
        for _ in range(CLIENTS):
            stack.enter_context(subscribed(service, task_id))
        before = memory_of(service)

        until(lambda: told(client, task_id) == MEGABYTES * 1_000_000, within=60, what="all that is to be told")
        began = time.monotonic()
        assert client.get("/health").is_success
        answered = time.monotonic() - began
        grown = memory_of(service) - before
        began = time.monotonic()
        status = service.terminate()
        ended = time.monotonic() - began

    assert answered < 2
    assert grown < CLIENTS * MEMORY + 10 * MEGABYTES * 1024
    assert status == 0
    assert ended < DRAIN_SECONDS + 4, service.log
    assert "refused to gracefully stop" not in service.log, service.log


def test_a_hundred_that_are_told_a_large_task_share_it(service: RunningService) -> None:
    with httpx.Client(base_url=service.url, headers=service.headers, timeout=20) as client, ExitStack() as stack:
        task_id = begun(client)
        until(lambda: told(client, task_id) == MEGABYTES * 1_000_000, within=60, what="all that is to be told")
        before = memory_of(service)

        readers = [stack.enter_context(subscribed(service, task_id)) for _ in range(CLIENTS)]
        for reader in readers:
            reader.settimeout(20)
            assert reader.recv(64)  # and no more of it
        assert client.get("/health").is_success
        grown = memory_of(service) - before
        assert service.terminate() == 0

    assert grown < CLIENTS * 256 + 10 * MEGABYTES * 1024
    assert "refused to gracefully stop" not in service.log, service.log
