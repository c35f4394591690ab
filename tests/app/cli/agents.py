"""An agent on loopback, for commands that call one: it answers as it is told, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field

Answer = tuple[int, str, str]
"""A status, a content type and a body."""


@define(eq=False)
class FakeAgent:
    """What it answers to paths, and to methods of JSON-RPC: each a result, an error, or several for a stream."""

    pages: dict[str, Any] = field(factory=dict)
    results: dict[str, Any] = field(factory=dict)
    answer: Callable[[str, Mapping[str, Any]], Any] | None = None
    """Asked before `results`, if it is there."""
    calls: list[tuple[str, Mapping[str, Any]]] = field(factory=list)
    headers: list[Mapping[str, str]] = field(factory=list)
    status: int = 200
    cut: bool = False
    """Whether streams break off."""
    url: str = ""

    def get(self, path: str) -> Answer:
        if path not in self.pages:
            return 404, "text/plain", "nothing here"
        page = self.pages[path]
        return 200, "application/json", page if isinstance(page, str) else json.dumps(page)

    def post(self, call: Mapping[str, Any]) -> Answer:
        method, params = call["method"], call.get("params", {})
        self.calls.append((method, params))
        told = self.answer(method, params) if self.answer is not None else None
        told = self.results.get(method) if told is None else told
        if told is None:
            told = {"error": {"code": -32601, "message": f"no method {method}"}}
        frame = {"jsonrpc": "2.0", "id": call["id"]}
        if isinstance(told, list):
            frames = [
                f"id: t:{number}\r\ndata: {json.dumps(frame | _framed(one))}\r\n\r\n"
                for number, one in enumerate(told, 1)
            ]
            return self.status, "text/event-stream", "".join(frames)
        return self.status, "application/json", json.dumps(frame | _framed(told))


def _framed(told: Any) -> dict[str, Any]:
    return dict(told) if isinstance(told, dict) and "error" in told else {"result": told}


@contextmanager
def running(agent: FakeAgent) -> Iterator[FakeAgent]:
    """Let it answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            agent.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._send(agent.get(self.path))

        def do_POST(self) -> None:
            agent.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._send(agent.post(json.loads(self.rfile.read(int(self.headers["content-length"])))))

        def _send(self, answer: Answer) -> None:
            status, kind, text = answer
            body = text.encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body) + (100 if agent.cut and "stream" in kind else 0)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        agent.url = f"http://127.0.0.1:{http.server_address[1]}"
        yield agent
        http.shutdown()


def card(url: str, version: str = "1.0", binding: str = "JSONRPC", *, streaming: bool = True) -> dict[str, Any]:
    """Write an agent's card, as 1.0 or 0.3 has it."""
    told: dict[str, Any] = {
        "name": "Fake",
        "description": "An agent",
        "version": "1",
        "capabilities": {"streaming": streaming},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [],
    }
    if version == "1.0":
        return told | {"supportedInterfaces": [{"url": url, "protocolBinding": binding, "protocolVersion": "1.0"}]}
    return told | {"url": url, "preferredTransport": binding, "protocolVersion": "0.3.0"}


def task(state: str, *, text: str = "", said: str = "", **more: Any) -> dict[str, Any]:
    """Write a task of 1.0."""
    status: dict[str, Any] = {"state": f"TASK_STATE_{state}"}
    if said:
        status["message"] = {"messageId": "s", "role": "ROLE_AGENT", "parts": [{"text": said}]}
    artifacts = [{"artifactId": "a", "parts": [{"text": text}]}] if text else []
    return {"id": "task-1", "contextId": "ctx-1", "status": status, "artifacts": artifacts, **more}


def status(state: str, said: str = "") -> dict[str, Any]:
    """Write an update of its status."""
    told = task(state, said=said)
    return {"statusUpdate": {"taskId": "task-1", "contextId": "ctx-1", "status": told["status"]}}


def text(part: str, *, append: bool = False, artifact: str = "a", kind: str = "") -> dict[str, Any]:
    """Write an update of an artifact."""
    metadata = {"metadata": {"shared": {"stream": {"block_type": kind}}}} if kind else {}
    told = {"artifactId": artifact, "parts": [{"text": part}], **metadata}
    return {"artifactUpdate": {"taskId": "task-1", "contextId": "ctx-1", "artifact": told, "append": append}}


def tool(call_status: str, **more: Any) -> dict[str, Any]:
    """Write what a tool does."""
    told = {"artifactId": "tool", "parts": [{"data": {"tool": "bash", "status": call_status, **more}}]}
    return {"artifactUpdate": {"taskId": "task-1", "contextId": "ctx-1", "artifact": told}}
