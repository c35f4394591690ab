"""
A server under test with a fake OpenCode of its own, and what it uses of the machine.

Of its own, because a feed carries every session's events to every reader: with one fake for both, each server
would pay for the other's turns.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

from ops.benchmark.load import A2A, Relay, Target, Wire
from ops.benchmark.store import Store

ROOT: Final = Path(__file__).parents[2]
DEFAULT_SERVER: Final = (sys.executable, "-m", "opencode_a2a_server.app.cli", "serve")
_READY_WITHIN: Final = 30.0
_GRACE: Final = 2.0


class NotReady(Exception):
    """A program did not begin to serve."""


class Stand:
    """What the measures see: where to send requests, and the meters."""

    def __init__(
        self, target: Target, fake: int, server: psutil.Process, store: Store | None = None, admin: int | None = None
    ) -> None:
        self.target = target
        self.store = store
        self.admin = admin
        """The port of its probes, if it has any."""
        self._fake = fake
        self._server = server

    def cpu(self) -> float:
        """The processor seconds used so far by the server's whole process tree, user and system, all threads."""
        return sum(map(_cpu, self._tree()))

    def rss(self) -> int:
        """The resident bytes of the server's whole process tree."""
        return sum(one.memory_info().rss for one in self._tree())

    async def written(self) -> int:
        """The bytes that the server's store has given to the disk so far."""
        return 0 if self.store is None else await self.store.written(self._tree())

    async def finish_turns(self) -> None:
        """Let OpenCode end all its turns."""
        wire = await Wire.connect(self._fake)
        await wire.ask(b"POST /benchmark/finish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
        wire.close()

    def _tree(self) -> list[psutil.Process]:
        return [self._server, *self._server.children(recursive=True)]


def _cpu(one: psutil.Process) -> float:
    # psutil counts in ticks of 10 ms, too coarse for what a relay uses; Linux has a clock for each process, with
    # nanoseconds of all its threads, the ended ones included. Its number: MAKE_PROCESS_CPUCLOCK(pid, SCHED).
    with contextlib.suppress(OSError):
        return time.clock_gettime((~one.pid << 3) | 2)

    times = one.cpu_times()
    return float(times.user + times.system)


@contextlib.asynccontextmanager
async def relay_stand(home: Path) -> AsyncIterator[Stand]:
    """The relay under Granian, with the settings our own server uses."""
    async with _fake_opencode(home, "relay") as fake:
        port = _free_port()
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--workers", "1", "--loop", "auto"]
        command += ["--log-level", "warning", "--port", str(port), "ops.benchmark.relay:app"]
        env = {"OPENCODE_BASE_URL": f"http://127.0.0.1:{fake}"}
        with _running(command, env=env, cwd=ROOT, log=home / "relay.log") as server:
            target = Relay(port)
            await _ready(server, port, target.card, home / "relay.log")
            yield Stand(target, fake, server)


@contextlib.asynccontextmanager
async def our_stand(home: Path, command: Sequence[str], store: Store, token: str | None = None) -> AsyncIterator[Stand]:
    """Our server with a store of its own."""
    async with _fake_opencode(home, "ours") as fake:
        port, admin = _free_port(), _free_port()
        token = token or secrets.token_urlsafe(16)
        env = {
            "OPENCODE_BASE_URL": f"http://127.0.0.1:{fake}",
            "OPENCODE_DIRECTORY": str(home),
            "A2A_HOST": "127.0.0.1",
            "A2A_PORT": str(port),
            "A2A_ADMIN_PORT": str(admin),
            "A2A_BEARER_TOKEN": token,
            "A2A_TASK_STORE_BACKEND": "database",
            "A2A_TASK_STORE_DATABASE_URL": store.url,
            "A2A_LOG_LEVEL": "WARNING",
        }
        with _running(command, env=env, cwd=home, log=home / "ours.log") as server:
            target = A2A(port, token)
            await _ready(server, port, target.card, home / "ours.log")
            yield Stand(target, fake, server, store, admin)


@contextlib.asynccontextmanager
async def _fake_opencode(home: Path, name: str) -> AsyncIterator[int]:
    port = _free_port()
    command = [sys.executable, "-m", "ops.benchmark.fake_opencode", "--port", str(port), "--directory", str(home)]
    log = home / f"opencode-of-{name}.log"
    with _running(command, env={}, cwd=ROOT, log=log) as fake:
        await _ready(fake, port, "/global/health", log)
        yield port


@contextlib.contextmanager
def _running(command: Sequence[str], *, env: dict[str, str], cwd: Path, log: Path) -> Iterator[psutil.Process]:
    """Run a program in a session of its own, so that Ctrl-C reaches it through us only, and end all it started."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            command,
            env={**os.environ, **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    tree = psutil.Process(started.pid)
    try:
        yield tree
    finally:
        _end(tree)
        started.wait(_GRACE)


def _end(root: psutil.Process) -> None:
    """End a process tree. The tree is read first: a child whose parent is gone cannot be found any more."""
    with contextlib.suppress(psutil.NoSuchProcess):
        tree = [root, *root.children(recursive=True)]
        root.terminate()
        _, alive = psutil.wait_procs(tree, timeout=_GRACE)
        for one in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


async def _ready(server: psutil.Process, port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        with contextlib.suppress(OSError, TimeoutError):
            wire = await Wire.connect(port)
            async with asyncio.timeout(2):
                reply = await wire.ask(request)
            wire.close()
            if reply.status == HTTPStatus.OK:
                return
        await asyncio.sleep(0.05)

    raise NotReady(f"{path} on port {port} never answered 200; the program said:\n{_last_words(log)}")


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
