"""
The client's side: raw HTTP/1.1 which keeps what it reads and decodes it only when the measuring is over.

A client which decodes while it reads would take the processor from the server under test.
"""

import asyncio
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec

from ops.benchmark.script import Script, stamps

_END: Final = b"\r\n0\r\n\r\n"  # the last chunk, behind the line break of the chunk before
_START: Final = b"\r\n"  # so that a body which has no other chunk ends in the same way
_decode = msgspec.json.Decoder().decode

Piece = tuple[int, bytes]


class Broken(Exception):
    """The server said something which is no answer to what was asked."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as it came: its head, and its body in pieces with the nanosecond each one was read."""

    head: bytes
    pieces: list[Piece]

    @property
    def status(self) -> int:
        """The status code; 0 if there was no answer."""
        return int(self.head[9:12] or b"0")

    @property
    def chunked(self) -> bool:
        """Whether the body is in HTTP chunks."""
        return b"transfer-encoding: chunked" in self.head.lower()

    def body(self) -> bytes:
        """The body, without chunks."""
        raw = b"".join(piece for _, piece in self.pieces)
        return b"".join(piece for _, piece in _dechunked([(0, raw)])) if self.chunked else raw

    def frames(self) -> Iterator[Piece]:
        """The payload of each SSE frame, with the nanosecond in which its end was read; comments are left out."""
        rest = b""
        for at, piece in _dechunked(self.pieces) if self.chunked else self.pieces:
            *whole, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
            for frame in whole:
                lines = [line[5:].lstrip(b" ") for line in frame.split(b"\n") if line.startswith(b"data:")]
                if lines:
                    yield at, b"\n".join(lines)


def _dechunked(pieces: list[Piece]) -> Iterator[Piece]:
    rest = b""
    for at, piece in pieces:
        read = rest + piece
        start = 0
        content: list[bytes] = []
        while (line := read.find(b"\r\n", start)) >= 0:
            size = int(read[start:line].split(b";")[0], 16)
            end = line + 2 + size
            if len(read) < end + 2:
                break
            content.append(read[line + 2 : end])
            start = end + 2
        rest = read[start:]
        yield at, b"".join(content)


class Wire(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._done: asyncio.Future[None] | None = None
        self._lost = False
        self._head = b""
        self._awaiting_head = True
        self._pieces: list[Piece] = []
        self._tail = _START
        self._sized = False
        self._length = 0
        self._ended = False
        self._sign = b""

    @classmethod
    async def connect(cls, port: int) -> "Wire":
        """Connect to loopback."""
        _, wire = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return wire

    async def ask(self, request: bytes) -> Reply:
        """Send a request and read the answer to its end."""
        done = self.send(request)
        await done
        return self.reply()

    def send(self, request: bytes, *, sign: bytes = b"") -> asyncio.Future[None]:
        """Send a request. The future is done when the answer has ended or, with a sign, has shown that sign."""
        self._forget()
        self._sign = sign
        self._transport.write(request)
        return self._wait()

    async def end(self) -> Reply:
        """Wait for the end of an answer whose sign has been seen."""
        if not self._ended:
            self._sign = b""
            await self._wait()
        return self.reply()

    def reply(self) -> Reply:
        """What has been read so far."""
        return Reply(self._head, self._pieces)

    def close(self) -> None:
        """Close without waiting."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Break what is still awaited."""
        del exc
        self._lost = True
        if self._done and not self._done.done():
            self._done.set_exception(self._broken())

    def data_received(self, data: bytes) -> None:
        """Keep the piece with its time, and see whether it is the last."""
        at = time.monotonic_ns()
        if self._awaiting_head:
            data = self._read_head(data)
        if data:
            self._pieces.append((at, data))
            self._length -= len(data)
            self._tail = (self._tail + data[-len(_END) :])[-len(_END) :]
        self._ended = not self._awaiting_head and (self._length <= 0 if self._sized else self._tail == _END)
        signed = self._sign and self._sign in data
        if (self._ended or signed) and self._done and not self._done.done():
            self._done.set_result(None)

    def _wait(self) -> asyncio.Future[None]:
        self._done = asyncio.get_running_loop().create_future()
        if self._lost:
            self._done.set_exception(self._broken())
        return self._done

    def _broken(self) -> Broken:
        return Broken(f"the server closed the connection after {self._head[:200]!r}")

    def _read_head(self, data: bytes) -> bytes:
        head, found, body = (self._head + data).partition(b"\r\n\r\n")
        self._head = head
        if not found:
            return b""

        self._awaiting_head = False
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                self._sized = True
                self._length = int(line[15:])

        return body

    def _forget(self) -> None:
        self._head = b""
        self._awaiting_head = True
        self._pieces = []
        self._tail = _START
        self._sized = False
        self._length = 0
        self._ended = False
        self._sign = b""


@dataclass(slots=True)
class Reading:
    """What a client understood of an answer."""

    text: str = ""
    completed: bool = False
    latencies: list[float] = field(default_factory=list)


class Target(ABC):
    """A server under test, as a client sees it."""

    name: str
    card: str

    def __init__(self, port: int) -> None:
        self.port = port

    @abstractmethod
    def stream(self, script: Script) -> bytes:
        """A request which streams the turn."""

    @abstractmethod
    def unary(self, script: Script) -> bytes:
        """A request which answers when the turn is over."""

    @abstractmethod
    def read_stream(self, reply: Reply, *, timed: bool = False) -> Reading:
        """Understand a stream; `timed` looks for stamps and takes milliseconds from sending to reading."""

    @abstractmethod
    def read_unary(self, reply: Reply) -> Reading:
        """Understand a unary answer."""

    def get_card(self) -> bytes:
        """A request for the card."""
        return self._request("GET", self.card, b"")

    def _request(self, method: str, path: str, body: bytes, *headers: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, *headers, "", ""]).encode() + body


