"""The HTTP calls we make to OpenCode, typed. Nothing raw leaves this file."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Self
from urllib.parse import quote, urlencode

import httpx
import msgspec
from attrs import define, field, frozen
from httpx_aiohttp import AiohttpTransport

from opencode_a2a_server.app.ports.tracer import Fact
from opencode_a2a_server.domain.changes import FileChange
from opencode_a2a_server.domain.errors import AgentFault, AgentRefused, InvalidRequest
from opencode_a2a_server.domain.ids import MessageId, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import Interrupt
from opencode_a2a_server.domain.message import Json
from opencode_a2a_server.domain.session import Directory, FoundSession, Session

from . import codec
from .errors import check_answer, reaching
from .joined import Joined
from .watch import Watch

_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_UNKNOWN = (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST)
"""A malformed id gives 400, which is no better than unknown."""
_PAGE = 50
_PAGES = 40
"""Pages of messages read back to find a prompt; a turn with more answers than that is cut at its start."""


@frozen
class Address:
    """Where OpenCode listens and how it knows us. `directory` None leaves it to OpenCode's own."""

    url: str
    username: str = "opencode"
    password: str | None = field(default=None, repr=False)
    directory: str | None = None
    timeout: float = 30.0
    """Seconds for one call, to connect, to send or to be answered."""
    connections: int = 32
    """Calls at once; more wait their turn."""
    heartbeat: float = 10.0
    """Seconds between the feed's signs of life; silence of 2.5 times as long means that it is dead."""


