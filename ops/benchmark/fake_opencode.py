"""
A fake OpenCode 1.18 which costs little: the part of its HTTP interface which a wrapper needs, on raw asyncio.

One connection class, HTTP/1.1 made by hand, the feed written in large buffers with back-pressure. Turns
without a rate share one player which takes one delta of each in turn, because that is how OpenCode's own
sessions interleave.
"""

import argparse
import asyncio
import contextlib
import signal
from collections import deque
from typing import Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from ops.benchmark.fake_turn import VERSION, Json, Session, Turn, frame, new_id, server_event

_BATCH: Final = 64 * 1024
_HEARTBEAT: Final = 10.0
_HTML: Final = b"<!doctype html><html><head><title>OpenCode</title></head><body></body></html>"
_FEED_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache, no-transform\r\n"
    b"x-accel-buffering: no\r\nx-content-type-options: nosniff\r\nvary: Origin\r\ntransfer-encoding: chunked\r\n\r\n"
)
_PROVIDERS: Final[Json] = {
    "all": [
        {
            "id": "fake",
            "name": "Fake",
            "source": "config",
            "env": [],
            "options": {},
            "models": {"fake-model": {"id": "fake-model", "providerID": "fake", "name": "Fake Model"}},
        }
    ],
    "default": {"fake": "fake-model"},
    "connected": ["fake"],
}
_AGENTS: Final[list[Json]] = [
    {
        "name": "build",
        "description": "The default agent.",
        "mode": "primary",
        "native": True,
        "options": {},
    }
]
_CONSTANTS: Final[dict[str, object]] = {
    "global/health": {"healthy": True, "version": VERSION},
    "question": [],
    "provider": _PROVIDERS,
    "agent": _AGENTS,
}


class Feed:
    """The readers of `/global/event`. Everyone gets everything."""

    def __init__(self) -> None:
        self._readers: set[Connection] = set()

    def join(self, reader: "Connection") -> None:
        """Add a reader, who hears `server.connected` first."""
        reader.write(_FEED_HEAD + server_event("server.connected"))
        self._readers.add(reader)

    def leave(self, reader: "Connection") -> None:
        """Forget a reader."""
        self._readers.discard(reader)

    def write(self, chunks: bytes) -> None:
        """Send to all readers, however far behind they are."""
        for reader in self._readers:
            reader.write(chunks)

    async def drained(self) -> None:
        """Wait until every reader can take more; gives way to other work in any case."""
        await asyncio.sleep(0)
        for reader in tuple(self._readers):
            await reader.writable.wait()

    async def beat(self) -> None:
        """Send heartbeats for ever."""
        while True:
            await asyncio.sleep(_HEARTBEAT)
            self.write(server_event("server.heartbeat"))


class Player:
    """Plays turns into the feed, paced ones by timer, all others as fast as the readers take them."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._fast: deque[Turn] = deque()
        self._wake = asyncio.Event()
        self._timers: dict[Turn, asyncio.TimerHandle] = {}
        self._loop = asyncio.get_running_loop()

    def play(self, turn: Turn) -> None:
        """Begin a turn."""
        if turn.script.rate:
            self._step(turn, self._loop.time())
            return

        self._fast.append(turn)
        self._wake.set()

    def stop(self, turn: Turn) -> None:
        """Let a stopped turn come to its end at once, not at its next delta."""
        if timer := self._timers.pop(turn, None):
            timer.cancel()
            self._step(turn, self._loop.time())

    async def run(self) -> None:
        """Play the turns without a rate, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._fast:
                self._feed.write(self._batch())
                await self._feed.drained()

    def _batch(self) -> bytes:
        batch: list[bytes] = []
        size = 0
        while self._fast and size < _BATCH:
            turn = self._fast.popleft()
            if (chunks := turn.chunks()) is None:
                self._next(turn)
                continue
            batch.append(chunks)
            size += len(chunks)
            if turn.permission is None:  # else it waits for an answer, for ever: nobody here gives any
                self._fast.append(turn)

        return b"".join(batch)

    def _step(self, turn: Turn, due: float) -> None:
        self._timers.pop(turn, None)
        if chunks := turn.chunks():
            self._feed.write(chunks)
        if turn.told:
            while chunks := turn.chunks():
                self._feed.write(chunks)
            self._next(turn)
            return

        # Counted from when it was due, not from now, so that a late timer does not slow the turn.
        due += 1 / turn.script.rate
        self._timers[turn] = self._loop.call_at(due, self._step, turn, due)

    def _next(self, turn: Turn) -> None:
        """Play what was prompted in the meantime. The real one merges such prompts; wrappers must not rely on it."""
        turns = turn.session.turns
        after = turns.index(turn) + 1
        if after < len(turns):
            self.play(turns[after])


