"""
What stands before the routes: HTTP as browsers, proxies and caches know it.

Everything here is settled by a request's headers before its route is looked for, and told to the answer as its terms;
nothing looks at an answer on its way out, but for HEAD.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from attrs import define, field, frozen
from litestar import Litestar
from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

from .encode import to_json
from .errors import Fault, HostNotAllowed, MethodNotFound, OriginNotAllowed
from .reply import A2A_JSON, JSON, Content, Headers, Terms, piece, settle
from .routes import all_methods, methods_of
from .watch import note_refusal

ANYONE: Final = "*"

_EXPOSED: Final = (
    b"A2A-Extensions, X-A2A-Extensions, A2A-Version, Allow, ETag, Location, Retry-After, Vary, WWW-Authenticate, "
    b"X-Request-Id"
)
"""What a page may read of an answer, besides the few headers that browsers show anyway."""
_TAKEN: Final = (
    b"Authorization, Content-Type, A2A-Version, A2A-Extensions, X-A2A-Extensions, Last-Event-ID, If-None-Match, "
    b"Cache-Control, X-Request-Id, traceparent, tracestate"
)
"""What a page may send besides the few headers that browsers send anyway."""
_KNOWN_FOR: Final = b"7200"
"""Seconds for which a browser need not ask again; Chromium takes no more."""
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_VARY: Final = (b"vary", b"Accept-Encoding, Origin")
_OLD: Final = "/v1/"
_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_LONG: Final = 256


@frozen
class Manners:
    """How the operator wants HTTP to be spoken."""

    origins: Collection[str] = ()
    """Origins whose pages may call, besides the service's own; `*` for all."""
    hosts: Collection[str] = ()
    """Names by which the service may be called, exact or `*.suffix`; none for all."""
    compressed_from: int = 8192
    """Bytes of body from which on it is sent compressed to who takes that."""


