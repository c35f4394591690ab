"""A service in this process, asked as a server would ask it, and watched for what it must never do."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import grpc
import msgspec
from attrs import define, field, frozen

from opencode_a2a_server.adapters.inbound.a2a.grpc.server import serving
from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.app.container import Container, assemble
from opencode_a2a_server.app.ports.agent import AgentFactory
from opencode_a2a_server.app.settings import load_settings
from ops.fuzzing.calls import ALICE, BOB, Request
from ops.fuzzing.grpc_calls import GrpcCall, GrpcLine
from ops.fuzzing.judging import OWN_TOKEN, OWN_WORDS, SECRETS, Answer, judge
from tests.fakes.acts import AskPermission, AskQuestion, Say
from tests.fakes.opencode import FakeOpenCode

Scope = dict[str, Any]

GUARD: Final = 20.0
"""Seconds for an answer: far more than any takes, so that one which never comes is told from a slow machine."""
_LEAVES: Final = 0.05
"""Seconds without a word after which a stream's reader leaves."""
_OPEN: Final = Path("/proc/self/fd")
_STEPS: Final = 10_000
_RENEWED: Final = 40
"""Inputs after which there are fresh tasks to ask about: most of them end."""
_NAMES: Final = ("completed", "asking", "context", "permission", "config", "session", "new")


class Wrong(Exception):
    """Something that must never be."""


@frozen
class Finding:
    """An input that brought something out."""

    number: int
    reasons: tuple[str, ...]
    request: Mapping[str, Any]


