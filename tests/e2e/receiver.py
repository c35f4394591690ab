"""A receiver of push notifications, on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


class Receiver:
    """Takes notifications, or answers `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.attempts = 0
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Answer a notification."""
        self.attempts += 1
        self.gate.wait(30)
        if self.status == httpx.codes.OK:
            self.got.append((headers, body))
        return self.status

    @property
    def told(self) -> list[dict[str, Any]]:
        """All that was taken."""
        return [json.loads(body) for _, body in self.got]

    @property
    def states(self) -> list[str]:
        """The states of the updates that were taken."""
        return [one["statusUpdate"]["status"]["state"] for one in self.told if "statusUpdate" in one]

    @property
    def tasks(self) -> list[Mapping[str, Any]]:
        """The tasks that were taken: what receivers of 0.3 are told."""
        return [one for one in self.told if one.get("kind") == "task"]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run one."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(receiver.take({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield receiver
        server.shutdown()
