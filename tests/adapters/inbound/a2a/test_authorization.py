"""
Who may do what: one table for all bindings and versions.

Each operation is called as nobody, with a token that nobody has, as another principal, with a credential of the owner's
that only reads, and as the owner.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import attrs
import grpc
import pytest
from a2a.compat.v0_3 import a2a_v0_3_pb2
from a2a.types import a2a_pb2
from attrs import evolve, frozen
from google.protobuf.json_format import ParseDict

from opencode_a2a_server.adapters.inbound.a2a.auth import Callers
from opencode_a2a_server.adapters.inbound.a2a.methods.row import ExtensionMethod, MethodServices, Risk
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE
from opencode_a2a_server.adapters.outbound.access.hashes import PasswordHash, TokenHash
from opencode_a2a_server.adapters.outbound.access.registry import Credential, Registry, Roll
from opencode_a2a_server.app.usecases.limit_requests import LimitAttempts, LimitRequests
from opencode_a2a_server.domain.access import ALL, Caller, Capability, Grant
from opencode_a2a_server.domain.ids import Principal
from tests.adapters.inbound.a2a.grpc.line import line, refusal
from tests.adapters.inbound.a2a.stage import Stage, message_json
from tests.fakes.audit import FakeAudit
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

OWNER: Final = Principal("owner")
CREDENTIALS: Final = {
    "owner": Caller(OWNER, "owner", ALL),
    "reader": Caller(OWNER, "reader", Grant(("read",), frozenset())),
    "writer": Caller(OWNER, "writer", Grant(("read", "write"), frozenset())),
    "other": Caller(Principal("other"), "other", ALL),
}
OK, UNKNOWN, FOREIGN, DENIED = "OK", "UNAUTHENTICATED", "TASK_NOT_FOUND", "AUTHORIZATION_FORBIDDEN"

OF_A_TASK_READ = {"nobody": UNKNOWN, "wrong": UNKNOWN, "other": FOREIGN, "reader": OK, "owner": OK}
OF_A_TASK_WRITE = {"nobody": UNKNOWN, "wrong": UNKNOWN, "other": FOREIGN, "reader": DENIED, "owner": OK}
ANYBODYS_READ = {"nobody": UNKNOWN, "wrong": UNKNOWN, "other": OK, "reader": OK, "owner": OK}
ANYBODYS_WRITE = {"nobody": UNKNOWN, "wrong": UNKNOWN, "other": OK, "reader": DENIED, "owner": OK}

MATRIX: Final[Mapping[str, Mapping[str, str]]] = {
    "SendMessage": ANYBODYS_WRITE,
    "SendStreamingMessage": ANYBODYS_WRITE,
    "SendMessage to the task": OF_A_TASK_WRITE,
    "SendMessage with a push configuration": ANYBODYS_WRITE,
    "GetTask": OF_A_TASK_READ,
    "ListTasks": ANYBODYS_READ,
    "SubscribeToTask": OF_A_TASK_READ,
    "CreateTaskPushNotificationConfig": OF_A_TASK_WRITE,
    "GetTaskPushNotificationConfig": OF_A_TASK_READ,
    "ListTaskPushNotificationConfigs": OF_A_TASK_READ,
    "DeleteTaskPushNotificationConfig": OF_A_TASK_WRITE,
    "GetExtendedAgentCard": ANYBODYS_READ,
    "CancelTask": OF_A_TASK_WRITE,
}
"""What is expected of each operation, as each caller."""

T, C = "task-1", "config-x"
PUSH = {"url": "https://hooks.example/x"}
NOW = {"returnImmediately": True}
HERE = {"message": message_json(), "configuration": NOW}
THERE = {"message": message_json(taskId=T), "configuration": NOW}
PUSHED = {"message": message_json(), "configuration": {**NOW, "taskPushNotificationConfig": PUSH}}
HERE_OLD: dict[str, Any] = {
    "message": {"messageId": "m", "role": "user", "kind": "message", "parts": [{"kind": "text", "text": "hi"}]},
    "configuration": {"blocking": False},
}
THERE_OLD = {**HERE_OLD, "message": {**HERE_OLD["message"], "taskId": T}}
PUSHED_OLD = {**HERE_OLD, "configuration": {"blocking": False, "pushNotificationConfig": PUSH}}
CONFIG_OLD = {"taskId": T, "pushNotificationConfig": {"id": C, **PUSH}}
PROTO_OLD: dict[str, Any] = {"request": {"messageId": "m", "role": "ROLE_USER", "content": [{"text": "hi"}]}}

RPC: Final[Mapping[str, tuple[str, Any]]] = {
    "SendMessage": ("SendMessage", HERE),
    "SendStreamingMessage": ("SendStreamingMessage", HERE),
    "SendMessage to the task": ("SendMessage", THERE),
    "SendMessage with a push configuration": ("SendMessage", PUSHED),
    "GetTask": ("GetTask", {"id": T}),
    "ListTasks": ("ListTasks", {}),
    "SubscribeToTask": ("SubscribeToTask", {"id": T}),
    "CreateTaskPushNotificationConfig": ("CreateTaskPushNotificationConfig", {"taskId": T, "id": C, **PUSH}),
    "GetTaskPushNotificationConfig": ("GetTaskPushNotificationConfig", {"taskId": T, "id": C}),
    "ListTaskPushNotificationConfigs": ("ListTaskPushNotificationConfigs", {"taskId": T}),
    "DeleteTaskPushNotificationConfig": ("DeleteTaskPushNotificationConfig", {"taskId": T, "id": C}),
    "GetExtendedAgentCard": ("GetExtendedAgentCard", {}),
    "CancelTask": ("CancelTask", {"id": T}),
}
RPC_OLD: Final[Mapping[str, tuple[str, Any]]] = {
    "SendMessage": ("message/send", HERE_OLD),
    "SendStreamingMessage": ("message/stream", HERE_OLD),
    "SendMessage to the task": ("message/send", THERE_OLD),
    "SendMessage with a push configuration": ("message/send", PUSHED_OLD),
    "GetTask": ("tasks/get", {"id": T}),
    "SubscribeToTask": ("tasks/resubscribe", {"id": T}),
    "CreateTaskPushNotificationConfig": ("tasks/pushNotificationConfig/set", CONFIG_OLD),
    "GetTaskPushNotificationConfig": (
        "tasks/pushNotificationConfig/get",
        {"id": T, "pushNotificationConfigId": C},
    ),
    "ListTaskPushNotificationConfigs": ("tasks/pushNotificationConfig/list", {"id": T}),
    "DeleteTaskPushNotificationConfig": (
        "tasks/pushNotificationConfig/delete",
        {"id": T, "pushNotificationConfigId": C},
    ),
    "GetExtendedAgentCard": ("agent/getAuthenticatedExtendedCard", None),
    "CancelTask": ("tasks/cancel", {"id": T}),
}
CONFIGS = f"/tasks/{T}/pushNotificationConfigs"
REST: Final[Mapping[str, tuple[str, str, Any]]] = {
    "SendMessage": ("POST", "/message:send", HERE),
    "SendStreamingMessage": ("POST", "/message:stream", HERE),
    "SendMessage to the task": ("POST", "/message:send", THERE),
    "SendMessage with a push configuration": ("POST", "/message:send", PUSHED),
    "GetTask": ("GET", f"/tasks/{T}", None),
    "ListTasks": ("GET", "/tasks", None),
    "SubscribeToTask": ("POST", f"/tasks/{T}:subscribe", None),
    "CreateTaskPushNotificationConfig": ("POST", CONFIGS, {"id": C, **PUSH}),
    "GetTaskPushNotificationConfig": ("GET", f"{CONFIGS}/{C}", None),
    "ListTaskPushNotificationConfigs": ("GET", CONFIGS, None),
    "DeleteTaskPushNotificationConfig": ("DELETE", f"{CONFIGS}/{C}", None),
    "GetExtendedAgentCard": ("GET", "/extendedAgentCard", None),
    "CancelTask": ("POST", f"/tasks/{T}:cancel", None),
}
REST_OLD: Final[Mapping[str, tuple[str, str, Any]]] = {
    "SendMessage": ("POST", "/v1/message:send", HERE_OLD),
    "SendStreamingMessage": ("POST", "/v1/message:stream", HERE_OLD),
    "SendMessage to the task": ("POST", "/v1/message:send", THERE_OLD),
    "SendMessage with a push configuration": ("POST", "/v1/message:send", PUSHED_OLD),
    "GetTask": ("GET", f"/v1/tasks/{T}", None),
    "SubscribeToTask": ("GET", f"/v1/tasks/{T}:subscribe", None),
    "CreateTaskPushNotificationConfig": ("POST", f"/v1{CONFIGS}", CONFIG_OLD),
    "GetTaskPushNotificationConfig": ("GET", f"/v1{CONFIGS}/{C}", None),
    "ListTaskPushNotificationConfigs": ("GET", f"/v1{CONFIGS}", None),
    "DeleteTaskPushNotificationConfig": ("DELETE", f"/v1{CONFIGS}/{C}", None),
    "GetExtendedAgentCard": ("GET", "/v1/card", None),
    "CancelTask": ("POST", f"/v1/tasks/{T}:cancel", None),
}
NAME_OLD = f"tasks/{T}/pushNotificationConfigs/{C}"
GRPC: Final[Mapping[str, Any]] = {
    name: (method, ParseDict(params, request(), ignore_unknown_fields=True))
    for name, (method, params), request in [
        ("SendMessage", RPC["SendMessage"], a2a_pb2.SendMessageRequest),
        ("SendStreamingMessage", RPC["SendStreamingMessage"], a2a_pb2.SendMessageRequest),
        ("SendMessage to the task", RPC["SendMessage to the task"], a2a_pb2.SendMessageRequest),
        (
            "SendMessage with a push configuration",
            RPC["SendMessage with a push configuration"],
            a2a_pb2.SendMessageRequest,
        ),
        ("GetTask", RPC["GetTask"], a2a_pb2.GetTaskRequest),
        ("ListTasks", RPC["ListTasks"], a2a_pb2.ListTasksRequest),
        ("SubscribeToTask", RPC["SubscribeToTask"], a2a_pb2.SubscribeToTaskRequest),
        (
            "CreateTaskPushNotificationConfig",
            RPC["CreateTaskPushNotificationConfig"],
            a2a_pb2.TaskPushNotificationConfig,
        ),
        (
            "GetTaskPushNotificationConfig",
            RPC["GetTaskPushNotificationConfig"],
            a2a_pb2.GetTaskPushNotificationConfigRequest,
        ),
        (
            "ListTaskPushNotificationConfigs",
            RPC["ListTaskPushNotificationConfigs"],
            a2a_pb2.ListTaskPushNotificationConfigsRequest,
        ),
        (
            "DeleteTaskPushNotificationConfig",
            RPC["DeleteTaskPushNotificationConfig"],
            a2a_pb2.DeleteTaskPushNotificationConfigRequest,
        ),
        ("GetExtendedAgentCard", RPC["GetExtendedAgentCard"], a2a_pb2.GetExtendedAgentCardRequest),
        ("CancelTask", RPC["CancelTask"], a2a_pb2.CancelTaskRequest),
    ]
}
GRPC_OLD: Final[Mapping[str, Any]] = {
    name: (method, ParseDict(params, request()))
    for name, method, params, request in [
        ("SendMessage", "SendMessage", PROTO_OLD, a2a_v0_3_pb2.SendMessageRequest),
        ("SendStreamingMessage", "SendStreamingMessage", PROTO_OLD, a2a_v0_3_pb2.SendMessageRequest),
        ("GetTask", "GetTask", {"name": f"tasks/{T}"}, a2a_v0_3_pb2.GetTaskRequest),
        ("SubscribeToTask", "TaskSubscription", {"name": f"tasks/{T}"}, a2a_v0_3_pb2.TaskSubscriptionRequest),
        (
            "CreateTaskPushNotificationConfig",
            "CreateTaskPushNotificationConfig",
            {"parent": f"tasks/{T}", "configId": C, "config": {"pushNotificationConfig": {"id": C, **PUSH}}},
            a2a_v0_3_pb2.CreateTaskPushNotificationConfigRequest,
        ),
        (
            "GetTaskPushNotificationConfig",
            "GetTaskPushNotificationConfig",
            {"name": NAME_OLD},
            a2a_v0_3_pb2.GetTaskPushNotificationConfigRequest,
        ),
        (
            "ListTaskPushNotificationConfigs",
            "ListTaskPushNotificationConfig",
            {"parent": f"tasks/{T}"},
            a2a_v0_3_pb2.ListTaskPushNotificationConfigRequest,
        ),
        (
            "DeleteTaskPushNotificationConfig",
            "DeleteTaskPushNotificationConfig",
            {"name": NAME_OLD},
            a2a_v0_3_pb2.DeleteTaskPushNotificationConfigRequest,
        ),
        ("GetExtendedAgentCard", "GetAgentCard", {}, a2a_v0_3_pb2.GetAgentCardRequest),
        ("CancelTask", "CancelTask", {"name": f"tasks/{T}"}, a2a_v0_3_pb2.CancelTaskRequest),
    ]
}


def headers(caller: str) -> dict[str, str]:
    """Say who it is."""
    return {} if caller == "nobody" else {"authorization": f"Bearer {caller}"}


async def staged(methods: MethodServices | None = None) -> Stage:
    credentials = tuple(Credential(caller, TokenHash.of(name.encode())) for name, caller in CREDENTIALS.items())
    known = Roll(Registry(credentials), TurnedClock())
    stage = Stage(pushes=True, authenticate=Callers((known,)), methods=methods or MethodServices())
    await stage.begin(T, OWNER)
    async with stage.client(headers("owner") | {"a2a-version": "1.0"}) as client:
        assert (await client.post(CONFIGS, json={"id": C, **PUSH})).status_code == 200
    return stage


def reason(told: Any) -> str:
    """Read why a call was refused, in whichever shape it is told."""
    error = told if "code" in told and "data" in told else told.get("error")  # HTTP of 0.3 has it on top
    if error is None:
        return OK
    details = error.get("details", error.get("data"))
    return str(details["type"] if isinstance(details, dict) else details[0]["reason"])


@frozen
class Wire:
    """A binding in a version, and what its operations are there."""

    name: str
    calls: Mapping[str, Any]
    say: Callable[[Stage, Any, str], Awaitable[str]]


async def by_rpc(stage: Stage, call: Any, caller: str) -> str:
    method, params = call
    old = "/" in method
    async with stage.client(headers(caller) | {"a2a-version": "0.3" if old else "1.0"}) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": method} | ({} if params is None else {"params": params})
        return await _first(client, "POST", "/", body)


async def by_rest(stage: Stage, call: Any, caller: str) -> str:
    method, path, body = call
    old = path.startswith("/v1")
    async with stage.client(headers(caller) | {"a2a-version": "0.3" if old else "1.0"}) as client:
        return await _first(client, method, path, body)


async def _first(client: Any, method: str, path: str, body: Any) -> str:
    """Read an answer, of a stream the first frame."""
    sent = client.build_request(method, path, json=body)
    answer = await client.send(sent)
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        text = next(line[5:] for line in text.splitlines() if line.startswith("data:"))
    return reason(json.loads(text) if text else {})


async def by_grpc(stage: Stage, call: Any, caller: str, *, old: bool = False) -> str:
    method, request = call
    metadata = (*headers(caller).items(), *(() if old else (("a2a-version", "1.0"),)))
    async with line(stage) as opened:
        called = getattr(opened.v03 if old else opened.v1, method)(request, metadata=metadata)
        try:
            if hasattr(called, "read"):
                await called.read()
                called.cancel()
            else:
                await called
        except grpc.aio.AioRpcError as error:
            return refusal(error).reason
    return OK


async def by_grpc_old(stage: Stage, call: Any, caller: str) -> str:
    return await by_grpc(stage, call, caller, old=True)


WIRES = [
    Wire("JSON-RPC", RPC, by_rpc),
    Wire("HTTP+JSON", REST, by_rest),
    Wire("JSON-RPC of 0.3", RPC_OLD, by_rpc),
    Wire("HTTP+JSON of 0.3", REST_OLD, by_rest),
    Wire("gRPC", GRPC, by_grpc),
    Wire("gRPC of 0.3", GRPC_OLD, by_grpc_old),
]


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_who_may_do_what(wire: Wire) -> None:
    found: dict[str, dict[str, str]] = {}
    for operation, call in wire.calls.items():
        stage = await staged()
        stage.drain.begin()  # a stream ends after what it opens with
        # The owner is last: what the others were refused has changed nothing.
        found[operation] = {caller: await wire.say(stage, call, caller) for caller in MATRIX[operation]}
        await stage.end()

    assert found == {operation: MATRIX[operation] for operation in wire.calls}


_SOMETHING: Any = {part.name: Any for part in attrs.fields(MethodServices)} | {"enabled": frozenset(Capability)}
PARTS = MethodServices(**_SOMETHING)
"""Something behind each method, and all that is dangerous switched on: who may not is refused before it is reached."""


def expected(risk: Risk, capability: Capability | None) -> dict[str, bool]:
    """Say who is refused for want of rights."""
    return {"reader": risk is not Risk.READ, "writer": capability is not None, "owner": False, "other": False}


@pytest.mark.parametrize("method", TABLE, ids=lambda method: method.name)
async def test_who_may_call_an_extension_method(method: ExtensionMethod) -> None:
    stage = await staged(PARTS)

    told = {}
    for caller in ("nobody", "wrong", *expected(method.risk, method.capability)):
        told[caller] = await by_rpc(stage, (method.name, {}), caller)
    await stage.end()

    assert told.pop("nobody") == told.pop("wrong") == UNKNOWN
    assert {caller: reason == DENIED for caller, reason in told.items()} == expected(method.risk, method.capability)


async def test_what_is_off_is_off_for_who_could_not_use_it_either() -> None:
    stage = await staged(evolve(PARTS, enabled=frozenset()))

    told = await by_rpc(stage, ("opencode.sessions.shell", {}), "writer")
    await stage.end()

    assert told != DENIED


async def test_a_denial_is_recorded_with_who_and_what() -> None:
    stage = await staged()

    await by_rpc(stage, RPC["CancelTask"], "reader")
    await by_rest(stage, REST["CancelTask"], "reader")
    await by_grpc(stage, GRPC["CancelTask"], "reader")
    await by_grpc(stage, GRPC_OLD["CancelTask"], "reader", old=True)
    await by_rpc(stage, RPC["CancelTask"], "other")
    await by_rpc(stage, RPC["CancelTask"], "owner")
    await stage.end()

    records = [(record.action, record.principal, record.outcome) for record in stage.audit.records]
    assert records == [
        *[("denied", OWNER, "Forbidden")] * 4,
        ("task.cancel", "other", "TaskNotFound"),
        ("task.cancel", OWNER, "done"),
    ]
    assert all(record.details.get("credential") == "reader" for record in stage.audit.records[:4])
    assert stage.audit.records[0].subject == {"operation": "CancelTask"}


async def test_an_address_that_fails_too_often_is_held_off_and_who_has_a_token_is_not() -> None:
    clock, audit = TurnedClock(), FakeAudit()
    secret = PasswordHash.of(b"geheim")
    registry = Registry(
        (
            Credential(Caller(OWNER, "password"), secret, "owner"),
            Credential(Caller(OWNER, "token"), TokenHash.of(b"owner")),
        )
    )
    callers = Callers((Roll(registry, clock),), ("Bearer", "Basic"), LimitAttempts(clock, audit, 60, 3))
    stage = Stage(authenticate=callers)
    right = {"authorization": "Basic " + base64.b64encode(b"owner:geheim").decode()}

    async with stage.client(headers("wrong")) as client:
        failed = [await client.get("/health") for _ in range(5)]
    async with stage.client(right) as client:
        password = await client.get("/health")
    async with stage.client(headers("owner")) as client:
        token = await client.get("/health")
    await clock.turn(120)
    async with stage.client(right) as client:
        later = await client.get("/health")

    assert [answer.status_code for answer in failed] == [401, 401, 401, 429, 429]
    assert failed[0].headers["www-authenticate"].startswith("Bearer, Basic realm=")
    assert int(failed[3].headers["retry-after"]) > 0
    assert (password.status_code, token.status_code, later.status_code) == (429, 200, 200)
    assert [record.outcome for record in audit.records] == ["refused", "blocked"]
    assert audit.records[0].subject == {"address": "127.0.0.1"}


async def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    clock = TurnedClock()
    known = Roll(Registry((Credential(CREDENTIALS["owner"], TokenHash.of(b"owner")),)), clock)
    stage = Stage(authenticate=Callers((known,), requests=LimitRequests(clock, 60, 2)))

    async with stage.client(headers("owner")) as client:
        statuses = [(await client.get("/health")).status_code for _ in range(2)]
        refused = await client.get("/tasks")
        told = await client.post("/", json={"jsonrpc": "2.0", "id": 1, "method": "ListTasks"})
    await clock.turn(float(refused.headers["retry-after"]))
    async with stage.client(headers("owner")) as client:
        again = await client.get("/health")

    assert statuses == [200, 200]
    assert refused.status_code == told.status_code == 429
    assert told.json()["error"]["details"][0]["reason"] == "RATE_LIMITED"
    assert refused.json()["error"]["details"][1]["retryDelay"] == f"{refused.headers['retry-after']}s"
    assert again.status_code == 200
