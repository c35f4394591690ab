"""The OpenAPI document: it describes what is served, all of it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from attrs import evolve
from jsonschema import Draft202012Validator, ValidationError
from litestar import Litestar, get
from openapi_spec_validator import OpenAPIV31SpecValidator

from opencode_a2a_server.adapters.inbound.a2a.app import METHODS
from opencode_a2a_server.adapters.inbound.a2a.card.document import VERSIONS
from opencode_a2a_server.adapters.inbound.a2a.card.security import Provider, Security
from opencode_a2a_server.adapters.inbound.a2a.encode import to_json
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE
from opencode_a2a_server.adapters.inbound.a2a.openapi import methods, paths
from opencode_a2a_server.adapters.inbound.a2a.openapi.document import Service, document
from opencode_a2a_server.adapters.inbound.a2a.openapi.schemas import REF, Schemas
from opencode_a2a_server.adapters.inbound.a2a.routes import every_operation
from opencode_a2a_server.domain.message import DataPart, RawPart, TextPart, UrlPart
from opencode_a2a_server.domain.updates import BlockKind, InterruptRaised, Update
from tests.adapters.inbound.a2a.keys import KEYS
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import CARD, Stage, message_json, untouched
from tests.adapters.inbound.a2a.updates import COMPLETED, PERMISSION, RETRYING, STARTED, answered, more, told
from tests.adapters.inbound.a2a.v03.test_methods import NO_VERSION, OLD, message
from tests.fakes.clock import settled

pytestmark = pytest.mark.anyio

Document = Mapping[str, Any]
NEVER = {-32003, -32004, -32007}
"""Codes which say that there is no such thing here, whatever is asked of it."""


@cache
def described(versions: tuple[str, ...] = VERSIONS, *, pushes: bool = True) -> Document:
    """Give the document, as it is served."""
    switched_on = {methods.EXTENDED_CARD, *([methods.PUSH] if pushes else [])}
    service = Service(CARD.title, CARD.version, CARD.description, CARD.public_url, versions, switched_on)
    made: Document = json.loads(
        to_json(document(service, Stage(pushes=pushes, versions=versions, signed_with=KEYS).app.routes))
    )
    return made


def operations(api: Document) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods_ in api["paths"].items()
        for method, operation in methods_.items()
    }


def references(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from references(item)


def check(api: Document, schema: Mapping[str, Any], value: object) -> None:
    """Hold a value against a schema of the document."""
    Draft202012Validator({**schema, "components": api["components"]}).validate(value)


@pytest.mark.parametrize(("versions", "pushes"), [(("1.0", "0.3"), True), (("1.0",), False), (("0.3",), False)])
async def test_the_document_is_valid(versions: tuple[str, ...], *, pushes: bool) -> None:
    api = described(versions, pushes=pushes)

    assert not list(OpenAPIV31SpecValidator(api).iter_errors())


async def test_every_reference_leads_somewhere_and_every_component_is_referred_to() -> None:
    api = described()

    wanted = set(references(api)) | {one["$ref"] for one in api["components"]["schemas"]["Call"]["oneOf"]}
    assert wanted == {REF + name for name in api["components"]["schemas"]}


async def test_every_schema_is_one() -> None:
    api = described()

    for schema in api["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_every_route_is_described_or_always_refused_and_nothing_else_is() -> None:
    stage = Stage(pushes=True, signed_with=KEYS)
    routes = set(every_operation(stage.app.routes))

    assert routes == {*paths.DESCRIBED, *paths.REFUSED, paths.RPC}
    assert set(operations(described())) == routes - paths.REFUSED


@pytest.mark.parametrize(("method", "path"), sorted(paths.REFUSED))
async def test_a_route_that_is_not_described_only_refuses(method: str, path: str) -> None:
    stage = Stage(pushes=True)
    await stage.begin()
    concrete = path.format(task="task-1", config="config-1")

    async with stage.client(OLD if path.startswith("/v1") else None) as client:
        body = {"taskId": "task-1", "url": "https://agent.example/hook"}
        answer = await client.request(method, concrete, json=body if method == "POST" else None)

    assert answer.status_code == 400


def test_every_method_is_described_and_nothing_else_is() -> None:
    described_ = {(method.version, method.name) for method in methods.DESCRIBED}

    assert described_ == {(version, name) for version, table in METHODS.items() for name in table}


def test_a_route_that_nobody_described_leaves_the_document_unmade() -> None:
    @get("/new")
    async def new() -> None: ...

    with pytest.raises(LookupError, match="GET /new is served and not described"):
        document(Service("", "", "", "", ("1.0",)), Litestar([new], logging_config=None).routes)


async def test_only_what_is_switched_on_is_described() -> None:
    without = described(("1.0",), pushes=False)
    new, old = (
        {method.name for method in methods.served(["1.0"], {methods.EXTENDED_CARD})},
        {"message/send", "tasks/get"},
    )
    named = set(without["components"]["schemas"]["Call"]["discriminator"]["mapping"])

    assert not [path for path in without["paths"] if path.startswith("/v1") or "push" in path]
    assert named == new
    assert not named & old
    assert not [name for name in without["components"]["schemas"] if name.startswith("V03")]


def test_extension_methods_are_described_from_their_own_table() -> None:
    switched_on = {method.name for method in TABLE}
    service = Service("", "", "", "https://agent.example", ("1.0",), switched_on)
    api = json.loads(to_json(document(service, Stage(versions=("1.0",)).app.routes)))

    named = api["components"]["schemas"]["Call"]["discriminator"]["mapping"]
    assert not list(OpenAPIV31SpecValidator(api).iter_errors())
    assert set(named) == {*(method.name for method in methods.served(["1.0"], ())), *(method.name for method in TABLE)}
    call = {"jsonrpc": "2.0", "id": 1, "method": "opencode.sessions.get", "params": {"session_id": "ses_1"}}
    check(api, {"$ref": named["opencode.sessions.get"]}, call)
    with pytest.raises(ValidationError, match="does not match"):
        check(api, {"$ref": named["opencode.sessions.get"]}, {**call, "params": {"session_id": "../1"}})


def test_only_extension_methods_that_are_served_are_described() -> None:
    served = {method.name for method in methods.served(["1.0"], ["opencode.sessions.list"])}

    assert {name for name in served if name.startswith("opencode.")} == {"opencode.sessions.list"}


async def test_the_document_is_served() -> None:
    async with Stage(pushes=True, signed_with=KEYS).client() as client:
        first, again = await client.get("/openapi.json"), await client.get("/openapi.json")

    assert first.json() == again.json() == described()


async def test_the_document_needs_credentials() -> None:
    async with untouched().client({}) as client:
        assert (await client.get("/openapi.json")).status_code == 401


async def test_how_callers_say_who_they_are_is_told_as_the_card_tells_it() -> None:
    scopes = ("agent.read", "agent.send")
    provider = Provider(
        "https://login.example/metadata", "https://login.example/auth", "https://login.example/t", scopes
    )
    stage = Stage(card=evolve(CARD, security=Security(tokens=True, passwords=True, provider=provider)))
    async with stage.client() as client:
        api = (await client.get("/openapi.json")).json()
        card = (await client.get("/.well-known/agent-card.json")).json()

    told = api["components"]["securitySchemes"]
    assert not list(OpenAPIV31SpecValidator(api).iter_errors())
    assert told.keys() == card["securitySchemes"].keys() == {"bearerAuth", "basicAuth", "openId", "oauth2"}
    assert told["bearerAuth"] == {"type": "http", "scheme": "bearer", "bearerFormat": "opaque"}
    assert told["basicAuth"] == {"type": "http", "scheme": "basic"}
    assert told["openId"] == {"type": "openIdConnect", "openIdConnectUrl": "https://login.example/metadata"}
    assert told["oauth2"]["flows"]["authorizationCode"]["tokenUrl"] == "https://login.example/t"
    assert api["security"] == [{"bearerAuth": []}, {"basicAuth": []}, {"openId": [*scopes]}, {"oauth2": [*scopes]}]


@pytest.mark.parametrize(
    ("security", "names"),
    [
        (Security(), {"bearerAuth"}),
        (Security(passwords=True), {"bearerAuth", "basicAuth"}),
        (Security(tokens=False, provider=Provider("https://login.example")), {"openId"}),
        (Security(tokens=False, provider=Provider("https://login.example", "", "https://t")), {"openId", "oauth2"}),
    ],
)
def test_no_scheme_is_described_that_is_not_configured(security: Security, names: set[str]) -> None:
    service = Service("", "", "", "https://agent.example", ("1.0",), (), security)
    api = json.loads(to_json(document(service, Stage(versions=("1.0",)).app.routes)))

    assert not list(OpenAPIV31SpecValidator(api).iter_errors())
    assert set(api["components"]["securitySchemes"]) == names == {name for one in api["security"] for name in one}


async def test_the_card_and_its_keys_are_open_to_all_and_all_else_is_not() -> None:
    api = described()

    public = {path for (_, path), operation in operations(api).items() if operation.get("security") == []}
    assert public == {"/.well-known/agent-card.json", "/.well-known/agent.json", "/.well-known/jwks.json"}


@pytest.mark.parametrize("path", [path for (_, path), operation in paths.DESCRIBED.items() if operation.tagged])
async def test_who_has_a_document_already_is_told_so_as_it_is_described(path: str) -> None:
    async with untouched().client(OLD) as client:
        concrete = path.format(name="stream-hints")
        answer = await client.get(concrete)
        again = await client.get(concrete, headers={"if-none-match": answer.headers["etag"]})

    responses = described()["paths"][path]["get"]["responses"]
    assert (again.status_code, again.content) == (304, b"")
    assert "304" in responses
    assert "ETag" in responses["200"]["headers"]


AT_ONCE = {"configuration": {"returnImmediately": True}}
CONFIG = {"taskId": "task-1", "id": "config-1", "url": "https://agent.example/hook", "token": "t"}
OLD_CONFIG = {
    "taskId": "task-1",
    "pushNotificationConfig": {"url": "https://agent.example/hook", "authentication": {"schemes": ["Bearer"]}},
}
CONFIGS = "/tasks/{task}/pushNotificationConfigs"
REST = [
    ("POST", "/message:send", {"message": message_json(), **AT_ONCE}, 200),
    ("POST", "/message:send", {"message": {}}, 400),
    ("GET", "/tasks", None, 200),
    ("GET", "/tasks/{id}", None, 200),
    ("POST", "/tasks/{id}:cancel", {"metadata": {"why": "enough"}}, 200),
    ("POST", CONFIGS, CONFIG, 200),
    ("GET", CONFIGS, None, 200),
    ("GET", f"{CONFIGS}/{{config}}", None, 404),
    ("DELETE", f"{CONFIGS}/{{config}}", None, 200),
    ("POST", "/v1/message:send", {"message": message(), "configuration": {"blocking": False}}, 200),
    ("POST", "/v1/message:send", {}, 400),
    ("GET", "/v1/tasks/{id}", None, 200),
    ("POST", f"/v1{CONFIGS}", OLD_CONFIG, 200),
    ("POST", f"/v1{CONFIGS}", {"configId": "config-1", "config": OLD_CONFIG}, 200),
    ("POST", f"/v1{CONFIGS}", {}, 400),
    ("GET", f"/v1{CONFIGS}", None, 200),
    ("GET", f"/v1{CONFIGS}/{{config}}", None, 404),
    ("DELETE", f"/v1{CONFIGS}/{{config}}", None, 200),
    ("POST", "/v1/tasks/{id}:cancel", None, 200),
    ("GET", "/.well-known/agent-card.json", None, 200),
    ("GET", "/.well-known/agent.json", None, 200),
    ("GET", "/.well-known/jwks.json", None, 200),
    ("GET", "/health", None, 200),
    ("GET", "/openapi.json", None, 200),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REST)
async def test_answers_are_as_they_are_described(method: str, path: str, body: object, status: int) -> None:
    stage = Stage(pushes=True)
    await stage.begin()
    api = described()
    concrete = path.format(id="task-1", task="task-1", config="config-1")

    async with stage.client(OLD if path.startswith("/v1") else None) as client:
        answer = await client.request(method, concrete, json=body)

    operation = operations(api)[(method, path)]
    media_type = answer.headers["content-type"]
    assert answer.status_code == status
    check(api, operation["responses"][str(status)]["content"][media_type]["schema"], answer.json())
    if status == 200 and body is not None:
        check(api, operation["requestBody"]["content"]["application/json"]["schema"], body)


NEW = {"message": message_json(), **AT_ONCE}
RPC = [
    ("SendMessage", NEW),
    ("GetTask", {"id": "task-1", "historyLength": 1}),
    ("GetTask", {"id": "task-1", "historyLength": "1"}),
    ("ListTasks", {"status": "TASK_STATE_SUBMITTED"}),
    ("ListTasks", {"status": 1, "pageSize": None}),
    ("CancelTask", {"id": "task-1"}),
    ("CreateTaskPushNotificationConfig", CONFIG),
    ("ListTaskPushNotificationConfigs", {"taskId": "task-1"}),
    ("DeleteTaskPushNotificationConfig", {"taskId": "task-1", "id": "x"}),
    ("message/send", {"message": message(), "configuration": {"blocking": False}}),
    ("tasks/get", {"id": "task-1"}),
    ("tasks/cancel", {"id": "task-1"}),
    ("tasks/pushNotificationConfig/set", OLD_CONFIG),
    ("tasks/pushNotificationConfig/list", {"id": "task-1"}),
    ("tasks/pushNotificationConfig/delete", {"id": "task-1", "pushNotificationConfigId": "x"}),
]


@pytest.mark.parametrize(("method", "params"), RPC)
async def test_calls_and_their_results_are_as_they_are_described(method: str, params: Mapping[str, object]) -> None:
    stage = Stage(pushes=True)
    await stage.begin()
    api = described()
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    async with stage.client(OLD) as client:
        answer = (await client.post("/", json=call)).json()

    schemas = api["components"]["schemas"]
    check(api, {"$ref": schemas["Call"]["discriminator"]["mapping"][method]}, call)
    assert "result" in answer, answer
    (entry,) = [one for one in methods.DESCRIBED if one.name == method]
    check(api, entry.result(Schemas()), answer["result"])
    answers = api["paths"]["/"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    check(api, answers, answer)


TALE: list[Update] = [
    STARTED,
    RETRYING,
    told("prt_1", TextPart("a")),
    more("prt_1", "b", last=True),
    told("prt_2", DataPart({"tool": "bash"}), kind=BlockKind.TOOL, name="bash"),
    told("prt_3", RawPart(b"png", "image/png", "a.png"), kind=BlockKind.CONTENT),
    told("prt_4", UrlPart("https://agent.example/a"), kind=BlockKind.CONTENT),
    InterruptRaised(PERMISSION),
    answered("per_1"),
    COMPLETED,
]


@pytest.mark.parametrize("version", ["", "1.0"])
async def test_errors_of_extension_methods_are_as_they_are_described(version: str) -> None:
    api = described()
    call = {"jsonrpc": "2.0", "id": 1, "method": "opencode.sessions.get", "params": {}}
    async with untouched().client(OLD | {"a2a-version": version}) as client:
        answer = (await client.post("/", json=call)).json()

    answers = api["paths"]["/"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert isinstance(answer["error"]["data"], list if version else dict)
    check(api, answers, answer)


@pytest.mark.parametrize("method", ["ListTasks", "GetTask"])
async def test_parameters_may_be_left_out_where_none_is_needed(method: str) -> None:
    api = described()
    async with untouched().client() as client:
        answer = (await client.post("/", json={"jsonrpc": "2.0", "id": 1, "method": method})).json()

    needed = api["components"]["schemas"][f"{method}Call"]["required"]
    assert ("params" in needed) is ("error" in answer)


@pytest.mark.parametrize("method", [method for method in methods.DESCRIBED if method.streams])
async def test_frames_of_a_stream_are_as_they_are_described(method: methods.Method) -> None:
    stage = Stage()
    log = await stage.begin()
    api = described()
    sent = message() if method.version == "0.3" else message_json()
    params = {"message": {**sent, "taskId": "task-1"}} if "end" in method.name or "message" in method.name else {}
    listener = await Listener.rpc(stage.app, method.name, {"id": "task-1", **params}, headers=NO_VERSION)

    log.append(TALE)
    await settled()

    frames = api["paths"]["/"]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert len(listener.frames) == len(TALE) + 1
    for frame in listener.frames:
        check(api, method.result(Schemas()), frame.result)
        check(api, frames["properties"]["data"]["contentSchema"], frame.data)


@pytest.mark.parametrize("path", ["/tasks/{id}:subscribe", "/v1/tasks/{id}:subscribe"])
async def test_frames_over_http_are_as_they_are_described(path: str) -> None:
    stage = Stage()
    log = await stage.begin()
    api = described()
    listener = await Listener.rest(stage.app, path.format(id="task-1"), headers=NO_VERSION)

    log.append(TALE)
    await settled()

    frames = api["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert len(listener.frames) == len(TALE) + 1
    for frame in listener.frames:
        check(api, frames["properties"]["data"]["contentSchema"], frame.data)
