"""Keys that sign cards in tests, made anew in each run."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from opencode_a2a_server.adapters.inbound.a2a.card.signing import CardKey, CardSigner
from opencode_a2a_server.adapters.outbound.signing.keys import SigningKeys


def private_pem(key: PrivateKeyTypes) -> str:
    """Write a key as `openssl genpkey` does."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: PrivateKeyTypes) -> str:
    """Write its public half as `openssl pkey -pubout` does."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signer_of(keys: SigningKeys) -> CardSigner:
    """Sign cards with these keys."""
    return CardSigner(tuple(CardKey(key.id, key.algorithm, key.private) for key in keys.signers))


ED25519 = Ed25519PrivateKey.generate()
P256 = generate_private_key(SECP256R1())

KEYS = SigningKeys.read(private_pem(ED25519) + private_pem(P256))
