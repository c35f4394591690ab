"""
Granian, the server: worker processes, one by default, the application given by object.

Never by import string: Granian would put the working directory, which is the user's project, first on `sys.path`, and
code from there would run in our worker.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from attrs import frozen
from granian import Granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.log import LogLevels

_log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_COLLECT_AFTER = 10_000
"""New objects between two collections of the young; Python's own is 700, for programs of a few thousand objects."""

_READING_SECONDS = 1.0
"""For clients to read what was sent to them before the end."""

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


@frozen
class Listener:
    """Where to listen, and how long a worker may take to end."""

    host: str
    port: int
    patience: float
    """Seconds from SIGTERM to SIGKILL; must exceed what draining takes."""
    workers: int = 1
    certificate: Path | None = None
    """The chain in PEM; with it and its key, TLS is spoken."""
    key: Path | None = None


def run(listener: Listener, load: Callable[[], Asgi]) -> None:
    """
    Serve until SIGTERM or SIGINT. `load` makes the application, in the worker process.

    Raises:
        SystemExit: The worker could not start, or ended by itself.

    """
    server = Granian(
        "opencode-a2a-server",
        address=listener.host,
        port=listener.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=True,
        log_level=LogLevels.warning,
        workers=listener.workers,
        respawn_failed_workers=listener.workers > 1,  # the others serve meanwhile; one that is alone ends the service
        workers_kill_timeout=max(1, round(listener.patience)),
        ssl_cert=listener.certificate,
        ssl_key=listener.key,
        ssl_protocol_min=SSLProtocols.tls12,
    )
    gc.freeze()  # what is loaded is shared with the workers as long as nobody writes to it, as a collection would
    gc.enable()
    server.signal_handler_reload = _pass_on  # type: ignore[method-assign] # Granian's own would end the workers
    server.serve(target_loader=_Loader(load), wrap_loader=False)


def _pass_on(signum: int, _frame: FrameType | None) -> None:
    """Pass a signal on to the workers."""
    for worker in active_children():
        if worker.pid is not None:
            os.kill(worker.pid, signum)


@frozen
class _Loader:
    """What Granian calls in the worker; picklable, for start methods that copy nothing."""

    load: Callable[[], Asgi]

    def __call__(self) -> Asgi:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # till there is something to read again
        end_with_parent()
        return self.load()


def end_with_parent() -> None:
    """Have the kernel send SIGTERM when the main process dies: an orphan would keep the port and its connections."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:  # it died before we asked
            os.kill(os.getpid(), signal.SIGTERM)


def settle_memory() -> None:
    """
    Leave what the start has made out of garbage collection, and collect the rest less often.

    Libraries and their tables are most of the heap and live as long as the process: looking through them again and
    again takes a tenth of the time of short requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


def on_hup(reload: Callable[[], Awaitable[None]]) -> None:
    """On SIGHUP read again what can be read again; the main process passes it on."""
    loop = asyncio.get_running_loop()
    reloading: set[asyncio.Task[None]] = set()

    async def guarded() -> None:
        try:
            await reload()
        except Exception:  # noqa: BLE001 - whatever it was, the service goes on as it is
            _log.exception("reading again broke")

    def begin() -> None:
        job = loop.create_task(guarded(), name="reload")
        reloading.add(job)
        job.add_done_callback(reloading.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)


def on_term(drain: Callable[[], Awaitable[None]], port: int) -> None:
    """
    On SIGTERM drain first, then let the server end.

    Granian alone waits for open streams for ever and leaves nobody time. It handles SIGINT and SIGTERM alike, so we
    take SIGTERM, and pass SIGINT on to it when we are done. It then waits for whoever does not read what was sent, until
    its own main process kills it: so we cut those off.
    """
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    async def drain_and_end() -> None:
        try:
            await drain()
        except Exception:  # noqa: BLE001 - whatever it was, the end goes on
            _log.exception("draining broke; ending all the same")
        os.kill(os.getpid(), signal.SIGINT)
        loop.call_later(_READING_SECONDS, cut_connections, port)

    def begin() -> None:
        if not draining:
            draining.append(loop.create_task(drain_and_end(), name="drain"))

    loop.add_signal_handler(signal.SIGTERM, begin)


def cut_connections(port: int) -> None:
    """Cut the connections that clients have to this process at a port, whoever else knows of them."""
    for each in Path("/dev/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(each.name))) as connection:
            connection.getpeername()  # which a socket that listens has not, and what is none has neither
            if connection.family in (socket.AF_INET, socket.AF_INET6) and connection.getsockname()[1] == port:
                connection.shutdown(socket.SHUT_RDWR)
