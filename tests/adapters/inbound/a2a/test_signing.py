"""Signed cards: whoever has one of the keys can tell that the card is ours, and as we wrote it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from a2a import types as a2a
from a2a.compat.v0_3 import types as v03
from a2a.utils.signing import InvalidSignaturesError, create_signature_verifier
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.json_format import MessageToDict, ParseDict
from jwt import PyJWK, PyJWS
from jwt.exceptions import InvalidSignatureError
from jwt.utils import base64url_decode, base64url_encode

from opencode_a2a_server.adapters.inbound.a2a.card.document import VERSIONS, CardInfo, agent_card
from opencode_a2a_server.adapters.inbound.a2a.card.extension import Extension
from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from opencode_a2a_server.adapters.inbound.a2a.card.served import Cards, Form
from opencode_a2a_server.adapters.outbound.signing.keys import SigningKeys
from tests.adapters.inbound.a2a.keys import ED25519, KEYS, P256, private_pem, public_pem, signer_of
from tests.adapters.inbound.a2a.stage import CARD, Stage, untouched
from tests.adapters.inbound.a2a.v03.test_methods import OLD
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio

ALONE: Mapping[str, SigningKeys] = {
    "EdDSA": SigningKeys.read(private_pem(ED25519)),
    "ES256": SigningKeys.read(private_pem(P256)),
}
PATH = "/.well-known/agent-card.json"


def verifier(
    jwks: Mapping[str, Any], algorithms: Sequence[str] = ("ES256", "EdDSA")
) -> Callable[[a2a.AgentCard], None]:
    """Verify as a client with the SDK does: by the key of the set that the signature names."""
    keys = {key["kid"]: PyJWK(key) for key in jwks["keys"]}
    return create_signature_verifier(lambda kid, _jku: keys[kid or ""], list(algorithms))


def written(info: CardInfo = CARD, keys: SigningKeys = KEYS, form: Form | None = None) -> dict[str, Any]:
    cards = Cards(info, VERSIONS, PublicUrl(info.public_url), signer_of(keys))
    told: dict[str, Any] = json.loads((cards.extended(form) if form else cards.public()).body)
    return told


def read(told: Mapping[str, Any]) -> a2a.AgentCard:
    return ParseDict(dict(told), a2a.AgentCard(), ignore_unknown_fields=True)


def protected(signature: Mapping[str, Any]) -> dict[str, str]:
    told: dict[str, str] = json.loads(base64url_decode(signature["protected"]))
    return told


# Verified by the SDK


@pytest.mark.parametrize("algorithm", ALONE)
@pytest.mark.parametrize("form", [None, Form.V1])
async def test_the_sdk_verifies_both_cards(algorithm: str, form: Form | None) -> None:
    ring = ALONE[algorithm]

    verifier(ring.jwks, [algorithm])(read(written(keys=ring, form=form)))


async def test_what_is_served_verifies_with_the_keys_that_are_served() -> None:
    stage = Stage(signed_with=KEYS)
    async with stage.client({}) as client:
        card = (await client.get(PATH)).json()
        jwks = await client.get("/.well-known/jwks.json")
    extended = (await stage.rpc("GetExtendedAgentCard"))["result"]

    verify = verifier(jwks.json())
    verify(read(card))
    verify(read(extended))
    assert protected(card["signatures"][0])["jku"] == "https://agent.example/.well-known/jwks.json"


@pytest.mark.parametrize("algorithm", ALONE)
@pytest.mark.parametrize(
    "change",
    [
        lambda card: setattr(card, "name", "Another"),
        lambda card: setattr(card.supported_interfaces[0], "url", "https://evil.example"),
        lambda card: card.skills.pop(),
        lambda card: card.security_schemes.clear(),
        lambda card: setattr(card.capabilities, "push_notifications", not card.capabilities.push_notifications),
        lambda card: card.capabilities.extensions[0].params.update({"resume_header": "X"}),
    ],
)
async def test_a_changed_card_does_not_verify(algorithm: str, change: Callable[[a2a.AgentCard], object]) -> None:
    ring = ALONE[algorithm]
    card = read(written(keys=ring))
    change(card)

    with pytest.raises(InvalidSignaturesError):
        verifier(ring.jwks)(card)


@pytest.mark.parametrize("algorithm", ALONE)
async def test_another_key_does_not_verify(algorithm: str) -> None:
    other = {"EdDSA": private_pem(Ed25519PrivateKey.generate()), "ES256": private_pem(generate_private_key(P256.curve))}
    ring, forged = ALONE[algorithm], SigningKeys.read(other[algorithm])
    named = evolve(forged, signers=(evolve(forged.signer, id=ring.signer.id),))

    with pytest.raises(InvalidSignaturesError):
        verifier(ring.jwks)(read(written(keys=named)))


@clause("8.4.1a", "8.4.1b", "8.4.1c")
async def test_what_is_signed_is_the_canonical_card_without_defaults_and_signatures() -> None:
    told = written(form=Form.V1)
    held = _filled({name: value for name, value in told.items() if name != "signatures"})
    canonical = json.dumps(held, separators=(",", ":"), sort_keys=True)  # of RFC 8785, as all of it is ASCII

    for signature, key in zip(told["signatures"], KEYS.jwks["keys"], strict=True):
        token = f"{signature['protected']}.{base64url_encode(canonical.encode()).decode()}.{signature['signature']}"
        PyJWS().decode(token, PyJWK(dict(key)), [key["alg"]])
    assert '"pushNotifications":false' in canonical
    assert '"required"' not in canonical


async def test_letters_beyond_ascii_are_signed_as_they_are() -> None:
    info = evolve(CARD, title="Café 🚀 \u2028", description='ärger\u0000\t"\\')

    verifier(KEYS.jwks)(read(written(info)))


async def test_numbers_and_empty_things_in_parameters_are_signed() -> None:
    params: dict[str, Any] = {
        "codes": [-32050, 0, 1.5, 1e21],
        "none": None,
        "empty": {},
        "no": False,
        "nothing": "",
        "€": 1,
        "\u20ac2": 2,
    }
    info = evolve(CARD, extensions=(*CARD.extensions, Extension("urn:test:x/v1", "Numbers.", params)))

    verifier(KEYS.jwks)(read(written(info)))
    verifier(KEYS.jwks)(read(written(info, form=Form.V1)))


async def test_nothing_that_must_be_there_is_empty_in_a_signed_card() -> None:
    """Other SDKs keep what is required though it is empty, and would verify something else."""
    for extended in (False, True):
        told = MessageToDict(agent_card(CARD, extended=extended))
        required = [told[name] for name in ("name", "description", "version", "supportedInterfaces", "skills")]
        assert all(required)
        assert all(told[name] for name in ("defaultInputModes", "defaultOutputModes", "capabilities"))
        assert all(all(skill[name] for name in ("id", "name", "description", "tags")) for skill in told["skills"])


def test_the_texts_of_ours_are_canonical_in_every_dialect() -> None:
    """Without numbers and letters beyond ASCII, canonicalisers that are not of RFC 8785 agree as well."""
    told = written()

    def check(value: Any) -> None:
        match value:
            case dict():
                for name, item in value.items():
                    check(name)
                    check(item)
            case list():
                for item in value:
                    check(item)
            case str():
                assert value.isascii()
            case _:
                assert isinstance(value, bool)

    check(told)


# Keys


async def test_each_private_key_signs_and_all_public_ones_are_told() -> None:
    keys = SigningKeys.read(private_pem(ED25519) + public_pem(Ed25519PrivateKey.generate()) + private_pem(P256))

    card = written(keys=keys, form=Form.V1)

    told = [key["kid"] for key in keys.jwks["keys"]]
    assert [protected(one)["kid"] for one in card["signatures"]] == [told[0], told[2]]
    assert len(set(told)) == 3


@pytest.mark.parametrize("place", [0, 1])
async def test_who_knows_one_of_two_keys_verifies(place: int) -> None:
    known = KEYS.jwks["keys"][place]
    other = PyJWK(dict(SigningKeys.read(private_pem(Ed25519PrivateKey.generate())).jwks["keys"][0]))
    keys = {known["kid"]: PyJWK(dict(known))}

    create_signature_verifier(lambda kid, _jku: keys.get(kid or "", other), ["ES256", "EdDSA"])(read(written()))


@clause("8.4.2")
def test_a_signature_says_how_to_verify_it() -> None:
    header = protected(written(form=Form.V1)["signatures"][1])

    assert header == {
        "alg": "ES256",
        "typ": "JOSE",
        "kid": KEYS.signers[1].id,
        "jku": "https://agent.example/.well-known/jwks.json",
    }


# Served


async def test_without_keys_nothing_is_signed() -> None:
    async with untouched().client({}) as client:
        assert "signatures" not in (await client.get(PATH)).json()


async def test_the_tag_is_that_of_what_was_signed_and_the_keys() -> None:
    """A signature of ES256 is never the same twice; the card is."""
    cards = [
        Cards(CARD, VERSIONS, PublicUrl(CARD.public_url), signer_of(keys)).public()
        for keys in (KEYS, KEYS, ALONE["ES256"])
    ]

    assert cards[0].etag == cards[1].etag != cards[2].etag
    assert cards[0].body != cards[1].body
    assert cards[0].etag.startswith('W/"')
    assert cards[0].reply(cards[1].etag, None).status == 304
    assert cards[0].reply(cards[1].etag.removeprefix("W/"), None).status == 304


async def test_a_signed_card_is_small() -> None:
    assert len(json.dumps(written(), separators=(",", ":"))) <= 8 * 1024


# Verified by clients of 0.3: the card as their types hold it, in the way of their SDK


def verified_v03(told: Mapping[str, Any], jwks: Mapping[str, Any]) -> int:
    """Count the signatures that hold for a client of 0.3."""
    card = v03.AgentCard.model_validate(told)
    held = card.model_dump(exclude={"signatures"}, exclude_defaults=True, exclude_none=True, by_alias=True)
    payload = base64url_encode(json.dumps(_filled(held), separators=(",", ":"), sort_keys=True).encode()).decode()
    keys = {key["kid"]: PyJWK(key) for key in jwks["keys"]}
    held_by = 0
    for signature in card.signatures or []:
        header = json.loads(base64url_decode(signature.protected))
        try:
            token = f"{signature.protected}.{payload}.{signature.signature}"
            PyJWS().decode(token, keys[header["kid"]], [header["alg"]])
            held_by += 1
        except InvalidSignatureError:
            continue
    return held_by


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: left for name, item in value.items() if (left := _filled(item)) is not None} or None
    if isinstance(value, list):
        return [left for item in value if (left := _filled(item)) is not None] or None
    return None if value == "" else value


@pytest.mark.parametrize("form", [None, Form.V03, Form.V03_HTTP])
async def test_a_client_of_0_3_verifies_what_it_gets(form: Form | None) -> None:
    told = written(form=form)

    assert verified_v03(told, KEYS.jwks) == len(KEYS.signers)
    told["name"] = "Another"
    assert verified_v03(told, KEYS.jwks) == 0


async def test_the_extended_card_of_0_3_is_signed() -> None:
    async with Stage(signed_with=KEYS).client(OLD) as client:
        call = {"jsonrpc": "2.0", "id": 1, "method": "agent/getAuthenticatedExtendedCard"}
        by_rpc = (await client.post("/", json=call)).json()["result"]
        by_http = (await client.get("/v1/card")).json()

    assert verified_v03(by_rpc, KEYS.jwks) == verified_v03(by_http, KEYS.jwks) == len(KEYS.signers)


async def test_what_members_of_0_3_say_is_no_part_of_the_signature_of_1_0(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    told = written()
    told["url"] = "https://evil.example"

    verifier(KEYS.jwks)(read(told))
    assert verified_v03(told, KEYS.jwks) == 0
