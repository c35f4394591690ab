"""The cards of the running service: signed, and read and verified by the SDKs that users have."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.client import A2ACardResolver, ClientConfig, create_client
from a2a.types import AgentCard, GetExtendedAgentCardRequest
from a2a.utils.signing import InvalidSignaturesError, create_signature_verifier
from jwt import PyJWK, PyJWS
from jwt.exceptions import InvalidSignatureError
from jwt.utils import base64url_decode, base64url_encode

from tests.adapters.inbound.a2a.keys import ED25519, P256, private_pem
from tests.e2e.installed import JAVASCRIPT_V03, JAVASCRIPT_V1, PYTHON_V03, javascript_with, python_with
from tests.e2e.service import RunningService

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

CLIENTS = Path(__file__).parent / "clients"
ANSWER = "opencode.interrupt.answer"
"""A skill that only the extended card has."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    keys = tmp_path_factory.mktemp("keys") / "keys.pem"
    keys.write_text(private_pem(ED25519) + private_pem(P256))
    settings = {
        "A2A_RUNTIME": "scripted",
        "A2A_TITLE": "Zoë's agent",
        "A2A_SIGNING_KEY_FILE": str(keys),
    }
    with RunningService(settings) as service:
        yield service


def keys_of(service: RunningService) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = httpx.get(f"{service.url}/.well-known/jwks.json", trust_env=False).json()["keys"]
    return told


def verifier(key: dict[str, Any]) -> Callable[[AgentCard], None]:
    """Verify with one of the keys, and not be told the others."""
    ours = PyJWK(key)
    return create_signature_verifier(lambda _kid, _jku: ours, [key["alg"]])


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_the_sdk_of_1_0_fetches_and_verifies_both_cards(
    service: RunningService, binding: str, place: int
) -> None:
    verify = verifier(keys_of(service)[place])
    headers = {"authorization": f"Bearer {service.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        card = await A2ACardResolver(http, service.url).get_agent_card(signature_verifier=verify)
        config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding])
        client = await create_client(card, config)
        extended = await client.get_extended_agent_card(GetExtendedAgentCardRequest(), signature_verifier=verify)

    assert (card.name, extended.name) == ("Zoë's agent", "Zoë's agent")
    assert ANSWER not in {skill.id for skill in card.skills}
    assert ANSWER in {skill.id for skill in extended.skills}
    for changed in (card, extended):
        changed.description = "Another"
        with pytest.raises(InvalidSignaturesError):
            verify(changed)


def test_the_javascript_sdk_of_1_0_verifies_both_cards(service: RunningService) -> None:
    program = javascript_with(JAVASCRIPT_V1, CLIENTS / "card_v1.mjs")

    results = run([*program, service.url, service.token])

    assert results == {"/.well-known/agent-card.json": [True, True, False], "/extendedAgentCard": [True, True, False]}


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
def test_the_python_sdk_of_0_3_reads_both_cards_and_would_verify_them(service: RunningService, binding: str) -> None:
    results = run([python_with(PYTHON_V03), CLIENTS / "card_v03.py", service.url, service.token, binding])

    keys = {key["kid"]: PyJWK(key) for key in keys_of(service)}
    for card in results.values():
        assert card["scheme"] == "bearer"
        held = [holds(one, card["canonical"], keys) for one in card["signatures"]]
        assert held.count(True) == 2
    assert (ANSWER in results["public"]["skills"], ANSWER in results["extended"]["skills"]) == (False, True)


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
def test_the_javascript_sdk_of_0_3_reads_the_extended_card(service: RunningService, binding: str) -> None:
    program = javascript_with(JAVASCRIPT_V03, CLIENTS / "card_v03.mjs")

    results = run([*program, service.url, service.token, binding])

    assert results["name"] == "Zoë's agent"
    assert ANSWER in results["skills"]
    assert results["scheme"].items() >= {"type": "http", "scheme": "bearer", "bearerFormat": "opaque"}.items()
    assert results["signatures"] == 2


def holds(signature: Mapping[str, str], payload: str, keys: Mapping[str, PyJWK]) -> bool:
    header = json.loads(base64url_decode(signature["protected"]))
    token = f"{signature['protected']}.{base64url_encode(payload.encode()).decode()}.{signature['signature']}"
    try:
        PyJWS().decode(token, keys[header["kid"]], [header["alg"]])
    except InvalidSignatureError:
        return False
    return True


def run(command: list[str | Path]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
