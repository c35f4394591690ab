"""
`opencode serve` 1.18 without a process: what the adapter needs of its HTTP interface, with the faults it can have.

It is a transport of httpx, feed and all, so a test needs no socket and no real time:

    fake = FakeOpenCode()
    async with OpenCode.at(Address("http://opencode"), clock, fake) as agent:
        fake.scripts["hello"] = (Say("Hello!"),)
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import httpx
from anyio.lowlevel import checkpoint
from attrs import define, field

from tests.fakes.acts import Act, Say
from tests.fakes.opencode_sessions import PROJECT, VERSION, Backstage, FakeSession, Json
from tests.fakes.opencode_turns import play

_TRUE = True
_LETTERS = "0A9cZEcwE1dVpX"
_PAGE = b"<!doctype html><html><head><title>OpenCode</title></head><body></body></html>"
_BROKEN = b'data: {"directory":"/w","payload":{"type":"message.part.delta","properties":{\n\n'

Feed: TypeAlias = Literal["on", "silent", "off"]
Idle: TypeAlias = Literal["once", "twice", "early", "late", "never"]


@define
class Faults:
    """What can be wrong. All of it may be changed at any time."""

    down: bool = False
    """Nobody can connect; feeds that are open are not touched (see `FakeOpenCode.cut`)."""
    feed: Feed = "on"
    """A silent feed opens and never says a word; one that is off is refused."""
    idle: Idle = "once"
    """How the idle of a turn that worked comes; never also leaves out what follows it."""
    answers: dict[str, int | Literal["html"]] = field(factory=dict)
    """What is answered in place of the right thing, by the last part of the path: a status, or the web page."""
    prompts: Literal["work", "vanish", "error"] = "work"
    """A prompt is worked on, taken without anything coming of it, or followed by an error and nothing else."""
    aborts: Literal["work", "vanish"] = "work"
    """An abort is done, or taken without anything coming of it."""
    hangs: bool = False
    """Calls are taken and never answered."""
    mute: str = ""
    """Calls whose path ends so are done, and never answered."""
    malformed: bool = False
    """Each event comes behind one that is broken off."""


class _Stream(httpx.AsyncByteStream):
    """One open feed."""

    def __init__(self, closed: Callable[[_Stream], None]) -> None:
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._closed = closed

    def put(self, chunk: bytes | Exception | None) -> None:
        """Send bytes; None ends the feed, an exception breaks it."""
        self._queue.put_nowait(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._queue.get()) is not None:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def aclose(self) -> None:
        """Be closed by the reader."""
        self._closed(self)


@define(eq=False)
class FakeOpenCode(httpx.AsyncBaseTransport):
    """The server. `scripts` says what is done for a prompt's text, another text is echoed."""

    directory: str = "/workspace/main"
    password: str | None = None
    scripts: dict[str, tuple[Act, ...]] = field(factory=dict)
    faults: Faults = field(factory=Faults)
    sessions: dict[str, FakeSession] = field(factory=dict)
    calls: list[str] = field(factory=list)
    """What was asked of it: `POST /session`."""
    disposed: list[str] = field(factory=list)
    """Directories whose instance was freed."""
    pause: Callable[[], Awaitable[None]] = checkpoint
    """What passes between two words of an answer."""
    _feeds: list[_Stream] = field(factory=list, init=False)
    _listeners: list[Callable[[Json], None]] = field(factory=list, init=False)
    _asked: dict[str, tuple[str, Json, asyncio.Future[Json]]] = field(factory=dict, init=False)
    _count: itertools.count[int] = field(factory=lambda: itertools.count(0x2030_0000_0000), init=False)
    _seq: itertools.count[int] = field(factory=itertools.count, init=False)
    _time: itertools.count[int] = field(factory=lambda: itertools.count(1_795_346_623_000), init=False)
    _stage: Backstage = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._stage = Backstage(
            tell=self._say,
            record=self._record,
            new_id=self._new_id,
            now=lambda: next(self._time),
            ask=self._list,
            play=play,
            adopt=self._adopt,
            idle=lambda: self.faults.idle,
            pause=lambda: self.pause(),  # noqa: PLW0108 - it may be another one later
        )

    # Driven by tests

    @property
    def feeds(self) -> int:
        """How many feeds are open."""
        return len(self._feeds)

    def cut(self, error: Exception | None = None) -> None:
        """Cut all feeds: they end, or break with an error."""
        feeds, self._feeds = self._feeds, []
        for feed in feeds:
            feed.put(error)

    async def restart(self) -> None:
        """Forget what is in flight, all at once, as a restart does, however it comes."""
        dropped = [job for session in self.sessions.values() for job in session.drop()]
        self._asked.clear()
        self.cut(httpx.ReadError("the connection was reset"))
        await asyncio.gather(*dropped, return_exceptions=True)

    def beat(self) -> None:
        """Send a heartbeat."""
        self._send({"payload": {"id": self._new_id("evt"), "type": "server.heartbeat", "properties": {}}})

    def say(self, kind: str, directory: str | None = None, **properties: object) -> None:
        """Put any event on the feed."""
        self._tell(directory or self.directory, kind, dict(properties))

    # The feed

    def _say(self, directory: str, kind: str, properties: Json) -> None:
        self._tell(directory, kind, properties)

    def _tell(self, directory: str, kind: str, properties: Json) -> str:
        event, where = self._new_id("evt"), {"directory": directory, "project": PROJECT}
        self._send({**where, "payload": {"id": event, "type": kind, "properties": properties}})
        return event

    def _record(self, directory: str, kind: str, properties: Json) -> None:
        event, where = self._tell(directory, kind, properties), {"directory": directory, "project": PROJECT}
        sync = {"id": event, "type": f"{kind}.1", "seq": next(self._seq), "aggregateID": properties["sessionID"]}
        self._send({**where, "payload": {"type": "sync", "syncEvent": {**sync, "data": properties}, "id": event}})

    def listen(self, listener: Callable[[Json], None]) -> None:
        """Have a test hear each event, as it is."""
        self._listeners.append(listener)

    def _send(self, event: Json) -> None:
        for listener in self._listeners:
            listener(event)
        frame = b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
        for feed in self._feeds:
            feed.put(_BROKEN + frame if self.faults.malformed else frame)

    def _open_feed(self) -> httpx.Response:
        feed = _Stream(lambda closed: self._feeds.remove(closed) if closed in self._feeds else None)
        if self.faults.feed == "on":
            connected = {"payload": {"id": self._new_id("evt"), "type": "server.connected", "properties": {}}}
            self._feeds.append(feed)
            feed.put(b"data: " + json.dumps(connected, separators=(",", ":")).encode() + b"\n\n")
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=feed)

    # What sessions need

    def _new_id(self, kind: str) -> str:
        return f"{kind}_{next(self._count):012x}{_LETTERS}"

    def _list(self, kind: str, asked: Json) -> asyncio.Future[Json]:
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._asked[asked["id"]] = (kind, asked, answer)
        return answer

    def _adopt(self, child: FakeSession) -> None:
        self.sessions[child.id] = child

    # Requests

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        path = request.url.path
        self.calls.append(f"{request.method} {path}")
        body = await request.aread()
        await checkpoint()
        if self.faults.down or (path == "/global/event" and self.faults.feed == "off"):
            raise httpx.ConnectError("connection refused", request=request)
        if self.faults.hangs:
            await asyncio.get_running_loop().create_future()
        if not self._knows(request):
            return httpx.Response(401, headers={"www-authenticate": 'Basic realm="Secure Area"'})
        if (instead := self.faults.answers.get(path.rsplit("/", 1)[-1])) is not None:
            return _instead(instead)
        directory = request.url.params.get("directory", self.directory)
        answer = await self._route(request, path.strip("/").split("/"), directory, json.loads(body) if body else {})
        if self.faults.mute and path.endswith(self.faults.mute):
            await asyncio.get_running_loop().create_future()
        return answer

    def _knows(self, request: httpx.Request) -> bool:
        if self.password is None:
            return True
        wanted = base64.b64encode(f"opencode:{self.password}".encode()).decode()
        given: str | None = request.headers.get("authorization")
        return given == f"Basic {wanted}"

    async def _route(  # noqa: C901, PLR0911 - one line for each path
        self, request: httpx.Request, path: list[str], directory: str, body: Json
    ) -> httpx.Response:
        match [request.method, *path]:
            case ["GET", "global", "health"]:
                return _json({"healthy": True, "version": VERSION})
            case ["GET", "global", "event"]:
                return self._open_feed()
            case ["GET", "path"]:
                return _json({"directory": directory, "worktree": "/", "home": "/home"})
            case ["POST", "instance", "dispose"]:
                self.disposed.append(directory)
                return _json(_TRUE)
            case ["POST", "session"]:
                return self._create(body, directory)
            case ["GET", "session", "status"]:
                busy = {session.id: {"type": "busy"} for session in self._within(directory) if session.busy}
                return _json(busy)
            case ["POST", "session", name, "abort"]:
                if self.faults.aborts == "work":
                    await self._abort(name)
                return _json(_TRUE)
            case [_, "session", name, *rest]:
                return self._route_session(request, name, rest, body)
            case ["GET", "permission" | "question" as kind]:
                return _json(
                    [asked for is_, asked, _ in self._asked.values() if self._lists(asked, is_, kind, directory)]
                )
            case ["POST", "permission" | "question" as kind, name, "reply" | "reject" as verb]:
                return self._reply(kind, name, {} if verb == "reject" else body, directory)
        return _instead("html")

    def _route_session(  # noqa: PLR0911 - one line for each path
        self, request: httpx.Request, name: str, rest: list[str], body: Json
    ) -> httpx.Response:
        session = self.sessions.get(name)
        if session is None:
            return _missing(f"Session not found: {name}")
        match [request.method, *rest]:
            case ["GET"]:
                return _json(session.json)
            case ["DELETE"]:
                del self.sessions[name]
                return _json(_TRUE)
            case ["GET", "children"]:
                return _json([child.json for child in session.children])
            case ["GET", "diff"]:
                return _json(session.diffs.get(request.url.params.get("messageID", ""), []))
            case ["POST", "prompt_async"]:
                return self._prompt(session, body)
            case ["GET", "message"]:
                return _page(session, request.url.params)
            case ["GET", "message", message]:
                found = session.find(message)
                return _missing(f"Message not found: {message}") if found is None else _json(found.json)
        return _instead("html")

    def _within(self, directory: str) -> list[FakeSession]:
        return [session for session in self.sessions.values() if session.directory == directory]

    def _create(self, body: Json, directory: str) -> httpx.Response:
        session = FakeSession(self._stage, self._new_id("ses"), directory, body.get("title", ""))
        self.sessions[session.id] = session
        session.record("session.created", info=session.json)
        return _json(session.json)

    def _prompt(self, session: FakeSession, body: Json) -> httpx.Response:
        message = body.get("messageID") or self._new_id("msg")
        if not message.startswith("msg"):
            refused = f'Expected a string starting with "msg", got "{message}"\n  at ["messageID"]'
            return _json({"name": "BadRequest", "data": {"message": refused, "kind": "Payload"}}, 400)
        text = "\n".join(part["text"] for part in body["parts"] if part["type"] == "text")
        if self.faults.prompts == "work":
            session.prompt(message, body["parts"], self.scripts.get(text, (Say(text),)))
        elif self.faults.prompts == "error":
            error = {"name": "UnknownError", "data": {"message": "Agent not found"}}
            session.say("session.error", error=error)
            session.say("session.error", error=error)
        return httpx.Response(204)

    async def _abort(self, name: str) -> None:
        session = self.sessions.get(name)
        if session is not None:
            await session.abort()
            return
        self.say("session.status", sessionID=name, status={"type": "idle"})
        self.say("session.idle", sessionID=name)

    def _lists(self, asked: Json, is_: str, kind: str, directory: str) -> bool:
        """Whether a list of one kind shows it: nowhere but in its session's own directory."""
        return is_ == kind and self.sessions[asked["sessionID"]].directory == directory

    def _reply(self, kind: str, name: str, body: Json, directory: str) -> httpx.Response:
        is_, asked, answer = self._asked.get(name, ("", {}, None))
        if answer is None or not self._lists(asked, is_, kind, directory):
            error = "PermissionNotFoundError" if kind == "permission" else "QuestionNotFoundError"
            return _json({"_tag": error, "requestID": name, "message": f"{kind} not found"}, 404)
        del self._asked[name]
        session = self.sessions[asked["sessionID"]]
        verb = "replied" if body else "rejected"
        told = {"reply": body["reply"]} if kind == "permission" else {"answers": body["answers"]} if body else {}
        session.say(f"{kind}.{verb}", requestID=name, **told)
        if not answer.done():
            answer.set_result(body)
        return _json(_TRUE)


def _json(answer: object, status: int = 200, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, headers=headers, json=answer)


def _missing(message: str) -> httpx.Response:
    return _json({"name": "NotFoundError", "data": {"message": message}}, 404)


def _instead(answer: int | Literal["html"]) -> httpx.Response:
    if answer == "html":
        return httpx.Response(200, headers={"content-type": "text/html"}, content=_PAGE)
    error = {"name": "UnknownError", "data": {"message": "Unexpected server error.", "ref": "err_1"}}
    return _json(error, answer)


def _page(session: FakeSession, query: Mapping[str, Any]) -> httpx.Response:
    """Give the last messages before a cursor, oldest first; a further cursor if there are older ones."""
    messages: Sequence[Json] = [message.json for message in session.messages]
    end = int(query.get("before") or len(messages))
    start = max(0, end - int(query.get("limit") or len(messages)))
    return _json(messages[start:end], headers={"x-next-cursor": str(start)} if start else None)