class Relay(Target):
    """The relay: prompts as bodies, OpenCode's own frames as answers."""

    name = "relay"
    card = "/card"

    def stream(self, script: Script) -> bytes:
        """Prompt for a stream."""
        return self._request("POST", "/", script.prompt().encode())

    def unary(self, script: Script) -> bytes:
        """Prompt for a whole answer."""
        return self._request("POST", "/unary", script.prompt().encode())

    def read_stream(self, reply: Reply, *, timed: bool = False) -> Reading:
        """Read OpenCode's frames."""
        return self._read(reply.frames(), timed=timed)

    def read_unary(self, reply: Reply) -> Reading:
        """Read OpenCode's frames, all in one body."""
        whole = Reply(b"", [(0, reply.body())])
        return self._read(whole.frames(), timed=False)

    def _read(self, frames: Iterator[Piece], *, timed: bool) -> Reading:
        reading = Reading()
        texts: list[str] = []
        for at, frame in frames:
            event = _decode(frame)["payload"]
            if event["type"] == "message.part.delta":
                texts.append(event["properties"]["delta"])
                if timed:
                    reading.latencies += [(at - sent) / 1e6 for _, sent in stamps(texts[-1])]
            reading.completed = event["type"] == "session.idle"
        reading.text = "".join(texts)

        return reading


class A2A(Target):
    """Our server: A2A 1.0 over JSON-RPC."""

    name = "ours"
    card = "/.well-known/agent-card.json"

    def __init__(self, port: int, token: str) -> None:
        super().__init__(port)
        self._token = token

    def stream(self, script: Script) -> bytes:
        """Send a message, to be answered by a stream."""
        return self.call("SendStreamingMessage", {"message": self.message(script)}, "text/event-stream")

    def unary(self, script: Script) -> bytes:
        """Send a message, to be answered when its task is over."""
        return self.call("SendMessage", {"message": self.message(script)})

    def read_stream(self, reply: Reply, *, timed: bool = False) -> Reading:
        """Read a task's updates."""
        answer = _Answer()
        latencies: dict[int, float] = {}
        for at, frame in reply.frames():
            for text in answer.take(_result(frame)):
                # A text may come again in a later snapshot; what counts is when it was first there.
                for number, sent in stamps(text) if timed else ():
                    latencies.setdefault(number, (at - sent) / 1e6)

        return Reading(answer.text(), answer.completed, list(latencies.values()))

    def read_unary(self, reply: Reply) -> Reading:
        """Read a finished task."""
        answer = _Answer()
        answer.take(_result(reply.body()))
        return Reading(answer.text(), answer.completed)

    @staticmethod
    def message(script: Script) -> dict[str, object]:
        """Give a new message that asks for the turn."""
        return {"messageId": str(uuid.uuid4()), "role": "ROLE_USER", "parts": [{"text": script.prompt()}]}

    def call(self, method: str, params: dict[str, object], accept: str = "application/json") -> bytes:
        """Give a request that calls a method."""
        call = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params}
        return self._request(
            "POST",
            "/",
            msgspec.json.encode(call),
            f"Authorization: Bearer {self._token}",
            "A2A-Version: 1.0",
            "A2A-Extensions: urn:a2a:stream-hints/v1",
            "Content-Type: application/json",
            f"Accept: {accept}",
        )


def _result(raw: bytes) -> dict[str, Any]:
    answer = _decode(raw)
    if "result" not in answer:
        raise Broken(f"no result: {raw[:300]!r}")
    result: dict[str, Any] = answer["result"]
    return result


class _Answer:
    """The text of a task, put together from whatever mix of snapshots and appends tells it."""

    def __init__(self) -> None:
        self.completed = False
        self._artifacts: dict[str, list[str]] = {}

    def take(self, result: dict[str, Any]) -> list[str]:
        """Take one response in; returns the texts it had."""
        match result:
            case {"artifactUpdate": update}:
                return self._artifact(update["artifact"], append=update.get("append", False))
            case {"statusUpdate": {"status": status}}:
                self.completed = status["state"] == "TASK_STATE_COMPLETED"
            case {"task": task}:
                self.completed = task["status"]["state"] == "TASK_STATE_COMPLETED"
                return [
                    text for artifact in task.get("artifacts", ()) for text in self._artifact(artifact, append=False)
                ]

        return []

    def text(self) -> str:
        """The text so far."""
        return "".join("".join(texts) for texts in self._artifacts.values())

    def _artifact(self, artifact: dict[str, Any], *, append: bool) -> list[str]:
        stream = artifact.get("metadata", {}).get("shared", {}).get("stream", {})
        if stream.get("block_type", "text") != "text":
            return []

        texts = [part["text"] for part in artifact["parts"] if "text" in part]
        known = self._artifacts.setdefault(artifact["artifactId"], [])
        if not append:
            known.clear()
        known += texts

        return texts