@define(eq=False)
class Client:
    """
    Calls by purpose: control calls share one pool, the event feed has its own, so that neither starves the other.

    Requests go straight to the transports: what httpx's client adds (cookies, redirects, merging of URLs) is nothing
    we use, and costs as much as all the rest of a call. Every method raises what `errors.reaching` and
    `errors.check_answer` say.
    """

    address: Address
    _control: httpx.AsyncBaseTransport
    _feed: httpx.AsyncBaseTransport
    _base: str
    _headers: Mapping[str, str]
    watch: Watch | None = None
    """Who hears of calls, besides the event feed."""
    on_directory: Callable[[str], None] | None = None
    """Hears of each directory that a call names."""
    _joined: Joined = field(factory=Joined, init=False)

    @classmethod
    def to(cls, address: Address, transport: httpx.AsyncBaseTransport | None = None) -> Self:
        """
        Make a client; a transport given takes the place of the network.

        The transport is aiohttp's: httpx's own parses in Python, one event for each HTTP chunk. OpenCode sends each
        event of its feed as a chunk, so that would cost three times what all the rest of a delta's way costs.
        """

        def pool(connections: int) -> httpx.AsyncBaseTransport:
            limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
            # A proxy for the outside must not see what goes over loopback.
            return AiohttpTransport(limits=limits, trust_env=False)

        return cls(
            address,
            transport or pool(address.connections),
            transport or pool(2),
            address.url.rstrip("/"),
            _identity(address),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._control.aclose()
        await self._feed.aclose()

    # Health

    async def version(self) -> str:
        """Give OpenCode's version."""
        health = codec.decode_json(await self.call("GET", "/global/health"))
        version = health.get("version") if isinstance(health, Mapping) else None
        if not isinstance(version, str):
            raise AgentFault("OpenCode's health says no version")
        return version

    # Sessions

    async def own_directory(self) -> Directory:
        """Give the directory in which OpenCode was started."""
        return codec.decode_path(await self.call("GET", "/path"))

    async def create_session(self, title: str, directory: Directory | None = None) -> Session:
        """Create a session, in the configured directory unless another one is named."""
        body: dict[str, Json] = {"title": title} if title else {}
        chosen = directory or self.address.directory
        query = {} if chosen is None else {"directory": chosen}
        return codec.decode_session(await self.call("POST", "/session", query=query, body=body))

    async def session(self, session: SessionId) -> FoundSession | None:
        """Give a session, None if OpenCode does not know it."""
        try:
            return codec.decode_found(await self.call("GET", f"/session/{safe(session)}"))
        except AgentRefused as refused:
            if refused.status in _UNKNOWN:
                return None
            raise

    async def has_session(self, session: SessionId) -> bool:
        """Say whether OpenCode knows the session."""
        return await self._found(f"/session/{safe(session)}")

    async def children(self, session: SessionId) -> Sequence[SessionId]:
        """Name the sessions of the session's sub-agents."""
        return codec.decode_children(await self.call("GET", f"/session/{safe(session)}/children"))

    async def busy(self, session: Session) -> frozenset[SessionId]:
        """Name the sessions at work in the session's directory."""
        return await self._joined.ask(("busy", session.directory), lambda: self._busy(session))

    async def _busy(self, session: Session) -> frozenset[SessionId]:
        return codec.decode_statuses(await self.call("GET", "/session/status", query=_within(session)))

    async def is_in_use(self, directory: Directory) -> bool:
        """Say whether a session works in the directory, or waits for an answer there; this is no use of it."""
        query = {"directory": directory}
        for path in ("/session/status", "/permission", "/question"):
            request = self._request("GET", path, query, None)
            if codec.decode_json((await self._exchange(request, f"GET {path}")).content):
                return True
        return False

    async def dispose(self, directory: Directory) -> None:
        """Have OpenCode free what it keeps of a directory; the next call that names it opens it again."""
        request = self._request("POST", "/instance/dispose", {"directory": directory}, {})
        await self._exchange(request, "POST /instance/dispose")

    async def abort(self, session: SessionId) -> None:
        """Stop what the session does."""
        await self.call("POST", f"/session/{safe(session)}/abort")

    # Messages

    async def prompt(self, session: SessionId, body: Mapping[str, Json]) -> None:
        """Have a prompt admitted."""
        await self.call("POST", f"/session/{safe(session)}/prompt_async", body=body)

    async def changes(self, session: SessionId, prompt: MessageId) -> list[FileChange]:
        """List the files that a turn has changed."""
        path = f"/session/{safe(session)}/diff"
        return codec.decode_changes(await self.call("GET", path, query={"messageID": safe(prompt)}))

    async def has_message(self, session: SessionId, message: MessageId) -> bool:
        """Say whether the session has the message."""
        return await self._found(f"/session/{safe(session)}/message/{safe(message)}")

    async def messages(self, session: SessionId, since: MessageId | None) -> bytes:
        """Give the session's messages as JSON, from `since` on if it can be found, oldest first."""
        path, query, pages = f"/session/{safe(session)}/message", {"limit": str(_PAGE)}, []
        for _ in range(_PAGES):
            response = await self.send("GET", path, query=query)
            page = codec.split_array(response.content)
            pages.append(page)
            before = response.headers.get("x-next-cursor")
            if not before or since is None or any(since.encode() in message[:400] for message in page):
                break
            query = {"limit": str(_PAGE), "before": before}
        return b"[" + b",".join(message for page in reversed(pages) for message in page) + b"]"

    # Interrupts

    async def asked(self, session: Session) -> Sequence[Interrupt]:
        """List the permissions and questions of the session's directory that wait for an answer."""
        return await self._joined.ask(("asked", session.directory), lambda: self._asked(session))

    async def _asked(self, session: Session) -> Sequence[Interrupt]:
        permissions = await self.call("GET", "/permission", query=_within(session))
        questions = await self.call("GET", "/question", query=_within(session))
        return [*codec.decode_permissions(permissions), *codec.decode_questions(questions)]

    async def answer(
        self, session: Session, kind: str, request: RequestId, verb: str, body: Mapping[str, Json]
    ) -> bool:
        """Post an answer; False if OpenCode does not wait for it."""
        try:
            await self.call("POST", f"/{kind}/{safe(request)}/{verb}", query=_within(session), body=body)
        except AgentRefused as refused:
            if refused.status == httpx.codes.NOT_FOUND:
                return False
            raise
        return True

    # The feed

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the event feed of all directories; gives its bytes as they come."""
        silence = 2.5 * self.address.heartbeat
        request = self._request("GET", "/global/event", {}, None, read=silence, accept="text/event-stream")
        with reaching("event feed"):
            response = await self._feed.handle_async_request(request)
            try:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    check_answer(response, "event feed")
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    raise AgentFault("OpenCode has no event feed at /global/event; OpenCode 1.x is needed")
                yield response.aiter_raw()
            finally:
                await response.aclose()

    # The one way out

    async def _found(self, path: str) -> bool:
        try:
            await self.call("GET", path)
        except AgentRefused as refused:
            if refused.status in _UNKNOWN:
                return False
            raise
        return True

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Json] | None = None,
        read: float | None = None,
    ) -> bytes:
        """Make a call; gives the JSON that was answered. What a client named is in no path but by way of `safe`."""
        return (await self.send(method, path, query=query, body=body, read=read)).content

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Json] | None = None,
        read: float | None = None,
    ) -> httpx.Response:
        """Make a call; gives the answer with its headers. `read` is how long to wait for it, if not as long as usual."""
        what = f"{method} {path}"
        if self.on_directory is not None and query and "directory" in query:
            self.on_directory(query["directory"])
        return await self._exchange(self._request(method, path, query or {}, body, read=read), what)

    async def _exchange(self, request: httpx.Request, what: str) -> httpx.Response:
        if self.watch is None:
            return await self._exchanged(request, what)
        with self.watch.call(what) as span:
            request.headers.update(span.headers)
            response = await self._exchanged(request, what)
            span.tell(Fact.STATUS, response.status_code)
        return response

    async def _exchanged(self, request: httpx.Request, what: str) -> httpx.Response:
        with reaching(what):
            response = await self._control.handle_async_request(request)
            try:
                await response.aread()
            finally:
                await response.aclose()
        check_answer(response, what)
        return response

    def _request(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Json] | None,
        *,
        read: float | None = None,
        accept: str = "application/json",
    ) -> httpx.Request:
        url = f"{self._base}{path}" + (f"?{_encoded(tuple(query.items()))}" if query else "")
        # Over loopback, packing costs more than it saves.
        headers = {**self._headers, "accept": accept, "accept-encoding": "identity"}
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = msgspec.json.encode(body)
        timeout = self.address.timeout
        # Waiting for a free connection is our queue, not OpenCode's fault: no bound on it.
        patience = {"connect": timeout, "read": read or timeout, "write": timeout, "pool": None}
        return httpx.Request(method, _url(url), headers=headers, content=content, extensions={"timeout": patience})


@lru_cache(maxsize=64)
def _url(url: str) -> httpx.URL:
    """Take a URL apart; most calls repeat one."""
    return httpx.URL(url)


@lru_cache(maxsize=64)
def _encoded(query: tuple[tuple[str, str], ...]) -> str:
    """Write a query; most calls repeat one."""
    return urlencode(query)


def _identity(address: Address) -> Mapping[str, str]:
    """Make the headers that each request has."""
    if address.password is None:
        return {}
    credentials = base64.b64encode(f"{address.username}:{address.password}".encode()).decode()
    return {"authorization": f"Basic {credentials}"}


def within(client: Client, directory: Directory | None) -> Mapping[str, str]:
    """Name a directory in a query; None is the configured one, if there is one."""
    named = directory if directory is not None else client.address.directory
    return {} if named is None else {"directory": named}


def safe(identifier: str) -> str:
    """
    Let only an identifier into a path: `x/shell?` must not reach another endpoint.

    Raises:
        InvalidRequest: It has characters no identifier of OpenCode's has.

    """
    if _SAFE_ID.fullmatch(identifier) is None:
        raise InvalidRequest(f"{identifier!r} is not an identifier of OpenCode's")
    return quote(identifier, safe="")


def _within(session: Session) -> Mapping[str, str]:
    """Name the directory: lists and replies find nothing without exactly the session's own."""
    return {"directory": session.directory}