@define(eq=False)
class Watching(logging.Handler):
    """Listens to the log, and to what the loop complains of."""

    complaints: list[str] = field(factory=list)

    def __attrs_pre_init__(self) -> None:
        logging.Handler.__init__(self, logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of tracebacks, errors and secrets."""
        said = self.format(record)
        if record.exc_info or record.levelno >= logging.ERROR:
            self.complaints.append(f"the log has: {said}")
        if any(secret.decode() in said for secret in SECRETS):
            self.complaints.append("the log has a secret")

    def take(self) -> list[str]:
        """Give what there was, and begin anew."""
        taken, self.complaints = self.complaints, []
        return taken


@contextmanager
def alone() -> Iterator[None]:
    """Have no name looked up meanwhile: what is made up must reach nobody."""
    original = socket.getaddrinfo

    def refuse(host: Any, *arguments: Any, **named: Any) -> Any:
        if host not in (None, "127.0.0.1", "localhost", b"127.0.0.1"):
            raise socket.gaierror(socket.EAI_NONAME, "nobody is looked up here")
        return original(host, *arguments, **named)

    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.getaddrinfo = original


@define(eq=False)
class Life:
    """One life of a service, with two principals who know nothing of each other."""

    container: Container
    app: Any
    watching: Watching
    line: GrpcLine | None = None
    """The way to its gRPC port."""
    guard: float = GUARD
    statuses: Counter[int] = field(factory=Counter)
    codes: Counter[str] = field(factory=Counter)
    findings: list[Finding] = field(factory=list)
    _ids: dict[str, bytes] = field(factory=dict)
    _asked: int = 0

    async def ask(self, request: Request) -> Finding | None:
        """Have a request answered; gives what was wrong."""
        if self._asked % _RENEWED == 0:
            await self._renew()
        self._asked += 1
        self._ids["new"] = b"message-%d" % self._asked
        reasons: list[str] = []
        answer = None
        try:
            answer = await self._answer(request)
        except Wrong as wrong:
            reasons.append(str(wrong))
        except Exception as error:  # noqa: BLE001 - the server would see it
            reasons.append(f"the application raised {error!r}")
        if answer is not None:
            self.statuses[answer.status] += 1
            reasons += judge(request, answer)
        reasons += self.watching.take()
        if not reasons:
            return None
        self.findings.append(Finding(request.number, tuple(reasons), request.told))
        return self.findings[-1]

    async def call(self, call: GrpcCall) -> Finding | None:
        """Have a call over gRPC answered; gives what was wrong."""
        if self.line is None:
            return None
        if self._asked % _RENEWED == 0:
            await self._renew()
        self._asked += 1
        self._ids["new"] = b"message-%d" % self._asked
        code, reasons = await self.line.ask(call, self._filled, self.guard)
        self.codes[code] += 1
        reasons += self.watching.take()
        if not reasons:
            return None
        self.findings.append(Finding(call.number, tuple(reasons), call.told))
        return self.findings[-1]

    async def _answer(self, request: Request) -> Answer | None:
        """Play the server's part; None if nobody waited for an answer."""
        exchange = _Exchange([self._filled(piece) for piece in request.pieces], breaks_off=request.breaks_off)
        scope = self._scope(request)
        running = asyncio.ensure_future(self.app(scope, exchange.receive, exchange.send))
        try:
            async with asyncio.timeout(self.guard):
                while not running.done():
                    before = exchange.steps
                    await asyncio.wait({running}, timeout=_LEAVES)
                    if exchange.streams and exchange.steps == before:
                        exchange.left.set()
            await running
        except TimeoutError:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            raise Wrong(f"no answer within {self.guard:g} s, after {exchange.steps} steps") from None
        if exchange.status is None:
            if request.breaks_off:
                return None
            raise Wrong("it was not answered")
        if not exchange.whole and not exchange.streams and not request.breaks_off:
            raise Wrong("the answer has no end")
        return Answer(exchange.status, tuple(exchange.headers), bytes(exchange.body), exchange.whole)

    def _scope(self, request: Request) -> Scope:
        raw = self._filled(request.path)
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote_to_bytes(raw).decode("utf-8", "replace"),
            "raw_path": raw,
            "query_string": self._filled(request.query),
            "root_path": "",
            "headers": [(name, self._filled(value)) for name, value in request.headers],
            "client": ("127.0.0.1", 4711),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }

    def _filled(self, text: bytes) -> bytes:
        if b"$" in text:
            for name in _NAMES:
                text = text.replace(b"$" + name.encode(), self._ids.get(name, b"none"))
        return text

    # What there is to ask about

    async def _renew(self) -> None:
        """Have Alice say something, have something asked, and have Bob's session begun."""
        done = await self._say(ALICE, OWN_WORDS.decode())
        self._ids["session"] = done["metadata"]["shared"]["session"]["id"].encode()
        asking = await self._say(ALICE, "[[ask permission bash rm *]]")
        self._ids |= {"completed": done["id"].encode(), "context": done["contextId"].encode()}
        self._ids["asking"] = asking["id"].encode()
        told = await self._call(ALICE, "opencode.permissions.list", {})
        items = told.get("result", {}).get("items", [])
        if items:
            self._ids["permission"] = items[-1]["request_id"].encode()
        push = {"url": "http://127.0.0.1:9/hook", "token": OWN_TOKEN.decode()}
        made = await self._call(ALICE, "CreateTaskPushNotificationConfig", {"taskId": asking["id"], **push})
        self._ids["config"] = made["result"]["id"].encode()
        await self._say(BOB, "hello")

    async def _say(self, who: bytes, text: str) -> Any:
        self._ids["new"] = b"own-%d-%d" % (self._asked, len(self._ids))
        message = {"messageId": os.urandom(8).hex(), "role": "ROLE_USER", "parts": [{"text": text}]}
        return (await self._call(who, "SendMessage", {"message": message}))["result"]["task"]

    async def _call(self, who: bytes, method: str, params: Mapping[str, Any]) -> Any:
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        headers = ((b"host", b"a"), (b"authorization", who), (b"content-type", b"application/json"))
        answer = await self._answer(Request(-1, "POST", b"/", b"", (*headers, (b"a2a-version", b"1.0")), (body,)))
        if answer is None or answer.status != 200:  # noqa: PLR2004 - taken
            raise Wrong(f"{method}, which is right, was answered {answer}")
        return msgspec.json.decode(answer.body)


@define(eq=False)
class _Exchange:
    """The server's side of one request."""

    pieces: list[bytes]
    breaks_off: bool = False
    status: int | None = None
    headers: list[tuple[bytes, bytes]] = field(factory=list)
    body: bytearray = field(factory=bytearray)
    whole: bool = False
    steps: int = 0
    left: asyncio.Event = field(factory=asyncio.Event)

    @property
    def streams(self) -> bool:
        """Whether a stream is being told."""
        return not self.whole and any(value.startswith(b"text/event-stream") for _, value in self.headers)

    async def receive(self) -> dict[str, Any]:
        """Give the next piece of the body; after it, that the client has left when it has."""
        if self.pieces:
            piece = self.pieces.pop(0)
            more = bool(self.pieces) or self.breaks_off
            return {"type": "http.request", "body": piece, "more_body": more}
        if not self.breaks_off:
            await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """Take what is answered."""
        self.steps += 1
        if self.steps > _STEPS:
            raise Wrong(f"an answer of more than {_STEPS} pieces")
        if message["type"] == "http.response.start":
            if self.status is not None:
                raise Wrong("two answers to one request")
            self.status = message["status"]
            self.headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            self.whole = not message.get("more_body", False)


