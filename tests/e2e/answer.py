"""One request to the model and its answer, as bytes."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import Factory, define, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio.abc import ByteStream

    from tests.e2e.script import CallTool, Json, Say

MODEL = "scripted"

PROMPT_TOKENS = 100
CACHED_TOKENS = 20

_HEAD_BYTES = 65_536


@frozen
class Request:
    """An HTTP request; the line is method and path."""

    line: str
    headers: dict[str, str]
    body: bytes


@define
class Usage:
    """What an answer costs: a fixed number of tokens for the prompt, and one for each chunk."""

    chunks: int = 0
    thoughts: int = 0

    def as_json(self) -> Json:
        """Write it as the API does, where the thoughts are some of the completion."""
        return {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": self.chunks,
            "total_tokens": PROMPT_TOKENS + self.chunks,
            "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
            "completion_tokens_details": {"reasoning_tokens": self.thoughts},
        }


@define
class Answer:
    """A streamed completion, while it is being written."""

    stream: ByteStream
    finish: str | None = "stop"
    usage: Usage = Factory(Usage)
    _tools: int = 0

    async def begin(self) -> None:
        """Send the head, so that the caller knows that it has been heard."""
        await self.stream.send(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
        await self._send_delta({"role": "assistant", "content": ""})

    async def say(self, said: Say) -> None:
        """Stream text or reasoning."""
        key = "reasoning_content" if said.thought else "content"
        for chunk in said.chunks:
            await self._send_delta({key: chunk})
            self.usage.chunks += 1
            self.usage.thoughts += said.thought
            await anyio.sleep(said.delay)

    async def call_tool(self, tool: CallTool, identity: str) -> None:
        """Ask for a tool call, its arguments in one piece."""
        function = {"name": tool.name, "arguments": json.dumps(tool.arguments)}
        await self._send_delta(
            {"tool_calls": [{"index": self._tools, "id": identity, "type": "function", "function": function}]}
        )
        self.usage.chunks += 1
        self._tools += 1
        self.finish = "tool_calls"

    async def end(self, *, with_usage: bool) -> None:
        """Send the finish reason, the usage if it was asked for, and the end of the stream."""
        if self.finish is not None:
            await self._send_delta({}, self.finish)

        if with_usage:
            await self._send({"choices": [], "usage": self.usage.as_json()})

        await self.stream.send(_chunk(b"data: [DONE]\n\n") + _chunk(b""))

    async def _send_delta(self, delta: Json, finish: str | None = None) -> None:
        await self._send({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    async def _send(self, piece: Json) -> None:
        whole = {"id": "completion", "object": "chat.completion.chunk", "created": 0, "model": MODEL, **piece}
        await self.stream.send(_chunk(f"data: {json.dumps(whole)}\n\n".encode()))


async def read_request(stream: ByteStream) -> Request:
    """Read one request to its end."""
    buffered = BufferedByteReceiveStream(stream)
    head = (await buffered.receive_until(b"\r\n\r\n", _HEAD_BYTES)).decode("latin-1")
    start, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await buffered.receive_exactly(int(headers.get("content-length", "0")))
    return Request(start.rpartition(" ")[0], headers, body)


def whole_answer(status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> bytes:
    """Build an answer which is not streamed."""
    body = json.dumps(content).encode()
    length = {"content-type": "application/json", "content-length": str(len(body))}
    return _head(status, {**length, **(headers or {})}) + body


def fault(message: str) -> Json:
    """Build the body of an error."""
    return {"error": {"message": message, "type": "scripted_error"}}


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"
