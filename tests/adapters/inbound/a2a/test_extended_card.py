"""The extended card: all that the public one has and more, for who is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from a2a import types as a2a
from a2a.client.card_resolver import parse_agent_card
from a2a.compat.v0_3 import types as v03
from a2a.utils.proto_utils import validate_proto_required_fields
from attrs import evolve
from google.protobuf.json_format import MessageToDict, ParseDict

from opencode_a2a_server.adapters.inbound.a2a.card.document import VERSIONS, CardInfo
from opencode_a2a_server.adapters.inbound.a2a.card.extension import Extension
from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from opencode_a2a_server.adapters.inbound.a2a.card.served import Cards, Form
from opencode_a2a_server.adapters.inbound.a2a.card.skills import Skill
from opencode_a2a_server.domain.errors import UnsupportedOperation
from tests.adapters.inbound.a2a.grpc.line import OLD as OLD_METADATA
from tests.adapters.inbound.a2a.grpc.line import line
from tests.adapters.inbound.a2a.stage import CARD, HEADERS, Stage, untouched
from tests.adapters.inbound.a2a.v03.test_methods import OLD
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio

OFF = evolve(CARD, extended=False)
SECRET = Extension(
    "urn:test:hidden/v1", "For who is known.", {"a": 1}, skills=(Skill("x", "X", "Does x.", ("x",)),), public=False
)


def cards(info: CardInfo = CARD) -> Cards:
    return Cards(info, VERSIONS, PublicUrl(info.public_url))


async def public(stage: Stage) -> Mapping[str, Any]:
    async with stage.client({}) as client:
        told: Mapping[str, Any] = (await client.get("/.well-known/agent-card.json")).json()
    return told


def within(less: Any, more: Any) -> bool:
    """Say whether all that is in the one is in the other."""
    match less:
        case dict():
            return all(name in more and within(item, more[name]) for name, item in less.items())
        case list():
            return all(any(within(item, other) for other in more) for item in less)
    return bool(less == more)


async def test_it_is_the_same_over_both_bindings_and_a_card_of_1_0() -> None:
    stage = Stage()
    by_rpc = (await stage.rpc("GetExtendedAgentCard"))["result"]
    async with stage.client() as client:
        by_http = await client.get("/extendedAgentCard")

    assert by_http.json() == by_rpc
    assert by_http.headers["content-type"] == "application/a2a+json"
    card = ParseDict(by_rpc, a2a.AgentCard())
    validate_proto_required_fields(card)
    assert parse_agent_card(by_rpc) == card


@clause("13.3b")
async def test_it_has_all_that_the_public_one_has_and_more() -> None:
    stage = Stage(card=evolve(CARD, extensions=(*CARD.extensions, SECRET)))
    told = await public(stage)
    extended = (await stage.rpc("GetExtendedAgentCard", {}))["result"]

    of_1_0 = MessageToDict(ParseDict(dict(told), a2a.AgentCard(), ignore_unknown_fields=True))
    assert within(of_1_0, MessageToDict(ParseDict(extended, a2a.AgentCard())))
    skills = {skill["id"] for skill in extended["skills"]} - {skill["id"] for skill in told["skills"]}
    uris = {one["uri"] for one in extended["capabilities"]["extensions"]}
    assert skills >= {"opencode.interrupt.answer", "x"}
    assert SECRET.uri in uris - {one["uri"] for one in told["capabilities"]["extensions"]}
    assert "block_contracts" in json.dumps(extended)


async def test_the_public_card_says_that_there_is_one() -> None:
    told = await public(Stage())

    assert told["capabilities"]["extendedAgentCard"] is True
    assert told["supportsAuthenticatedExtendedCard"] is True


async def test_nobody_else_gets_it() -> None:
    async with untouched().client({}) as client:
        new, old = await client.get("/extendedAgentCard"), await client.get("/v1/card")
        call = {"jsonrpc": "2.0", "id": 1, "method": "GetExtendedAgentCard"}
        rpc = await client.post("/", json=call)

    assert (new.status_code, old.status_code, rpc.status_code) == (401, 401, 401)


@pytest.mark.parametrize(("path", "version"), [("/extendedAgentCard", "1.0"), ("/v1/card", "0.3")])
async def test_who_has_it_does_not_get_it_again(path: str, version: str) -> None:
    async with untouched().client({**HEADERS, "a2a-version": version}) as client:
        first = await client.get(path)
        by_tag = await client.get(path, headers={"if-none-match": first.headers["etag"]})
        by_date = await client.get(path, headers={"if-modified-since": first.headers["last-modified"]})
        other = await client.get(path, headers={"if-none-match": '"x"'})

    assert first.headers["cache-control"] == "private, max-age=300"
    assert first.headers["vary"].startswith("Authorization")
    assert [(one.status_code, one.content) for one in (by_tag, by_date)] == [(304, b"")] * 2
    assert by_tag.headers["etag"] == first.headers["etag"].removeprefix("W/")  # weak while it is compressed
    assert other.status_code == 200


async def test_the_two_cards_have_tags_of_their_own() -> None:
    made = cards()

    assert made.public().etag != made.extended(Form.V1).etag


@pytest.mark.parametrize("params", [{}, None])
async def test_json_rpc_needs_no_parameters(params: object) -> None:
    assert "result" in await untouched().rpc("GetExtendedAgentCard", params)


# In the words of 0.3


async def test_a_client_of_0_3_gets_it_over_json_rpc() -> None:
    async with untouched().client(OLD) as client:
        call = {"jsonrpc": "2.0", "id": 1, "method": "agent/getAuthenticatedExtendedCard"}
        result = (await client.post("/", json=call)).json()["result"]

    card = v03.AgentCard.model_validate(result)
    assert card.model_dump(mode="json", by_alias=True, exclude_none=True) == result
    assert (card.url, card.protocol_version, card.preferred_transport) == (CARD.public_url, "0.3.0", "JSONRPC")
    assert [one.transport for one in card.additional_interfaces or []] == ["JSONRPC", "HTTP+JSON"]
    assert "opencode.interrupt.answer" in {skill.id for skill in card.skills}
    assert card.supports_authenticated_extended_card


async def test_over_http_both_kinds_of_clients_of_0_3_find_its_security_schemes() -> None:
    async with untouched().client(OLD) as client:
        answer = await client.get("/v1/card")

    scheme = answer.json()["securitySchemes"]["bearerAuth"]
    read = v03.AgentCard.model_validate(answer.json())
    assert answer.headers["content-type"] == "application/json"
    assert isinstance((read.security_schemes or {})["bearerAuth"].root, v03.HTTPAuthSecurityScheme)
    assert read.security == [{"bearerAuth": []}]
    assert scheme["httpAuthSecurityScheme"] == {"scheme": "bearer", "bearerFormat": "opaque"}


async def test_a_client_of_0_3_gets_it_over_grpc() -> None:
    from a2a.compat.v0_3 import a2a_v0_3_pb2 as proto

    async with line(Stage()) as called:
        card = await called.v03.GetAgentCard(proto.GetAgentCardRequest(), metadata=OLD_METADATA)

    assert (card.url, card.protocol_version) == (CARD.public_url, "0.3.0")
    assert card.security_schemes["bearerAuth"].http_auth_security_scheme.scheme == "bearer"
    assert "opencode.interrupt.answer" in {skill.id for skill in card.skills}


@pytest.mark.parametrize(("path", "version"), [("/extendedAgentCard", "0.3"), ("/v1/card", "1.0")])
async def test_each_path_is_of_its_version(path: str, version: str) -> None:
    async with untouched().client({**HEADERS, "a2a-version": version}) as client:
        answer = await client.get(path)

    assert answer.status_code == 400
    assert "VERSION_NOT_SUPPORTED" in answer.text


# Turned off


async def test_without_it_the_public_card_promises_none() -> None:
    told = await public(Stage(card=OFF))

    assert told["capabilities"]["extendedAgentCard"] is False
    assert "supportsAuthenticatedExtendedCard" not in told


async def test_without_it_whoever_asks_is_told_in_the_words_of_the_version() -> None:
    stage = Stage(card=OFF)
    new = (await stage.rpc("GetExtendedAgentCard", {}))["error"]
    async with stage.client(OLD) as client:
        call = {"jsonrpc": "2.0", "id": 1, "method": "agent/getAuthenticatedExtendedCard"}
        old = (await client.post("/", json=call)).json()["error"]
        http = await client.get("/v1/card")
    async with stage.client() as client:
        new_http = await client.get("/extendedAgentCard")

    assert (new["code"], old["code"]) == (-32004, -32007)
    assert (new_http.status_code, new_http.json()["error"]["details"][0]["reason"]) == (400, "UNSUPPORTED_OPERATION")
    assert (http.status_code, http.json()["code"]) == (400, -32007)


# Written once


async def test_a_card_is_written_once_for_each_url() -> None:
    made = cards()

    assert made.public() is made.public("https://agent.example")
    assert made.extended(Form.V1) is made.extended(Form.V1)
    assert made.public("https://other.example") is made.public("https://other.example") is not made.public()
    assert b"https://other.example" in made.public("https://other.example").body


async def test_no_more_cards_are_kept_than_a_few() -> None:
    made = cards()
    first = made.public("https://0.example")

    for number in range(1, 70):
        made.public(f"https://{number}.example")

    assert len(made._kept) == 64
    assert made.public("https://0.example") is not first
    assert made.public("https://0.example").body == first.body


def test_who_asks_the_cards_for_one_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnsupportedOperation, match="the public one says everything"):
        cards(OFF).extended(Form.V1)
