"""
The physical limit: the least that Granian, ASGI and an HTTP client need to bring a session's frames through.

One shared feed, cut into frames by a byte search, handed to the session named in the frame, never decoded,
sent on as it came. Whatever a wrapper does more than this is the wrapper's own cost.

    POST /        body = prompt; streams the session's frames up to `session.idle`
    POST /unary   body = prompt; the same frames in one answer
    GET  /card    a constant
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Final, TypeAlias

import aiohttp

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]

_UPSTREAM: Final = os.environ.get("OPENCODE_BASE_URL", "http://127.0.0.1:4096")
_SESSION: Final = b'"sessionID":"'
_SYNC: Final = b'"payload":{"type":"sync"'
_IDLE: Final = b'"type":"session.idle"'
_CARD: Final = json.dumps({"name": "relay", "description": "x" * 2000}).encode()


class _Box:
    """The frames of one session which have not been sent on."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._filled = asyncio.Event()
        self._over = False

    def put(self, frame: bytes) -> None:
        """Keep a frame, unless the turn's last one has been kept."""
        if self._over:
            return
        self._frames.append(frame)
        self._over = _IDLE in frame
        self._filled.set()

    def close(self) -> None:
        """Nobody reads any more."""
        self._over = True
        self._filled.set()

    async def take(self) -> tuple[bytes, bool]:
        """All frames there are, at least one, and whether more will come."""
        await self._filled.wait()
        self._filled.clear()
        frames = b"".join(self._frames)
        self._frames.clear()
        return frames, not self._over


class Relay:
    """The ASGI application."""

    def __init__(self) -> None:
        self._boxes: dict[bytes, _Box] = {}
        self._http: aiohttp.ClientSession
        self._feed: asyncio.Task[None]

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["method"] == "GET":
            await _answer(send, _CARD)
            return

        prompt = await _body(receive)
        if scope["path"] == "/unary":
            await self._unary(prompt, send)
            return
        await self._stream(prompt, receive, send)

    async def _unary(self, prompt: str, send: _Send) -> None:
        collected: list[bytes] = []
        with self._box(await self._open()) as (session, box):
            await self._prompt(session, prompt)
            more = True
            while more:
                frames, more = await box.take()
                collected.append(frames)

        await _answer(send, b"".join(collected))

    async def _stream(self, prompt: str, receive: _Receive, send: _Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        with self._box(await self._open()) as (session, box):
            await self._prompt(session, prompt)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            leaving = asyncio.ensure_future(_left(receive, box))
            more = True
            while more:
                frames, more = await box.take()
                await send({"type": "http.response.body", "body": frames, "more_body": more})
            leaving.cancel()

    async def _open(self) -> bytes:
        async with self._http.post("/session", data=b"{}", headers={"content-type": "application/json"}) as answer:
            return (await answer.read()).split(b'"', 4)[3]

    async def _prompt(self, session: bytes, prompt: str) -> None:
        asked = json.dumps({"parts": [{"type": "text", "text": prompt}]}).encode()
        path = f"/session/{session.decode()}/prompt_async"
        async with self._http.post(path, data=asked, headers={"content-type": "application/json"}) as answer:
            answer.raise_for_status()

    @contextlib.contextmanager
    def _box(self, session: bytes) -> Iterator[tuple[bytes, _Box]]:
        box = self._boxes[session] = _Box()
        try:
            yield session, box
        finally:
            del self._boxes[session]

    async def _lifespan(self, receive: _Receive, send: _Send) -> None:
        await receive()
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(_UPSTREAM, connector=connector, timeout=timeout) as self._http:
            connected = asyncio.Event()
            self._feed = asyncio.ensure_future(self._listen(connected))
            await connected.wait()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self._feed.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _listen(self, connected: asyncio.Event) -> None:
        async with self._http.get("/global/event") as answer:
            connected.set()
            rest = b""
            async for read in answer.content.iter_any():
                rest = self._route(rest + read)

    def _route(self, read: bytes) -> bytes:
        """Hand every whole frame to its session; returns what is left of the last one."""
        start = 0
        find = read.find
        while (end := find(b"\n\n", start)) >= 0:
            at = find(_SESSION, start, end)
            if at >= 0:
                at += len(_SESSION)
                box = self._boxes.get(read[at : find(b'"', at)])
                if box and find(_SYNC, start, end) < 0:
                    box.put(read[start : end + 2])
            start = end + 2

        return read[start:]


async def _body(receive: _Receive) -> str:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body.decode()


async def _left(receive: _Receive, box: _Box) -> None:
    """Close the box when the client goes away: Granian's send does not raise then."""
    while (await receive())["type"] != "http.disconnect":
        pass
    box.close()


async def _answer(send: _Send, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


app = Relay()
