"""
Answers as ASGI speaks them.

Litestar sends whatever callable a handler gives it; these two say what is needed and nothing else. What the request and
the operator settle of every answer, its *terms*, comes with the scope: so no answer has to be looked at again, piece by
piece, on its way out.
"""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import Any, Final, cast

from anyio import to_thread
from attrs import frozen
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Final = b"application/json"
A2A_JSON: Final = b"application/a2a+json"
EVENTS: Final = b"text/event-stream; charset=utf-8"

NO_STORE: Final = (b"cache-control", b"no-store")

_TERMS: Final = "a2a_terms"
_LEVEL: Final = 4
"""Of gzip's 9: for JSON the higher ones take twice the time to save a tenth."""
_AT_ONCE: Final = 64 * 1024
"""Up to here compressing takes less than half a millisecond, and beyond it is a thread's work."""


@frozen
class Terms:
    """What holds for whatever answers a request."""

    headers: Headers = ((b"x-content-type-options", b"nosniff"),)
    compressed_from: int | None = None
    """Bytes of body from which on it is sent compressed, if it is sent whole; None if the client does not take that."""


_NONE: Final = Terms()


def settle(scope: Scope, terms: Terms) -> None:
    """Have the answer follow these terms."""
    cast("dict[str, Any]", scope)[_TERMS] = terms


def terms_of(scope: Scope) -> Terms:
    """Give the terms of the answer to a request."""
    terms: Terms = cast("dict[str, Any]", scope).get(_TERMS, _NONE)
    return terms


class Reply(ABC):
    """An answer to a request."""

    @abstractmethod
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""


@frozen
class Content(Reply):
    """An answer that is whole; it is not to be kept by anybody, unless its headers say so."""

    body: bytes
    media_type: bytes = JSON
    status: int = HTTPStatus.OK
    headers: Headers = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send it in one piece."""
        terms = terms_of(scope)
        least = terms.compressed_from
        if least is not None and len(self.body) >= least:
            body = await _compressed(self.body)
            head = ((b"content-encoding", b"gzip"), *self._entity(body), *map(_weakened, self.headers))
        else:
            body, head = self.body, (*self._entity(self.body), *self.headers)
        await send(start(self.status, *head, *self._kept, *terms.headers))
        await send(piece(body, more=False))

    def head(self, scope: Scope) -> Headers:
        """Give all headers but those of the body, for who sends that by other means."""
        return (*self.headers, *self._kept, *terms_of(scope).headers)

    @property
    def _kept(self) -> Headers:
        return () if any(name == b"cache-control" for name, _ in self.headers) else (NO_STORE,)

    def _entity(self, body: bytes) -> Headers:
        if self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return ()
        return ((b"content-type", self.media_type), (b"content-length", b"%d" % len(body)))


def start(status: int, *headers: tuple[bytes, bytes]) -> HTTPResponseStartEvent:
    """Begin a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def piece(body: bytes, *, more: bool) -> HTTPResponseBodyEvent:
    """Go on with a response, or end it."""
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _compressed(body: bytes) -> bytes:
    if len(body) <= _AT_ONCE:
        return _compress(body)
    return await to_thread.run_sync(_compress, body)


def _compress(body: bytes) -> bytes:
    return gzip.compress(body, _LEVEL, mtime=0)


def _weakened(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Tell a strong ETag as a weak one: other bytes than those it names are sent (RFC 9110, 8.8.1)."""
    name, value = header
    return (name, b"W/" + value) if name == b"etag" and value.startswith(b'"') else header
