"""The service as users run it: the installed command, in a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx
from attrs import define, field

from tests.e2e.until import until

BINARY = os.environ.get("OPENCODE_A2A_SERVER_BIN") or str(Path(sys.executable).with_name("opencode-a2a-server"))
"""The command under test: the one of the built wheel if the environment names it, else the one beside this Python."""

START_SECONDS = 120.0
STOP_SECONDS = 60.0
LOG_LINES = 60


@define(eq=False)
class RunningService:
    """One service in front of an OpenCode; a context manager which starts it and takes everything away at the end."""

    settings: Mapping[str, str]
    port: int = field(init=False)
    token: str = field(factory=lambda: secrets.token_urlsafe(16), init=False)
    root: Path = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="service-", ignore_cleanup_errors=True)
        self.root = Path(self._folder.name)
        self.port = free_port()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    _folder: tempfile.TemporaryDirectory[str] = field(init=False)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process, whose children serve."""
        assert self._process is not None
        return self._process.pid

    @property
    def was_killed(self) -> bool:
        """Whether its last life ended as by a crash."""
        return self._process is not None and self._process.poll() == -signal.SIGKILL

    @property
    def headers(self) -> dict[str, str]:
        return {
            "authorization": f"Bearer {self.token}",
            "a2a-version": "1.0",
            "a2a-extensions": "urn:a2a:stream-hints/v1",
        }

    @property
    def environment(self) -> dict[str, str]:
        """What it is started with."""
        return clean_environment() | {
            "A2A_HOST": "127.0.0.1",
            "A2A_PORT": str(self.port),
            "A2A_BEARER_TOKEN": self.token,
            "A2A_LOG_LEVEL": "INFO",
            "A2A_TASK_STORE_DATABASE_URL": f"sqlite+aiosqlite:///{self.root}/tasks.db",
            **self.settings,
        }

    @property
    def log(self) -> str:
        with suppress(FileNotFoundError):
            return "\n".join((self.root / "service.log").read_text(errors="replace").splitlines()[-LOG_LINES:])
        return ""

    def start(self) -> None:
        """Start it on its port and state, and return when it answers."""
        with (self.root / "service.log").open("ab") as log:
            self._process = subprocess.Popen(
                [BINARY, "serve"], env=self.environment, cwd=self.root, stdout=log, stderr=subprocess.STDOUT
            )
        until(self._answers, within=START_SECONDS, what=f"a service that answers; it said:\n{self.log}")

    def terminate(self) -> int:
        """Ask it to end; gives its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it as a crash does, worker and all."""
        assert self._process is not None
        self._signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def pause(self) -> None:
        """Let it do nothing, so that what others tell it waits in its sockets."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after a pause."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        workers = _children(self._process.pid)
        for pid in (self._process.pid, *workers):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"it ended at once:\n{self.log}"
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/.well-known/agent-card.json", trust_env=False).status_code == httpx.codes.OK
        return False

    @contextmanager
    def stream(
        self, path: str, body: Mapping[str, Any] | None = None, *, last_event_id: str | None = None
    ) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        """Open a stream over HTTP+JSON; gives the frames as (id, data)."""
        headers = self.headers | ({} if last_event_id is None else {"last-event-id": last_event_id})
        with (
            httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False) as client,
            client.stream("GET" if body is None else "POST", path, json=body) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise AssertionError(f"{response.status_code}: {response.read().decode()}")
            yield _frames(response)


def clean_environment() -> dict[str, str]:
    """Give this process's environment without settings: nothing of ours leaks in from the outside."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("A2A_", "OPENCODE_"))}


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _frames(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    frame_id = ""
    for line in response.iter_lines():
        if line.startswith("id: "):
            frame_id = line[4:]
        elif line.startswith("data: "):
            yield frame_id, json.loads(line[6:])


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []
