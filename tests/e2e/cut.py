"""A relay in front of OpenCode whose event feed can be cut while all other calls go through."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from attrs import define, field

if TYPE_CHECKING:
    from types import TracebackType

_FEED = b"/global/event"
_PIECE = 65_536


@define(eq=False)
class Relay:
    """The relay, as a context manager; `cut` drops the feed and takes no new one until `mend`."""

    port: int
    _listener: socket.socket = field(init=False)
    _feeds: list[socket.socket] = field(factory=list, init=False)
    _whole: bool = field(default=True, init=False)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.cut()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Drop the feed."""
        self._whole = False
        while self._feeds:
            end(self._feeds.pop())

    def mend(self) -> None:
        """Let the feed through again."""
        self._whole = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            first = client.recv(_PIECE)
            if _FEED in first.split(b"\r\n", 1)[0]:
                if not self._whole:
                    end(client)
                    return
                self._feeds.append(client)
            server = socket.create_connection(("127.0.0.1", self.port))
            server.sendall(first)
            threading.Thread(target=pump, args=(client, server), daemon=True).start()
            pump(server, client)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Hand on what one side says to the other, until one of them ends; then both are."""
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    end(source)
    end(target)


def end(connection: socket.socket) -> None:
    """Close a connection, whoever reads from it now."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