@define(eq=False)
class Front:
    """The application with its manners."""

    app: Litestar
    inner: ASGIApp
    manners: Manners
    public_url: str

    _origins: frozenset[bytes] = field(init=False)
    _hosts: _Hosts = field(init=False)
    _plain: Mapping[bool, Terms] = field(init=False)
    """The terms for who is no browser: by whether answers may be compressed."""

    def __attrs_post_init__(self) -> None:
        self._origins = frozenset(map(_origin, (self.public_url, *self.manners.origins)))
        self._hosts = _Hosts.of(self.manners.hosts)
        self._plain = {takes: self._terms(b"", takes=takes) for takes in (False, True)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != ScopeType.HTTP:
            await self.inner(scope, receive, send)
            return
        origin = host = coding = b""
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                coding = value
            elif name == b"host":
                host = value
            elif name == b"origin":
                origin = value
        takes = takes_gzip(coding) if coding else False
        settle(scope, self._terms(origin, takes=takes) if origin else self._plain[takes])
        error = self._refused(origin, host)
        if error is not None:
            fault = Fault.of(error)
            note_refusal(fault)
            await _told(refusal(scope["path"], fault), scope, receive, send)
        elif scope["method"] == HttpMethod.HEAD:
            await self._look(scope, receive, send)
        elif scope["method"] == HttpMethod.OPTIONS:
            await self._options(scope, receive, send)
        else:
            await self.inner(scope, receive, send)

    def _refused(self, origin: bytes, host: bytes) -> Exception | None:
        if not self._hosts.allow(host):
            return HostNotAllowed(
                "the service is not called by this Host; the operator names those in A2A_ALLOWED_HOSTS"
            )
        if origin and not self._allows(origin):
            return OriginNotAllowed(
                "pages of this Origin may not call; the operator allows some by A2A_ALLOWED_ORIGINS"
            )
        return None

    def _allows(self, origin: bytes) -> bool:
        return origin in self._origins or ANYONE.encode() in self._origins

    def _terms(self, origin: bytes, *, takes: bool) -> Terms:
        allowed: Headers = ()
        if origin and self._allows(origin):
            named = origin if origin in self._origins else ANYONE.encode()
            allowed = ((b"access-control-allow-origin", named), (b"access-control-expose-headers", _EXPOSED))
        return Terms((_NOSNIFF, _VARY, *allowed), self.manners.compressed_from if takes else None)

    async def _look(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer HEAD as GET would be, without its body (RFC 9110, 9.3.2); a stream is over before it begins."""
        scope["method"] = HttpMethod.GET
        looking = _Looking(receive, send)
        await self.inner(scope, looking.receive, looking.send)

    async def _options(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Say what a path takes, also to a browser that asks before it calls (Fetch, 4.8)."""
        methods = all_methods(self.app) if scope["path"] == "*" else methods_of(self.app, scope["path"])
        if not methods:
            await refusal(scope["path"], Fault.of(MethodNotFound("there is nothing at this path")))(
                scope, receive, send
            )
            return
        allowed = ", ".join(methods).encode()
        headers: list[tuple[bytes, bytes]] = [(b"allow", allowed)]
        names = {name for name, _ in scope["headers"]}
        if {b"origin", b"access-control-request-method"} <= names:
            headers += [
                (b"access-control-allow-methods", allowed),
                (b"access-control-allow-headers", _TAKEN),
                (b"access-control-max-age", _KNOWN_FOR),
            ]
        await Content(b"", status=HTTPStatus.NO_CONTENT, headers=tuple(headers))(scope, receive, send)


async def _told(content: Content, scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Tell it; to HEAD without its body."""
    if scope["method"] == HttpMethod.HEAD:
        looking = _Looking(receive, send)
        receive, send = looking.receive, looking.send
    await content(scope, receive, send)


@define(eq=False)
class _Looking:
    """Somebody who wants to see the headers only, and has left when they are there."""

    _receive: Receive
    _send: Send
    _seen: bool = field(default=False, init=False)

    async def receive(self) -> ReceiveMessage:
        """Hear them, or that they have left."""
        if self._seen:
            return {"type": "http.disconnect"}
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Tell them the headers."""
        if message["type"] == "http.response.start":
            self._seen = True
            await self._send(message)
            await self._send(piece(b"", more=False))


def refusal(path: str, fault: Fault) -> Content:
    """
    Tell an error as google.rpc.Status (A2A 1.0, 11.6).

    Clients of 0.3 look for the members of JSON-RPC's error object.
    """
    body, media_type = (fault.rpc, JSON) if path.startswith(_OLD) else (fault.status, A2A_JSON)
    return Content(to_json(body), media_type, fault.row.http, fault.headers)


@lru_cache(256)
def takes_gzip(accepted: bytes) -> bool:
    """Say whether `Accept-Encoding` has gzip (RFC 9110, 12.5.3): by its name, else by `*`; a weight of 0 is a no."""
    if len(accepted) > _LONG:  # nobody needs that many, and the answers to all are kept
        return False
    weights = dict(_weighed(one) for one in accepted.lower().split(b","))
    return weights.get(b"gzip", weights.get(b"x-gzip", weights.get(b"*", 0.0))) > 0


def _weighed(coding: bytes) -> tuple[bytes, float]:
    name, *parameters = (part.strip() for part in coding.split(b";"))
    for parameter in parameters:
        if parameter.startswith(b"q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def _origin(url: str) -> bytes:
    """Give the origin of a URL as browsers write it (RFC 6454, 6.2)."""
    if url == ANYONE:
        return url.encode()
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}".encode("latin-1", "replace")


@frozen
class _Hosts:
    """The names by which the service may be called."""

    exact: frozenset[bytes]
    suffixes: tuple[bytes, ...]

    @classmethod
    def of(cls, named: Iterable[str]) -> _Hosts:
        """Know these."""
        names = [name.lower().encode("latin-1", "replace") for name in named]
        suffixes = tuple(name[1:] for name in names if name.startswith(b"*."))
        return cls(frozenset(name for name in names if not name.startswith(b"*")), suffixes)

    def allow(self, host: bytes) -> bool:
        """Say whether this is one of them, whatever the port unless one with a port was named."""
        if not (self.exact or self.suffixes):
            return True
        host = host.lower()
        name, colon, port = host.rpartition(b":")
        bare = name if colon and port.isdigit() else host
        return host in self.exact or bare in self.exact or bare.endswith(self.suffixes)
