"""One reader of a stream, as an ASGI server has it: what is sent, and when the reader leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, MutableMapping
from typing import Any, Self, cast

from a2a import types as a2a
from attrs import define, field, frozen
from google.protobuf.json_format import ParseDict
from litestar import Litestar

from tests.adapters.inbound.a2a.stage import HEADERS
from tests.fakes.clock import settled

Sent = MutableMapping[str, Any]


@frozen
class Frame:
    """One event of the stream."""

    id: str
    event: str
    data: Mapping[str, Any]

    @property
    def result(self) -> Mapping[str, Any]:
        """The StreamResponse, whatever the binding."""
        return cast("Mapping[str, Any]", self.data["result"]) if "jsonrpc" in self.data else self.data

    @property
    def parsed(self) -> a2a.StreamResponse:
        """The same as the SDK reads it: strictly."""
        return ParseDict(dict(self.result), a2a.StreamResponse())


@define(eq=False)
class Listener:
    """A request whose answer is a stream."""

    app: Litestar
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(factory=dict)
    whole: bool = True
    """Whether the body is all there is of it."""

    sent: list[Sent] = field(factory=list, init=False)
    stuck: asyncio.Event | None = field(default=None, init=False)
    """While set, the reader takes nothing more: sending waits for it."""
    broken: bool = field(default=False, init=False)
    """Whether the server complains when something is sent."""
    running: asyncio.Task[None] = field(init=False)
    _left: asyncio.Event = field(factory=asyncio.Event, init=False)
    _asked: bool = field(default=False, init=False)

    @classmethod
    async def rpc(cls, app: Litestar, method: str, params: object, *, headers: Mapping[str, str] | None = None) -> Self:
        """Call a JSON-RPC method that streams."""
        body = json.dumps({"jsonrpc": "2.0", "id": "call-1", "method": method, "params": params}).encode()
        return await cls(app, "POST", "/", body, headers or {}).begin()

    @classmethod
    async def rest(cls, app: Litestar, path: str, *, headers: Mapping[str, str] | None = None) -> Self:
        """Subscribe over HTTP."""
        return await cls(app, "GET", path, headers=headers or {}).begin()

    async def begin(self) -> Self:
        """Send the request and hear what comes at once."""
        headers = {**HEADERS, "host": "agent.example", "content-type": "application/json", **self.headers}
        scope = {
            "type": "http",
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "https",
            "http_version": "1.1",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("agent.example", 443),
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "state": {},
        }
        job = cast("Any", self.app)(scope, self._receive, self._send)
        self.running = asyncio.get_running_loop().create_task(job)
        await settled()
        return self

    async def _receive(self) -> Sent:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self.body, "more_body": not self.whole}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Sent) -> None:
        if self.stuck is not None:
            await self.stuck.wait()
        if self.broken:
            raise BrokenPipeError
        self.sent.append(message)

    async def leave(self) -> None:
        """Close the connection."""
        self._left.set()
        await settled()

    @property
    def status(self) -> int:
        """The answer's status."""
        return int(self.sent[0]["status"])

    @property
    def answer_headers(self) -> Mapping[str, str]:
        """The answer's headers."""
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def pieces(self) -> list[bytes]:
        """What was sent after the start, piece by piece."""
        return [message["body"] for message in self.sent[1:] if message["body"]]

    @property
    def text(self) -> str:
        """All of it."""
        return b"".join(self.pieces).decode()

    @property
    def ended(self) -> bool:
        """Whether the answer is complete."""
        return self.running.done() and not self.sent[-1]["more_body"]

    @property
    def frames(self) -> list[Frame]:
        """The events heard, without comments."""
        return [frame for block in self.text.split("\n\n") if (frame := _frame(block)) is not None]

    @property
    def last(self) -> Frame:
        """The last event."""
        return self.frames[-1]


def _frame(block: str) -> Frame | None:
    fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
    if "data" not in fields:
        return None
    return Frame(fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"]))
