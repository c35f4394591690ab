"""
The application as it is watched: around all of it, so that what no route takes is seen, too.

What is said, the bodies, is logged only if the operator wants that, at the level DEBUG and as far as he wants. Of
methods that bear secrets, or answers somebody gives, no body is: nor of a request that is none we know.
"""

from __future__ import annotations

import logging
from typing import Final

from attrs import define, field, frozen
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

from opencode_a2a_server.app.ports.tracer import Fact

from .watch import UNKNOWN, Seen, Watch, operation_at

_log = logging.getLogger(__name__)

_SECRETIVE: Final = ("opencode.", "a2a.")
_PUSH: Final = "PushNotificationConfig"
_WHOLE: Final = 1 << 20
"""Bytes of a request that are kept for the log, if it is to have all: no request has more unless the operator says so."""


@frozen
class Payloads:
    """How much of what is said is logged."""

    limit: int = 0
    """Bytes of a body; 0 is all."""

    def cut(self, body: bytes) -> str:
        """Give as much as may be logged, and say how much it was."""
        if not self.limit or len(body) <= self.limit:
            return body.decode(errors="replace")
        return f"{body[: self.limit].decode(errors='replace')}… ({len(body)} bytes)"


@define(eq=False)
class Watched:
    """An application, and who hears of its requests."""

    inner: ASGIApp
    watch: Watch
    payloads: Payloads | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered."""
        if scope["type"] != ScopeType.HTTP:
            await self.inner(scope, receive, send)
            return
        binding = "jsonrpc" if scope["path"] == "/" else "http"
        operation = operation_at(scope["method"], scope["path"])
        with self.watch.request(scope["headers"], binding, operation) as seen:
            if self.payloads is None or not _log.isEnabledFor(logging.DEBUG):
                await self.inner(scope, receive, _Answer(self.watch, seen, send))
                return
            _read_plainly(scope)
            told = _Told(self.payloads, seen, receive)
            await self.inner(scope, told.receive, _Answer(self.watch, seen, send, told))


@define(eq=False)
class _Answer:
    """The way out; callable as ASGI's `send`."""

    watch: Watch
    seen: Seen
    send: Send
    told: _Told | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.seen.answered = self.watch.clock.monotonic()
            self.seen.span.tell(Fact.STATUS, message["status"])
            message["headers"] = [*message["headers"], (b"x-request-id", self.seen.request_id.encode())]
        if self.told is not None:
            self.told.note(message)
        await self.send(message)


@define(eq=False)
class _Told:
    """What is said both ways, on its way to the log."""

    payloads: Payloads
    seen: Seen
    _receive: Receive
    _asked: bytearray = field(factory=bytearray, init=False)
    _logged: bool = field(default=False, init=False)

    async def receive(self) -> ReceiveMessage:
        """Hear the client, and keep what it says until it is known what it is about."""
        message = await self._receive()
        if message["type"] == "http.request" and len(self._asked) < _WHOLE:
            self._asked += message["body"]
        return message

    def note(self, message: Message) -> None:
        """Log what the client said, then what it is answered, piece by piece."""
        if not self._logged:
            self._logged = True
            _log.debug("request %s: %s", self.seen.operation, self._shown(bytes(self._asked)))
            self._asked.clear()
        if message["type"] == "http.response.body" and message["body"]:
            _log.debug("answer to %s: %s", self.seen.operation, self._shown(message["body"]))

    def _shown(self, body: bytes) -> str:
        operation = self.seen.operation
        if operation == UNKNOWN or operation.startswith(_SECRETIVE) or _PUSH in operation:
            return f"({len(body)} bytes, not shown)"
        return self.payloads.cut(body)


def _read_plainly(scope: HTTPScope) -> None:
    """Have the answer not compressed: nobody could read it."""
    scope["headers"] = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
