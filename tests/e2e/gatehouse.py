"""A relay in front of OpenCode that holds back chosen requests, so that a test can kill somebody in the midst of one."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from attrs import define, field

from tests.e2e.cut import end, pump
from tests.e2e.until import until

if TYPE_CHECKING:
    from types import TracebackType

_PIECE = 65_536


@define(eq=False)
class Hold:
    """Requests that are held back: those whose first line fits, if the whole has these bytes in it."""

    line: str
    within: bytes = b""
    arrived: threading.Event = field(factory=threading.Event)
    _decided: threading.Event = field(factory=threading.Event)
    _forward: bool = False

    def fits(self, request: bytes) -> bool:
        """Say whether a request is one of these."""
        line = request.split(b"\r\n", 1)[0].decode()
        return not self._decided.is_set() and re.match(self.line, line) is not None and self.within in request

    def until_arrived(self) -> None:
        """Wait until somebody has sent such a request."""
        until(self.arrived.is_set, within=60, what=f"a request like {self.line}")

    def release(self, *, forward: bool) -> None:
        """Let OpenCode have what was held, or lose it with its connection; later ones go through."""
        self._forward = forward
        self._decided.set()

    def wait(self) -> bool:
        """Wait for what is decided."""
        self.arrived.set()
        self._decided.wait()
        return self._forward


@define(eq=False)
class Gatehouse:
    """The relay, as a context manager. It takes requests one by one, as httpx sends them."""

    port: int
    _listener: socket.socket = field(init=False)
    _holds: list[Hold] = field(factory=list, init=False)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release_all()
        self._listener.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def hold(self, line: str, within: str = "") -> Hold:
        """Hold back requests from now on."""
        hold = Hold(line, within.encode())
        self._holds.append(hold)
        return hold

    def release_all(self, *, forward: bool = False) -> None:
        """Hold nothing back any more."""
        for hold in self._holds:
            hold.release(forward=forward)
        self._holds.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        unread = b""
        try:
            while True:
                request, unread = _whole_request(client, unread)
                hold = next((hold for hold in self._holds if hold.fits(request)), None)
                if hold is not None and not hold.wait():
                    return
                if server is None:
                    server = socket.create_connection(("127.0.0.1", self.port))
                    threading.Thread(target=pump, args=(server, client), daemon=True).start()
                server.sendall(request)
        except (OSError, EOFError):
            pass
        finally:
            for connection in (client, server):
                if connection is not None:
                    end(connection)


def _whole_request(client: socket.socket, unread: bytes) -> tuple[bytes, bytes]:
    """Read one request and what came behind it."""
    while (end := unread.find(b"\r\n\r\n")) < 0:
        unread += _more(client)
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", unread[:end])
    size = end + 4 + (int(length[1]) if length else 0)
    while len(unread) < size:
        unread += _more(client)
    return unread[:size], unread[size:]


def _more(client: socket.socket) -> bytes:
    piece = client.recv(_PIECE)
    if not piece:
        raise EOFError
    return piece
