"""The OpenCode of a soak: the tests' fake one behind a socket, and somebody who breaks it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
from attrs import define, field

from tests.fakes.opencode import FakeOpenCode
from tests.fakes.opencode_sessions import FakeMessage, FakeSession

_SHOWS = ("status", "message", "permission", "question", "children")
"""What is asked of it in the midst of a turn, by the last part of the path."""
_UNASKABLE = frozenset({"refuse", "down", "hang"})
"""Faults while which it does not show what it has said."""
_HUNG_SECONDS = 60.0
_BEAT_SECONDS = 5.0


@define(eq=False)
class Upstream:
    """The server, what is wrong with it, and which of its turns are lost."""

    chance: random.Random
    fake: FakeOpenCode = field(factory=FakeOpenCode)
    faults: Counter[str] = field(factory=Counter)
    lost: set[str] = field(factory=set)
    """The texts of the prompts it worked on when it was restarted: those may fail, and no others."""
    port: int = 0
    words: float = 200.0
    """Words a second of each text, on average."""
    disturbed: bool = True
    """Whether anything is ever wrong with it."""
    _slow: float = 0.0
    _whole: dict[str, float] = field(factory=dict, init=False)
    """When each text came to be shown, in seconds since the epoch."""
    _told: dict[str, dict[str, None]] = field(factory=dict, init=False)
    """The sessions that each text was said in: no text is part of another one."""
    _unaskable: list[tuple[float, float]] = field(factory=list, init=False)
    """From when to when it could not be asked."""
    _giving_in: asyncio.TimerHandle | None = field(default=None, init=False)
    """When it takes aborts again."""
    _serving: set[asyncio.Task[None]] = field(factory=set, init=False)
    """The loop itself holds on to none of them: one that waits would be collected with its connection."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve on loopback."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        jobs = [asyncio.ensure_future(self._beat())]
        self.fake.listen(self._note)
        if self.disturbed:
            self.fake.pause = self._pause
            jobs.append(asyncio.ensure_future(self._disturb()))
        try:
            yield
        finally:
            for job in (*jobs, *self._serving):
                job.cancel()
            server.close()
            self.fake.cut()

    async def _pause(self) -> None:
        await asyncio.sleep(self.chance.expovariate(self.words))

    def _note(self, event: dict[str, Any]) -> None:
        payload = event["payload"]
        if payload["type"] == "message.part.updated":
            part = payload["properties"]["part"]
            if "end" in part.get("time", ()):
                self._whole.setdefault(part["id"], time.time())
            elif part["type"] == "text" and "time" not in part:  # the user's
                self._told.setdefault(part["text"], {})[part["sessionID"]] = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            self.fake.beat()

    # What it has to show for itself

    def prompt_of(self, session: FakeSession) -> str:
        """Give the text of what a session was asked last."""
        asked = [message for message in session.messages if message.info["role"] == "user"]
        return _text(asked[-1]) if asked else ""

    def prompted(self, text: str) -> int:
        """Count how often a text was said to it: messages, and parts of one that came twice."""
        return sum(
            _text(message).count(text)
            for session in self._asked(text)
            for message in session.messages
            if _is_user(message)
        )

    def shows(self, text: str, by: float = float("inf")) -> str:
        """Give what it shows as its own answer to a text, or did by then: all that is whole."""
        said = [
            part["text"]
            for session in self._asked(text)
            for message in session.messages
            if not _is_user(message)
            for part in message.parts.values()
            if part["type"] == "text" and part["id"] in self._whole and self._whole[part["id"]] <= by
        ]
        return "".join(said)

    def could_be_asked(self, since: float, until: float) -> bool:
        """Say whether it answered all that time what it was asked for."""
        return all(to < since or begin > until for begin, to in self._unaskable)

    def history_of(self, text: str) -> list[Any]:
        """Give all that it has to show of a prompt, with when each text came to be shown."""
        shown = [message.json for session in self._asked(text) for message in session.messages]
        return [shown, {part: at for part, at in self._whole.items() if part in json.dumps(shown)}]

    def _asked(self, text: str) -> list[FakeSession]:
        """Give the sessions that were asked this; each task has one of its own."""
        return [self.fake.sessions[name] for name in self._told.get(text, ())]

    # Faults

    async def _disturb(self) -> None:
        """Break something, mend it, and again."""
        kinds = {
            "cut": 6,
            "refuse": 4,
            "slow": 3,
            "idle": 6,
            "malformed": 3,
            "down": 2,
            "deaf": 2,
            "hang": 1,
            "restart": 1,
            "stubborn": 1,
        }
        while True:
            await asyncio.sleep(self.chance.uniform(0.2, 1.5))
            (kind,) = self.chance.choices(list(kinds), list(kinds.values()))
            self.faults[kind] += 1
            began = time.time()
            await self._break(kind)
            if kind in _UNASKABLE:
                self._unaskable.append((began, time.time()))

    async def _break(self, kind: str) -> None:  # noqa: C901 - one line for each kind
        faults, chance = self.fake.faults, self.chance
        match kind:
            case "cut":
                self.fake.cut(chance.choice([None, httpx.ReadError("reset")]))
            case "refuse":
                faults.answers = dict.fromkeys(chance.sample(_SHOWS, 2), chance.choice([500, 503]))
            case "slow":
                self._slow = chance.uniform(0.05, 0.5)
            case "idle":
                faults.idle = chance.choice(["once", "twice", "early", "late", "never"])
                return  # until it is another
            case "stubborn":
                faults.aborts = "vanish"
                if self._giving_in is not None:
                    self._giving_in.cancel()
                seconds = chance.uniform(16, 30)  # three aborts in vain, at least
                self._giving_in = asyncio.get_running_loop().call_later(seconds, self._give_in)
                return
            case "malformed":
                faults.malformed = True
            case "down":
                faults.down = True
                self.fake.cut()
            case "deaf":
                faults.feed = chance.choice(["off", "silent"])
                self.fake.cut()
            case "hang":
                faults.hangs = True
            case "restart":
                self.lost |= {self.prompt_of(session) for session in self.fake.sessions.values() if session.busy}
                await self.fake.restart()
                return
        await asyncio.sleep(chance.uniform(0.1, 2.0))
        self._slow, faults.answers = 0.0, {}
        faults.malformed, faults.down, faults.hangs = False, False, False
        if kind == "deaf":
            faults.feed = "on"
            self.fake.cut()

    def _give_in(self) -> None:
        self.fake.faults.aborts = "work"

    # Requests

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        job = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(job)
        job.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, httpx.HTTPError, TimeoutError, asyncio.CancelledError):
            while True:
                request = await _read(reader)
                await asyncio.sleep(self._slow)
                async with asyncio.timeout(_HUNG_SECONDS):
                    response = await self.fake.handle_async_request(request)
                await _answer(writer, response)
        writer.close()


def _is_user(message: FakeMessage) -> bool:
    return bool(message.info["role"] == "user")


def _text(message: FakeMessage) -> str:
    """Give a message's text; the numbers in it stand alone, so that none is the beginning of another."""
    return "\n".join(part["text"] for part in message.parts.values() if part["type"] == "text")


async def _read(reader: asyncio.StreamReader) -> httpx.Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.strip().split("\r\n")
    headers = [tuple(one.split(": ", 1)) for one in lines]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    method, target, _ = line.split(" ")
    body = await reader.readexactly(length)
    return httpx.Request(method, f"http://opencode{target}", headers=headers, content=body)


async def _answer(writer: asyncio.StreamWriter, response: httpx.Response) -> None:
    endless = response.headers.get("content-type", "").startswith("text/event-stream")
    body = b"" if endless else await response.aread()
    headers = {name: value for name, value in response.headers.items() if name not in ("content-length", "connection")}
    headers |= {"transfer-encoding": "chunked"} if endless else {"content-length": str(len(body))}
    lines = [f"HTTP/1.1 {response.status_code} -", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()
    if endless:
        try:
            async for chunk in response.aiter_raw():
                writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await writer.drain()
        finally:
            await response.aclose()
        raise ConnectionResetError