def _settings(folder: Path, *, stored: bool) -> dict[str, str]:
    (folder / "credentials.toml").write_text("".join(_principal(*one) for one in _PRINCIPALS))
    store = {"A2A_TASK_STORE_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/tasks.db"}
    return {
        "A2A_CREDENTIALS_FILE": str(folder / "credentials.toml"),
        "A2A_OIDC_ISSUER": "http://127.0.0.1:9",
        "A2A_OIDC_AUDIENCE": "opencode",
        "A2A_RATE_LIMIT_MAX_FAILURES": "0",
        "A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1",
        "A2A_AUDIT_FILE": str(folder / "audit.jsonl"),
        "A2A_TRUSTED_PROXIES": "127.0.0.1",
        "A2A_ENABLE_SESSION_SHELL": "true",
        "A2A_ENABLE_SESSION_DELETE": "true",
        "A2A_ENABLE_WORKSPACE_MUTATIONS": "true",
        **(store if stored else {"A2A_TASK_STORE_BACKEND": "memory"}),
    }


_PRINCIPALS: Final = (("alice", ALICE), ("bob", BOB))


def _principal(name: str, authorization: bytes) -> str:
    token = sha256(authorization.removeprefix(b"Bearer ")).hexdigest()
    capabilities = '["session_shell", "session_delete", "workspace_mutation"]'
    return (
        f'[[principal]]\nname = "{name}"\n[[principal.credential]]\ntoken = "sha256:{token}"\n'
        f"capabilities = {capabilities}\n"
    )


def _over(fake: FakeOpenCode) -> AgentFactory:
    return lambda surroundings: OpenCode.at(Address("http://opencode"), surroundings.clock, fake)


@asynccontextmanager
async def living(*, fake: bool) -> AsyncIterator[Life]:
    """
    Let a service live, with an OpenCode that is fake and a file, or with scripts and in memory.

    Raises:
        Wrong: It left something behind.

    """
    loop, watching = asyncio.get_running_loop(), Watching()
    with tempfile.TemporaryDirectory() as folder, alone(), _listening(watching), _grpc_begun():
        jobs, handles = len(asyncio.all_tasks()), _handles()
        settings = _settings(Path(folder), stored=fake)
        if not fake:
            settings["A2A_RUNTIME"] = "scripted"
        opencode = FakeOpenCode(directory=folder)
        opencode.scripts["[[ask permission bash rm *]]"] = (AskPermission("bash", "rm *"), Say("done"))
        opencode.scripts["[[ask question]]"] = (AskQuestion("Which?", ("S", "M")),)
        loop.set_exception_handler(lambda _, told: watching.complaints.append(f"the loop has: {told}"))
        try:
            async with assemble(load_settings(settings), _over(opencode) if fake else None) as container:
                async with _on_the_line(container) as line:
                    yield Life(container, container.app(), watching, line)
                if listening := container.drain().listening:
                    raise Wrong(f"{listening} streams are still told though everybody left")
            await opencode.restart()
            await _settled(jobs)
        finally:
            loop.set_exception_handler(None)
        if (left := len(asyncio.all_tasks())) > jobs:
            raise Wrong(f"{left - jobs} jobs are left: {[job.get_name() for job in asyncio.all_tasks()]}")
        if (left := _handles()) > handles:
            raise Wrong(f"{left - handles} open files or sockets are left")
        if complaints := watching.take():
            raise Wrong("; ".join(complaints))


@contextmanager
def _grpc_begun() -> Iterator[None]:
    """Have gRPC's own sockets, which it keeps for as long as the loop runs, opened before anybody counts."""
    grpc.aio.init_grpc_aio()
    try:
        yield
    finally:
        grpc.aio.shutdown_grpc_aio()


@asynccontextmanager
async def _on_the_line(container: Container) -> AsyncIterator[GrpcLine]:
    served = serving(
        container.operations(),
        "127.0.0.1:0",
        authenticate=container.authenticate(),
        drain=container.drain(),
        watch=container.requests(),
    )
    async with served as port:
        line = GrpcLine(port)
        try:
            yield line
        finally:
            await line.close()


@contextmanager
def _listening(watching: Watching) -> Iterator[None]:
    root = logging.getLogger()
    root.addHandler(watching)
    try:
        yield
    finally:
        root.removeHandler(watching)


async def _settled(jobs: int) -> None:
    """Let what was told to end come to its end."""
    for _ in range(int(GUARD * 100)):
        if len(asyncio.all_tasks()) <= jobs:
            return
        await asyncio.sleep(0.01)


def _handles() -> int:
    return sum(1 for _ in _OPEN.iterdir()) if _OPEN.exists() else 0
