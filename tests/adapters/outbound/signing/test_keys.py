"""Keys, and what receivers make of what they sign."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from opencode_a2a_server.adapters.outbound.signing.keys import KeyUnusable, SigningKeys
from opencode_a2a_server.adapters.outbound.signing.notifications import NotificationTokens
from tests.fakes.clock import TurnedClock

ISSUER = "https://agent.example"
BODY = '{"statusUpdate":{"text":"ünïcode"}}'.encode()
NAME = "task-1:7"


def pem(key: Any, encryption: KeySerializationEncryption | None = None) -> str:
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return made.decode()


def public_pem(key: Any) -> str:
    made: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made.decode()


ED = ed25519.Ed25519PrivateKey.generate()
P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
KINDS = {"EdDSA": ED, "ES256": P256, "ES384": P384}


def verified(token: str, keys: SigningKeys, at: float = 0.0) -> dict[str, Any]:
    """Read a token as a receiver does, from what is published."""
    published = jwt.PyJWKSet.from_dict(json.loads(json.dumps(keys.jwks)))
    header = jwt.get_unverified_header(token)
    # The test's clock stands in the past: the receiver's must stand there, too.
    claims: dict[str, Any] = jwt.decode(
        token, published[header["kid"]], algorithms=[header["alg"]], issuer=ISSUER, options={"verify_exp": False}
    )
    assert claims["iat"] <= at < claims["exp"]
    return claims


@pytest.mark.parametrize(("algorithm", "key"), KINDS.items(), ids=KINDS)
def test_a_receiver_verifies_a_notification_by_what_is_published(algorithm: str, key: object) -> None:
    clock = TurnedClock()
    keys = SigningKeys.read(pem(key))

    token = NotificationTokens(keys, ISSUER, clock)(NAME, BODY)

    claims = verified(token, keys, clock.now())
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "kid": keys.signer.id, "typ": "JWT"}
    assert (claims["iss"], claims["jti"], claims["exp"] - claims["iat"]) == (ISSUER, NAME, 300)
    assert claims["request_body_sha256"] == sha256(BODY).hexdigest()


def test_receivers_that_encode_the_body_anew_come_to_the_same_digest() -> None:
    """As the published samples of receivers do."""
    clock = TurnedClock()
    keys = SigningKeys.read(pem(ED))
    again = json.dumps(json.loads(BODY), ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    claims = verified(NotificationTokens(keys, ISSUER, clock)(NAME, BODY), keys, clock.now())

    assert claims["request_body_sha256"] == sha256(again.encode()).hexdigest()


def test_a_token_of_another_key_is_refused() -> None:
    keys, others = SigningKeys.read(pem(ED)), SigningKeys.read(pem(ed25519.Ed25519PrivateKey.generate()))
    token = NotificationTokens(others, ISSUER, TurnedClock())(NAME, BODY)

    with pytest.raises(KeyError):
        verified(token, keys)


def test_nothing_private_is_published() -> None:
    keys = SigningKeys.read(pem(ED) + pem(P256))

    assert {name for key in keys.jwks["keys"] for name in key} == {"alg", "crv", "kid", "kty", "use", "x", "y"}


def test_a_key_has_the_name_that_its_thumbprint_is() -> None:
    """The key and the thumbprint of RFC 8037, appendix A.3."""
    known = ed25519.Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )

    assert SigningKeys.read(pem(known)).signer.id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_an_older_key_is_still_published_behind_the_one_that_signs() -> None:
    old = SigningKeys.read(pem(P256))
    token = NotificationTokens(old, ISSUER, clock := TurnedClock())(NAME, BODY)

    for behind in (pem(P256), public_pem(P256)):
        keys = SigningKeys.read(pem(ED) + behind)
        assert keys.signer.algorithm == "EdDSA"
        assert [key["alg"] for key in keys.jwks["keys"]] == ["EdDSA", "ES256"]
        assert verified(token, keys, clock.now())["jti"] == NAME


def test_keys_as_openssl_writes_them_are_read() -> None:
    sec1 = P256.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

    assert SigningKeys.read(f"a key\n{parameters}{sec1}").signer.algorithm == "ES256"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no private key"),
        ("secret", "no private key"),
        (public_pem(ED), "no private key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "cannot be read"),
        (pem(ED, BestAvailableEncryption(b"password")), "password"),
        (pem(rsa.generate_private_key(65537, 2048)), "of a kind that is not used"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
    ],
    ids=["nothing", "no PEM", "public only", "broken", "encrypted", "RSA", "another curve"],
)
def test_what_cannot_sign_is_refused_with_what_can(text: str, words: str) -> None:
    with pytest.raises(KeyUnusable, match=words) as refused:
        SigningKeys.read(text)

    assert "openssl genpkey" in str(refused.value)


def test_a_key_does_not_show_itself() -> None:
    assert "PrivateKey" not in repr(SigningKeys.read(pem(ED)))
