"""What the suite is run against: the service with its scripted agent, or a server of the SDK; both on loopback."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ops.conformance.suites import HERE, Edition

START_SECONDS = 60.0
STOP_SECONDS = 30.0
SDK = ("a2a-sdk[grpc,http-server]==0.3.26", "uvicorn")
"""What the server of the SDK needs; the last one for A2A 0.3."""

Served = tuple[str, str]
"""Address and token."""


@contextmanager
def service(edition: Edition, bindings: Sequence[str], folder: Path) -> Iterator[Served]:
    """Serve as the edition needs it."""
    port, token = _free_port(), secrets.token_urlsafe(16)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("A2A_", "OPENCODE_"))}
    settings = {
        "A2A_RUNTIME": "scripted",
        "A2A_HOST": "127.0.0.1",
        "A2A_PORT": str(port),
        "A2A_BEARER_TOKEN": token,
        "A2A_TASK_STORE_BACKEND": "memory",
        # The suite's receiver of notifications is on this machine.
        "A2A_PUSH_ALLOWED_HOSTS": "localhost,127.0.0.1",
        **({"A2A_GRPC_PORT": str(_free_port())} if "GRPC" in bindings else {}),
        **edition.settings,
    }
    command = [sys.executable, "-m", "opencode_a2a_server.app.cli", "serve"]
    with _running(command, clean | settings, f"http://127.0.0.1:{port}", folder) as url:
        yield url, token


@contextmanager
def reference(python: Path, folder: Path) -> Iterator[Served]:
    """Serve with the SDK, which asks for no token."""
    ports = [_free_port() for _ in ("JSONRPC", "HTTP+JSON", "GRPC")]
    command = [str(python), str(HERE / "reference.py"), *map(str, ports)]
    with _running(command, os.environ, f"http://127.0.0.1:{ports[0]}", folder) as url:
        yield url, "none"


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str], url: str, folder: Path) -> Iterator[str]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        _await(process, url, folder / "server.log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/.well-known/agent-card.json", timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise SystemExit(f"the server does not answer; it said:\n{log.read_text(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
