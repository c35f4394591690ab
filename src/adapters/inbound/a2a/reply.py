"""
Answers as ASGI speaks them.

Litestar sends whatever callable a handler gives it; these two say what is needed and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import Final

from attrs import frozen
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Final = b"application/json"
A2A_JSON: Final = b"application/a2a+json"
EVENTS: Final = b"text/event-stream; charset=utf-8"


class Reply(ABC):
    """An answer to a request."""

    @abstractmethod
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""


@frozen
class Content(Reply):
    """An answer that is whole; HEAD gets its headers only."""

    body: bytes
    media_type: bytes = JSON
    status: int = HTTPStatus.OK
    headers: Headers = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send it in one piece."""
        body = b"" if scope.get("method") == "HEAD" else self.body
        await send(start(self.status, *self._entity(), *self.headers))
        await send(piece(body, more=False))

    def _entity(self) -> Headers:
        if self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return ()
        return ((b"content-type", self.media_type), (b"content-length", b"%d" % len(self.body)))


def start(status: int, *headers: tuple[bytes, bytes]) -> HTTPResponseStartEvent:
    """Begin a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def piece(body: bytes, *, more: bool) -> HTTPResponseBodyEvent:
    """Go on with a response, or end it."""
    return {"type": "http.response.body", "body": body, "more_body": more}