class OpenCode:
    """What the server knows, and one method per thing it can be asked."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.feed = Feed()
        self.player = Player(self.feed)
        self.sessions: dict[str, Session] = {}

    def create(self, asked: Json, directory: str) -> Session:
        """Open a session."""
        session = Session(directory=directory, asked=asked)
        self.sessions[session.id] = session
        self.feed.write(session.record_self("session.created"))
        return session

    def prompt(self, session: Session, asked: Json) -> None:
        """Begin a turn, or let it wait for the one before. Playing starts after the answer has been written."""
        parts = asked.get("parts")
        texts = [part["text"] for part in parts if part.get("type") == "text"] if isinstance(parts, list) else []
        message = asked.get("messageID")
        waits = session.busy
        turn = Turn(session, prompt="\n".join(texts), message=message if isinstance(message, str) else None)
        session.turns.append(turn)
        if not waits:
            asyncio.get_running_loop().call_soon(self.player.play, turn)

    def abort(self, name: str) -> None:
        """Stop a session's turn. Idle and unknown sessions tell "idle" as well."""
        session = self.sessions.get(name)
        if session and session.busy:
            self.stop(session, finish=False)
            return

        for kind, more in (("session.status", {"status": {"type": "idle"}}), ("session.idle", {})):
            event = {"id": new_id("evt"), "type": kind, "properties": {"sessionID": name, **more}}
            self.feed.write(frame({"directory": self.directory, "payload": event}))

    def stop(self, session: Session, *, finish: bool) -> None:
        """End the running turn and drop those which wait."""
        running = next(turn for turn in session.turns if not turn.over)
        del session.turns[session.turns.index(running) + 1 :]
        running.stop("finish" if finish else "abort")
        self.player.stop(running)

    def finish(self) -> None:
        """End all turns well, with the text they have. The real one has no such call; a benchmark cannot wait."""
        for session in self.sessions.values():
            if session.busy:
                self.stop(session, finish=True)

    def statuses(self, directory: str) -> Json:
        """The sessions of a directory which are not idle."""
        return {
            session.id: {"type": "busy"}
            for session in self.sessions.values()
            if session.busy and session.directory == directory
        }

    def asked(self, directory: str) -> list[Json]:
        """List the permissions of a directory that wait for an answer."""
        return [
            turn.permission
            for session in self.sessions.values()
            if session.directory == directory
            for turn in session.turns
            if turn.permission is not None
        ]


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection: requests one after the other, or the feed for the rest of its life."""

    def __init__(self, opencode: OpenCode) -> None:
        self._opencode = opencode
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; high water at a few batches lets the socket never run dry."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=4 * _BATCH)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the feed, and let nobody wait for this reader."""
        del exc
        self._transport = None
        self.writable.set()
        self._opencode.feed.leave(self)

    def pause_writing(self) -> None:
        """Hold the player back."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """Let the player go on."""
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        """Answer every request which is whole."""
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            request, headers = _head(bytes(self._unread[:end]))
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self._unread) < whole:
                return
            body = bytes(self._unread[end + 4 : whole])
            del self._unread[:whole]
            self._answer(request, headers, body)

    def write(self, raw: bytes) -> None:
        """Send bytes as they are."""
        if self._transport:
            self._transport.write(raw)

    def _answer(self, request: str, headers: dict[str, str], body: bytes) -> None:
        if "transfer-encoding" in headers:
            self._reply(411, {"name": "BadRequest", "data": {"message": "this fake wants a content-length"}})
            return

        method, target, *_ = request.split(" ")
        url = urlsplit(target)
        asked = msgspec.json.decode(body) if body else {}
        where = parse_qs(url.query).get("directory", [headers.get("x-opencode-directory", "")])[0]
        directory = unquote(where) or self._opencode.directory
        self._route(method, url.path.strip("/").split("/"), asked, directory, parse_qs(url.query))

    def _route(self, method: str, path: list[str], asked: Json, directory: str, query: dict[str, list[str]]) -> None:
        opencode = self._opencode
        match [method, *path]:
            case ["GET", "global", "event"]:
                opencode.feed.join(self)
            case ["POST", "session"]:
                self._reply(200, opencode.create(asked, directory).json())
            case ["GET", "session"]:
                found = [session for session in opencode.sessions.values() if session.directory == directory]
                self._reply(200, [session.json() for session in found[-100:]])
            case ["GET", "session", "status"]:
                self._reply(200, opencode.statuses(directory))
            case ["GET", "permission"]:
                self._reply(200, opencode.asked(directory))
            case ["POST", "session", name, "abort"]:
                opencode.abort(name)
                self._reply(200, answer=True)
            case [_, "session", name, *rest]:
                self._route_session(method, name, rest, asked, query)
            case ["POST", "benchmark", "finish"]:
                opencode.finish()
                self._reply(200, answer=True)
            case _:
                self._reply_constant(method, "/".join(path))

    def _route_session(self, method: str, name: str, rest: list[str], asked: Json, query: dict[str, list[str]]) -> None:
        session = self._opencode.sessions.get(name)
        if session is None:
            self._reply(404, {"name": "NotFoundError", "data": {"message": f"Session not found: {name}"}})
            return

        match [method, *rest]:
            case ["GET"] | ["PATCH"]:
                self._reply(200, session.json())
            case ["POST", "prompt_async"]:
                self._send(b"204 No Content", b"", b"")
                self._opencode.prompt(session, asked)
            case ["GET", "message"]:
                limit = int(query.get("limit", ["0"])[0])
                self._reply(200, session.messages()[-limit:])
            case ["GET", "message", message]:
                self._reply_message(session, message)
            case _:
                self._reply_constant(method, "/".join(["session", name, *rest]))

    def _reply_constant(self, method: str, path: str) -> None:
        if method == "GET" and path in _CONSTANTS:
            self._reply(200, _CONSTANTS[path])
            return

        # The real one shows its web interface for whatever it does not know.
        self._send(b"200 OK", b"text/html", _HTML)

    def _reply_message(self, session: Session, name: str) -> None:
        for message in session.messages():
            info = message["info"]
            if isinstance(info, dict) and info["id"] == name:
                self._reply(200, message)
                return
        self._reply(404, {"name": "NotFoundError", "data": {"message": f"Message not found: {name}"}})

    def _reply(self, status: int, answer: object) -> None:
        reason = {200: b"200 OK", 404: b"404 Not Found", 411: b"411 Length Required"}[status]
        self._send(reason, b"application/json", msgspec.json.encode(answer))

    def _send(self, status: bytes, kind: bytes, body: bytes) -> None:
        content = b"content-type: %b\r\n" % kind if kind else b""
        self.write(
            b"HTTP/1.1 %b\r\n%bvary: Origin\r\ncontent-length: %d\r\n\r\n%b" % (status, content, len(body), body)
        )


def _head(raw: bytes) -> tuple[str, dict[str, str]]:
    request, *lines = raw.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return request, headers


async def serve(port: int, directory: str) -> None:
    """Serve on loopback until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    opencode = OpenCode(directory)
    server = await loop.create_server(lambda: Connection(opencode), "127.0.0.1", port, backlog=1024)
    jobs = [asyncio.ensure_future(job) for job in (opencode.player.run(), opencode.feed.beat())]
    stopped = asyncio.gather(*jobs)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.cancel)

    with contextlib.suppress(asyncio.CancelledError):
        await stopped
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", default="/")
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.port, chosen.directory))
