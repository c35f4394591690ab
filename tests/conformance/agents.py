"""The whole service in this process, with the scripted agent; and a client of it over one binding."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from urllib.parse import urlencode
from uuid import uuid4

import httpx
from attrs import frozen
from litestar import Litestar

from opencode_a2a_server.adapters.outbound.scripted.agent import Scripted
from opencode_a2a_server.app.container import Container, assemble
from opencode_a2a_server.app.settings import load_settings
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.updates import TaskSubmitted
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import TOKEN

JSONRPC: Final = "JSONRPC"
REST: Final = "HTTP+JSON"
BINDINGS: Final = (JSONRPC, REST)
PATIENCE: Final = 10.0

ROUTES: Final[Mapping[str, tuple[str, str]]] = {
    "SendMessage": ("POST", "/message:send"),
    "SendStreamingMessage": ("POST", "/message:stream"),
    "GetTask": ("GET", "/tasks/{id}"),
    "ListTasks": ("GET", "/tasks"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
    "SubscribeToTask": ("POST", "/tasks/{id}:subscribe"),
    "CreateTaskPushNotificationConfig": ("POST", "/tasks/{taskId}/pushNotificationConfigs"),
    "GetTaskPushNotificationConfig": ("GET", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
    "ListTaskPushNotificationConfigs": ("GET", "/tasks/{taskId}/pushNotificationConfigs"),
    "DeleteTaskPushNotificationConfig": ("DELETE", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
    "GetExtendedAgentCard": ("GET", "/extendedAgentCard"),
}
"""Each operation of 1.0, and where it is over HTTP+JSON."""

V03_ROUTES: Final[Mapping[str, tuple[str, str]]] = {
    "message/send": ("POST", "/v1/message:send"),
    "message/stream": ("POST", "/v1/message:stream"),
    "tasks/get": ("GET", "/v1/tasks/{id}"),
    "tasks/cancel": ("POST", "/v1/tasks/{id}:cancel"),
    "tasks/resubscribe": ("POST", "/v1/tasks/{id}:subscribe"),
}
"""The same of 0.3: what both of its transports have."""


@asynccontextmanager
async def serving(**settings: str) -> AsyncIterator[Service]:
    """Open the service."""
    environment = {
        "A2A_BEARER_TOKEN": TOKEN,
        "A2A_TASK_STORE_BACKEND": "memory",
        "A2A_PUBLIC_URL": "https://agent.example",
        "A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1",
    }
    read = load_settings(environment | settings)
    async with assemble(read, lambda around: Scripted(around.clock, around.ids)) as container:
        yield Service(container, container.app())


@frozen
class Service:
    """The service: its parts, and the application."""

    container: Container
    app: Litestar

    async def somebody_elses_task(self) -> str:
        """Have a task that is not the caller's."""
        task_id = TaskId(f"foreign-{uuid4().hex}")
        said = Message(MessageId("m"), Role.USER, (TextPart("mine"),))
        log = await self.container.journal().create(
            task_id, TaskSubmitted(ContextId("context-of-bob"), Principal("bob"), said)
        )
        await log.durable()
        return task_id

    def http(self, **headers: str) -> httpx.AsyncClient:
        """Give a client of HTTP that brings the token, unless told otherwise."""
        brought = {"authorization": f"Bearer {TOKEN}"} | {name.replace("_", "-"): it for name, it in headers.items()}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=cast("Any", self.app)),
            base_url="https://agent.example",
            headers={name: value for name, value in brought.items() if value},
        )

    async def card(self) -> Mapping[str, Any]:
        """Get the public card."""
        async with self.http(authorization="") as http:
            card: Mapping[str, Any] = (await http.get("/.well-known/agent-card.json")).json()
        return card


@frozen
class Answer:
    """What came back."""

    http: httpx.Response
    binding: str

    @property
    def body(self) -> Any:
        """The JSON of it."""
        return self.http.json()

    @property
    def result(self) -> Any:
        """What the operation gave."""
        assert "error" not in self.body, self.body
        return self.body["result"] if self.binding == JSONRPC else self.body

    @property
    def error(self) -> Mapping[str, Any]:
        """The error, as the binding says it."""
        error: Mapping[str, Any] = self.body["error"]
        return error

    @property
    def details(self) -> Sequence[Mapping[str, Any]]:
        """Its details."""
        details: Sequence[Mapping[str, Any]] = self.error["data" if self.binding == JSONRPC else "details"]
        return details

    @property
    def reason(self) -> str:
        """Which error it is."""
        return str(self.details[0]["reason"])


@frozen
class Client:
    """A client over one binding, of 1.0 unless told otherwise."""

    service: Service
    binding: str
    routes: Mapping[str, tuple[str, str]] = ROUTES
    version: str = "1.0"

    async def call(self, operation: str, params: Mapping[str, Any] | None = None, **headers: str) -> Answer:
        """Call an operation that answers in one piece."""
        method, path, query, body = self._request(operation, dict(params or {}))
        async with self.service.http(**{"a2a_version": self.version} | headers) as http:
            sent = await asyncio.wait_for(http.request(method, f"{path}{query}", json=body), PATIENCE)
        return Answer(sent, self.binding)

    async def begin(self, operation: str, params: Mapping[str, Any], **headers: str) -> Listener:
        """Call an operation that streams, and read on."""
        method, path, _, body = self._request(operation, dict(params))
        encoded = b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in ({"a2a_version": self.version} | headers).items()}
        return await Listener(self.service.app, method, path, encoded, named).begin()

    async def stream(self, operation: str, params: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Read a stream to its end."""
        return await self.end(await self.begin(operation, params))

    async def end(self, listener: Listener) -> Sequence[Mapping[str, Any]]:
        """Wait for the end of a stream, and give all of its results."""
        await asyncio.wait_for(asyncio.shield(listener.running), PATIENCE)
        assert listener.ended
        return [frame.result for frame in listener.frames]

    async def send(self, text: str, *, wait: bool = True, **message: Any) -> Any:
        """Send a text; gives what came of it: the task, or the message."""
        sent = await self.call("SendMessage", sending(text, wait=wait, **message))
        (result,) = sent.result.values()
        return result

    def _request(self, operation: str, params: dict[str, Any]) -> tuple[str, str, str, Any]:
        if self.binding == JSONRPC:
            return "POST", "/", "", {"jsonrpc": "2.0", "id": 1, "method": operation, "params": params}
        method, template = self.routes[operation]
        path = template.format_map(params)
        rest = {name: value for name, value in params.items() if f"{{{name}}}" not in template}
        if method == "POST":
            return method, path, "", rest
        return method, path, f"?{urlencode(rest)}" if rest else "", None


def sending(text: str, *, wait: bool = True, **message: Any) -> dict[str, Any]:
    """Give the parameters that send a text."""
    said = {"messageId": uuid4().hex, "role": "ROLE_USER", "parts": [{"text": text}], **message}
    return {"message": said, **({} if wait else {"configuration": {"returnImmediately": True}})}


def text_of(task: Mapping[str, Any]) -> str:
    """Read all text that a task gave."""
    return "".join(part.get("text", "") for artifact in task.get("artifacts", ()) for part in artifact["parts"])
