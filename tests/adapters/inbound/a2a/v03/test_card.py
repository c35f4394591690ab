"""One card that clients of both versions read, and none of 0.3 where that is turned off."""

from __future__ import annotations

import json

import pytest
from a2a import types as a2a
from a2a.client.card_resolver import parse_agent_card
from a2a.compat.v0_3 import types as v03
from a2a.server.request_handlers.response_helpers import agent_card_to_dict
from attrs import evolve
from google.protobuf.json_format import ParseDict

from opencode_a2a_server.adapters.inbound.a2a.card.document import agent_card
from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from opencode_a2a_server.adapters.inbound.a2a.card.served import Cards
from opencode_a2a_server.adapters.inbound.a2a.card.v03 import combined
from tests.adapters.inbound.a2a.stage import CARD, Stage, untouched
from tests.adapters.inbound.a2a.v03.test_methods import OLD

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("extended", [True, False])
def test_the_card_has_what_the_sdk_would_add_to_it(*, extended: bool) -> None:
    card = agent_card(evolve(CARD, extended=extended), ("1.0", "0.3"))

    told = combined(card)

    theirs = agent_card_to_dict(card)
    assert {name: told[name] for name in theirs} == {
        **theirs,
        **{name: told[name] for name in ("protocolVersion", "additionalInterfaces")},
    }
    assert told.keys() == theirs.keys()


@pytest.mark.parametrize("name", ["agent-card.json", "agent.json"])
async def test_a_client_of_0_3_reads_the_card(name: str) -> None:
    async with untouched().client({}) as client:
        answer = await client.get(f"/.well-known/{name}")

    card = v03.AgentCard.model_validate(answer.json())
    assert (card.url, card.preferred_transport, card.protocol_version) == (CARD.public_url, "JSONRPC", "0.3.0")
    assert [(one.transport, one.url) for one in card.additional_interfaces or []] == [
        ("JSONRPC", CARD.public_url),
        ("HTTP+JSON", CARD.public_url),
    ]
    assert card.capabilities.streaming
    assert card.supports_authenticated_extended_card
    assert card.security == [{"bearerAuth": []}]
    scheme = (card.security_schemes or {})["bearerAuth"].root
    assert isinstance(scheme, v03.HTTPAuthSecurityScheme)
    assert scheme.scheme == "bearer"
    assert len(answer.content) <= 8 * 1024


def test_a_client_of_1_0_reads_the_same_card() -> None:
    told = json.loads(Cards(CARD, ["1.0", "0.3"], PublicUrl(CARD.public_url)).public().body)

    assert parse_agent_card(told) == agent_card(CARD)


def test_a_card_without_0_3_is_one_of_1_0_alone() -> None:
    told = json.loads(Cards(CARD, ["1.0"], PublicUrl(CARD.public_url)).public().body)

    card = ParseDict(told, a2a.AgentCard())
    assert {interface.protocol_version for interface in card.supported_interfaces} == {"1.0"}


async def test_without_0_3_its_names_are_not_found_and_the_answer_says_what_is_served() -> None:
    async with Stage(versions=["1.0"]).client(OLD) as client:
        call = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {}}
        rpc = (await client.post("/", json=call)).json()["error"]
        asked = (await client.post("/", json=call, headers={"a2a-version": "0.3"})).json()["error"]
        rest = await client.post("/v1/message:send", json={})
        health = await client.get("/health")

    assert (rpc["code"], asked["code"], rest.status_code) == (-32601, -32009, 404)
    assert "1.0" in rpc["message"]
    assert health.json()["protocol_versions"] == ["1.0"]
