"""Settings of the cards: keys, proxies, the extended card."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opencode_a2a_server.app.container import assemble
from opencode_a2a_server.app.settings import SettingsError, load_settings
from tests.adapters.inbound.a2a.keys import ED25519, P256, private_pem, public_pem
from tests.adapters.inbound.a2a.test_signing import protected, read, verifier
from tests.app.test_container import SCRIPTED

pytestmark = pytest.mark.anyio

OLD = Ed25519PrivateKey.generate()

FORWARDED = {"forwarded": "proto=https;host=agent.example"}


def service(environment: dict[str, str]) -> dict[str, str]:
    return SCRIPTED | environment


async def card_of(environment: dict[str, str], headers: dict[str, str] | None = None) -> httpx.Response:
    """Fetch the public card of a service with these settings, as 10.1.2.3 does."""
    async with assemble(load_settings(service(environment))) as container:
        transport = httpx.ASGITransport(container.app(), client=("10.1.2.3", 1))  # type: ignore[arg-type] # narrower
        async with httpx.AsyncClient(transport=transport, base_url="http://inside", headers=headers) as client:
            return await client.get("/.well-known/agent-card.json")


# Keys


async def test_a_service_with_keys_signs_its_card_with_each_private_one(tmp_path: Path) -> None:
    (tmp_path / "keys.pem").write_text(private_pem(P256) + private_pem(ED25519) + public_pem(OLD))
    environment = service({"A2A_SIGNING_KEY_FILE": f"{tmp_path}/keys.pem"})
    async with assemble(load_settings(environment)) as container:
        transport = httpx.ASGITransport(container.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
            card = (await client.get("/.well-known/agent-card.json")).json()
            jwks = (await client.get("/.well-known/jwks.json")).json()

    kids = [key["kid"] for key in jwks["keys"]]
    assert len(kids) == 3
    assert {protected(one)["kid"] for one in card["signatures"]} == set(kids[:2])
    verifier(jwks)(read(card))


# Where the service is


async def test_the_word_of_a_trusted_proxy_counts() -> None:
    told = (await card_of({"A2A_TRUSTED_PROXIES": "::1, 10.0.0.0/8"}, FORWARDED)).json()

    assert told["url"] == "https://agent.example"


@pytest.mark.parametrize("proxies", ["", "10.1.2.4"])
async def test_the_word_of_others_does_not(proxies: str) -> None:
    told = (await card_of({"A2A_TRUSTED_PROXIES": proxies}, FORWARDED)).json()

    assert told["url"] == "http://127.0.0.1:8000"


async def test_the_operators_own_word_wins() -> None:
    said = {"A2A_PUBLIC_URL": "https://said.example/", "A2A_TRUSTED_PROXIES": "10.0.0.0/8"}

    answer = await card_of(said, FORWARDED)

    assert answer.json()["url"] == "https://said.example"
    assert "Forwarded" not in answer.headers["vary"]


@pytest.mark.parametrize("text", ["proxy.internal", "10.0.0.1/8", "10.0.0.0/33", "*"])
def test_what_is_no_address_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match=r"A2A_TRUSTED_PROXIES: .* is no address and no network"):
        load_settings({"A2A_TRUSTED_PROXIES": text})


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - an address that no card should have
def test_an_address_that_nobody_can_call_is_noted(host: str) -> None:
    (note,) = load_settings({"A2A_HOST": host}).notes

    assert "give A2A_PUBLIC_URL" in note
    assert load_settings({"A2A_HOST": host, "A2A_PUBLIC_URL": "https://agent.example"}).notes == ()
    assert load_settings({"A2A_HOST": host, "A2A_TRUSTED_PROXIES": "10.0.0.1"}).notes == ()
    assert load_settings({"A2A_HOST": "agent.local"}).notes == ()


# The extended card and extensions


@pytest.mark.parametrize(("text", "extended"), [("", True), ("true", True), ("off", False)])
async def test_the_extended_card_is_on_unless_it_is_turned_off(text: str, *, extended: bool) -> None:
    told = (await card_of({"A2A_EXTENDED_CARD": text})).json()

    assert told["capabilities"]["extendedAgentCard"] is extended


async def test_an_extension_that_the_runtime_has_nothing_for_cannot_be_required() -> None:
    settings = load_settings(service({"A2A_REQUIRED_EXTENSIONS": "urn:opencode-a2a:session-query/v1"}))

    with pytest.raises(SettingsError, match=r"A2A_REQUIRED_EXTENSIONS: .*session-query/v1 is required and not served"):
        await assemble(settings).__aenter__()
