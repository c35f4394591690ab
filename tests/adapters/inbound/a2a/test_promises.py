"""
The cards promise nothing that is refused, and nothing that is served is left out.

Each card of several services is walked: every interface, capability, extension, method, scheme and key that it names is
tried out on the service; and what is turned off is neither promised nor served.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from a2a import types as a2a
from a2a.compat.v0_3 import a2a_v0_3_pb2 as proto
from attrs import evolve, frozen
from google.protobuf.json_format import MessageToDict, ParseDict

from opencode_a2a_server.adapters.inbound.a2a.app import METHODS
from opencode_a2a_server.adapters.inbound.a2a.card.document import VERSIONS, agent_card
from opencode_a2a_server.adapters.inbound.a2a.card.extension import Extension
from opencode_a2a_server.adapters.inbound.a2a.card.extensions import STREAM_HINTS, extensions
from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from opencode_a2a_server.adapters.inbound.a2a.card.served import Cards, Form
from opencode_a2a_server.adapters.inbound.a2a.methods.row import MethodServices
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE
from opencode_a2a_server.adapters.inbound.a2a.requests import read_send
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from tests.adapters.inbound.a2a.grpc.line import METADATA, OLD, line
from tests.adapters.inbound.a2a.keys import KEYS, signer_of
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import CARD, HEADERS, Stage, message_json
from tests.adapters.inbound.a2a.test_signing import protected
from tests.fakes.clock import TurnedClock
from tests.fakes.sessions import FakeSessions

pytestmark = pytest.mark.anyio

NOT_THERE = {
    "METHOD_NOT_FOUND",
    "UNSUPPORTED_OPERATION",
    "VERSION_NOT_SUPPORTED",
    "METHOD_DISABLED",
    "METHOD_NOT_SUPPORTED",
}
"""Reasons of refusals which say that there is no such thing here, whatever is asked of it."""


@frozen
class Offer:
    """A service as an operator may have set it up."""

    versions: tuple[str, ...] = VERSIONS
    pushes: bool = False
    extended: bool = True
    grpc: bool = False
    signed: bool = False
    methods: bool = False
    required: tuple[str, ...] = ()

    def stage(self) -> Stage:
        """Set it up."""
        card = evolve(CARD, extended=self.extended, grpc_address="agent.example:50051" if self.grpc else "")
        runtime = FakeSessions()
        sessions = ReadSessions(runtime.reader, runtime.reach(TurnedClock())) if self.methods else None
        return Stage(
            versions=self.versions,
            pushes=self.pushes,
            card=card,
            signed_with=KEYS if self.signed else None,
            methods=MethodServices(sessions=sessions),
            required=self.required,
        )


OFFERS: Mapping[str, Offer] = {
    "plain": Offer(),
    "everything": Offer(pushes=True, grpc=True, signed=True, methods=True),
    "1.0 alone": Offer(versions=("1.0",), methods=True),
    "0.3 alone": Offer(versions=("0.3",)),
    "as little as possible": Offer(versions=("1.0",), extended=False),
    "demanding": Offer(pushes=True, methods=True, required=(STREAM_HINTS,)),
}


@pytest.fixture(params=OFFERS)
def offer(request: pytest.FixtureRequest) -> Offer:
    return OFFERS[request.param]


async def cards(stage: Stage, offer: Offer) -> list[a2a.AgentCard]:
    """Give the cards as the service tells them, for who reads 1.0."""
    async with stage.client({}) as client:
        told = [(await client.get("/.well-known/agent-card.json")).json()]
    if offer.extended and "1.0" in offer.versions:
        told.append((await stage.rpc("GetExtendedAgentCard"))["result"])
    return [a2a_card(one) for one in told]


def a2a_card(told: Mapping[str, Any]) -> a2a.AgentCard:
    return ParseDict(dict(told), a2a.AgentCard(), ignore_unknown_fields=True)


async def rpc(stage: Stage, version: str, method: str, params: object) -> dict[str, Any]:
    headers = {**HEADERS, "a2a-version": version, "a2a-extensions": ", ".join(stage.required)}
    async with stage.client(headers) as client:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = (await client.post("/", json=call)).text
    told: dict[str, Any] = json.loads(answer.removeprefix("data: "))  # of a method that streams
    return told


def reason(told: Mapping[str, Any]) -> str:
    """Say why it was refused, empty if it was not."""
    details = told.get("error", {}).get("data", [])
    if isinstance(details, Mapping):  # of an extension method, for clients of 0.3
        return str(details["type"])
    return str(details[0]["reason"]) if details else ""


async def test_every_interface_answers(offer: Offer) -> None:
    stage = offer.stage()
    await stage.begin()
    seen = set()

    for card in await cards(stage, offer):
        for interface in card.supported_interfaces:
            seen.add((interface.protocol_binding, interface.protocol_version))
            assert await answers(stage, interface) == "task-1"

    bindings = ["JSONRPC", "HTTP+JSON", *(["GRPC"] if offer.grpc else [])]
    assert seen == {(binding, version) for binding in bindings for version in offer.versions}


async def answers(stage: Stage, interface: a2a.AgentInterface) -> str:
    """Get a task over an interface."""
    old = interface.protocol_version == "0.3"
    if interface.protocol_binding == "JSONRPC":
        method = "tasks/get" if old else "GetTask"
        return str((await rpc(stage, interface.protocol_version, method, {"id": "task-1"}))["result"]["id"])
    if interface.protocol_binding == "GRPC":
        async with line(stage) as called:
            if old:
                return str((await called.v03.GetTask(proto.GetTaskRequest(name="tasks/task-1"), metadata=OLD)).id)
            return str((await called.v1.GetTask(a2a.GetTaskRequest(id="task-1"), metadata=METADATA)).id)
    headers = {**HEADERS, "a2a-version": interface.protocol_version, "a2a-extensions": ", ".join(stage.required)}
    async with stage.client(headers) as client:
        return str((await client.get(f"{interface.url}{'/v1' if old else ''}/tasks/task-1")).json()["id"])


async def test_a_version_or_binding_that_is_not_named_is_not_served(offer: Offer) -> None:
    stage = offer.stage()
    await stage.begin()

    for version in {*VERSIONS, "2.0"} - set(offer.versions):
        method = "tasks/get" if version == "0.3" else "GetTask"
        assert reason(await rpc(stage, version, method, {"id": "task-1"})) == "VERSION_NOT_SUPPORTED"
        async with stage.client({**HEADERS, "a2a-version": version}) as client:
            path = "/v1/tasks/task-1" if version == "0.3" else "/tasks/task-1"
            assert (await client.get(path)).status_code in (400, 404)
        if version in VERSIONS:
            async with line(stage) as called:
                service = "a2a.v1" if version == "0.3" else "lf.a2a.v1"
                with pytest.raises(grpc.aio.AioRpcError) as gone:
                    await called.raw(f"/{service}.A2AService/GetTask")(b"", metadata=METADATA)
                assert gone.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_every_method_of_a_promised_version_is_there(offer: Offer) -> None:
    stage = offer.stage()
    unsupported = set()

    for version in offer.versions:
        for method in METHODS[version]:
            if reason(await rpc(stage, version, method, {})) in {*NOT_THERE, "EXTENDED_AGENT_CARD_NOT_CONFIGURED"}:
                unsupported.add(method)

    off = {"GetExtendedAgentCard", "agent/getAuthenticatedExtendedCard"}
    assert unsupported == (set() if offer.extended else {name for v in offer.versions for name in METHODS[v]} & off)


async def test_capabilities_are_what_is_served(offer: Offer) -> None:
    stage = offer.stage()
    await stage.begin()
    old = "1.0" not in offer.versions
    headers = {**HEADERS, "a2a-version": "0.3" if old else "1.0", "a2a-extensions": ", ".join(offer.required)}
    method, params = ("tasks/resubscribe" if old else "SubscribeToTask"), {"id": "task-1"}
    push = (
        ("tasks/pushNotificationConfig/list", {"id": "task-1"})
        if old
        else (
            "ListTaskPushNotificationConfigs",
            {"taskId": "task-1"},
        )
    )
    card = "agent/getAuthenticatedExtendedCard" if old else "GetExtendedAgentCard"

    listener = await Listener.rpc(stage.app, method, params, headers=headers)
    configs = await rpc(stage, headers["a2a-version"], *push)
    extended = await rpc(stage, headers["a2a-version"], card, {})

    for told in await cards(stage, offer):
        capabilities = told.capabilities
        assert capabilities.streaming == listener.answer_headers["content-type"].startswith("text/event-stream")
        assert capabilities.push_notifications == ("result" in configs) == offer.pushes
        assert capabilities.extended_agent_card == ("result" in extended) == offer.extended
    await listener.leave()


async def test_every_extension_is_activated_and_every_method_of_it_is_there(offer: Offer) -> None:
    stage = offer.stage()
    await stage.begin()
    version = offer.versions[0]

    for card in await cards(stage, offer):
        for extension in card.capabilities.extensions:
            asked = ", ".join({extension.uri, *offer.required})
            async with stage.client({**HEADERS, "a2a-version": version, "a2a-extensions": asked}) as client:
                answer = await client.get("/v1/tasks/task-1" if version == "0.3" else "/tasks/task-1")
            assert extension.uri in answer.headers["a2a-extensions"]
            for method in methods_in(extension):
                assert reason(await rpc(stage, version, method, {})) not in NOT_THERE


def methods_in(extension: a2a.AgentExtension) -> Iterator[str]:
    named = MessageToDict(extension.params).get("methods", {})
    yield from named.values()


async def test_an_extension_or_method_that_is_not_served_is_not_named(offer: Offer) -> None:
    stage = offer.stage()
    version = offer.versions[0]
    named = [one for card in await cards(stage, offer) for one in card.capabilities.extensions]
    promised = {method for extension in named for method in methods_in(extension)}

    for method in TABLE:
        there = reason(await rpc(stage, version, method.name, {})) not in NOT_THERE
        assert there == (method.name in promised), method.name
    gone = {one.uri for one in extensions()} - {extension.uri for extension in named}
    asked = ", ".join({*gone, *offer.required})
    await stage.begin()
    async with stage.client({**HEADERS, "a2a-version": version, "a2a-extensions": asked}) as client:
        answer = await client.get("/v1/tasks/task-1" if version == "0.3" else "/tasks/task-1")
    assert answer.headers.get("a2a-extensions", "") == ", ".join(offer.required)


async def test_what_is_required_is_what_is_demanded(offer: Offer) -> None:
    stage = offer.stage()
    await stage.begin()
    version = offer.versions[0]

    async with stage.client({**HEADERS, "a2a-version": version}) as client:
        answer = await client.get("/v1/tasks/task-1" if version == "0.3" else "/tasks/task-1")

    for card in await cards(stage, offer):
        required = [one.uri for one in card.capabilities.extensions if one.required]
        assert bool(required) == (answer.status_code == 400 and "EXTENSION_SUPPORT_REQUIRED" in answer.text)
        assert tuple(required) == offer.required


async def test_the_scheme_is_the_one_that_lets_in(offer: Offer) -> None:
    stage = offer.stage()
    async with stage.client({}) as client:
        refused = await client.get("/health")
        let_in = await client.get("/health", headers=HEADERS)

    assert (refused.status_code, let_in.status_code) == (401, 200)
    for card in await cards(stage, offer):
        required = [name for one in card.security_requirements for name in one.schemes]
        assert required == list(card.security_schemes) == ["bearerAuth"]
        scheme = card.security_schemes["bearerAuth"].http_auth_security_scheme.scheme
        assert scheme == refused.headers["www-authenticate"].lower()


async def test_the_keys_are_where_the_signatures_say(offer: Offer) -> None:
    stage = offer.stage()
    async with stage.client({}) as client:
        keys = {key["kid"] for key in (await client.get("/.well-known/jwks.json")).json()["keys"]}

    for card in await cards(stage, offer):
        assert bool(card.signatures) == bool(keys) == offer.signed
        for signature in card.signatures:
            header = protected({"protected": signature.protected})
            assert header["kid"] in keys
            assert header["jku"] == f"{CARD.public_url}/.well-known/jwks.json"


@pytest.mark.parametrize("mode", agent_card(CARD).default_output_modes)
def test_each_output_mode_is_made(mode: str) -> None:
    asked = {"message": message_json(), "configuration": {"acceptedOutputModes": [mode]}}

    assert read_send(asked).message.text == "hello"


async def test_the_public_card_is_small_whatever_is_switched_on(offer: Offer) -> None:
    stage = offer.stage()
    async with stage.client({}) as client:
        assert len((await client.get("/.well-known/agent-card.json")).content) <= 8 * 1024


@pytest.mark.parametrize(
    ("length", "count", "detail"), [(10, 10, "params"), (9_000, 10, "methods"), (10, 300, "description")]
)
async def test_a_public_card_that_grows_says_less_of_extensions_and_the_extended_one_all(
    length: int, count: int, detail: str
) -> None:
    methods = {f"method_{number}": f"test.method.{number}" for number in range(count)}
    large = Extension("urn:test:large/v1", "Large.", {"long": "x" * length}, methods=methods, by_methods=True)
    made = Cards(evolve(CARD, extensions=(large,)), VERSIONS, PublicUrl(CARD.public_url), signer_of(KEYS))

    public, extended = made.public().body, made.extended(Form.V1).body

    assert len(public) <= 8 * 1024
    (told,) = json.loads(public)["capabilities"]["extensions"]
    said = "params" if "long" in told.get("params", {}) else "methods" if "params" in told else "description"
    assert said == detail
    (all_of_it,) = json.loads(extended)["capabilities"]["extensions"]
    assert (len(all_of_it["params"]["long"]), len(all_of_it["params"]["methods"])) == (length, count)
