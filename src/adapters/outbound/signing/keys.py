"""
The keys with which the service signs, as PEM blocks one after another.

The first private key signs, the cards each of them. All are published as a JSON Web Key Set (RFC 7517), so that what an older key signed is
verified as long as that key, or its public half, stays behind the new one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Self, TypeAlias

import jwt
from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from jwt.utils import base64url_encode

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PARAMETERS: Final = "EC PARAMETERS"
"""OpenSSL writes them before some keys; the key says the same."""
_CURVES: Final[Mapping[str, str]] = {"secp256r1": "ES256", "secp384r1": "ES384"}
_MEMBERS: Final = ("crv", "kty", "x", "y")
"""What a thumbprint is made of (RFC 7638, 3.2), of either kind of key."""
_REMEDY: Final = (
    "make one with `openssl genpkey -algorithm ed25519`, or `-algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
)


class KeyUnusable(Exception):
    """What was given as a key cannot sign; the message says what can."""


@frozen
class SigningKey:
    """A key, and what it is called."""

    private: PrivateKey = field(repr=False)
    id: str
    algorithm: str


@frozen
class SigningKeys:
    """All keys, as they were given."""

    signers: tuple[SigningKey, ...]
    """Those that can sign; where one signature is enough, the first signs."""
    jwks: Mapping[str, Sequence[Mapping[str, Any]]]
    """What is published: public halves only."""

    @classmethod
    def read(cls, pem: str) -> Self:
        """
        Read keys.

        Raises:
            KeyUnusable: There is no key, or one that cannot be used.

        """
        keys = list(_keys(pem))
        published = [_published(key.public_key() if isinstance(key, PrivateKey) else key) for key in keys]
        signers = [
            SigningKey(key, own["kid"], own["alg"])
            for key, own in zip(keys, published, strict=True)
            if isinstance(key, PrivateKey)
        ]
        if not signers:
            raise KeyUnusable(f"there is no private key in PEM; {_REMEDY}")
        return cls(tuple(signers), {"keys": published})

    @property
    def signer(self) -> SigningKey:
        """The one that signs."""
        return self.signers[0]

    def token(self, claims: Mapping[str, Any]) -> str:
        """Sign claims: a JSON Web Token (RFC 7519) that names its key."""
        key = self.signer
        return jwt.encode(dict(claims), key.private, algorithm=key.algorithm, headers={"kid": key.id})


def _keys(pem: str) -> Iterator[PrivateKey | PublicKey]:
    for block in _BLOCK.finditer(pem):
        label, text = block[1], block[0].encode()
        if label == _PARAMETERS:
            continue
        try:
            key = load_pem_public_key(text) if label == "PUBLIC KEY" else load_pem_private_key(text, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # a TypeError says that it has a password
            raise KeyUnusable(f"a key cannot be read, it may have a password ({error}); {_REMEDY}") from error
        if not isinstance(key, PrivateKey | PublicKey):
            raise KeyUnusable(f"a key is of a kind that is not used here; {_REMEDY}")
        yield key


def _published(key: PublicKey) -> dict[str, Any]:
    if isinstance(key, ed25519.Ed25519PublicKey):
        algorithm, jwk = "EdDSA", OKPAlgorithm.to_jwk(key, as_dict=True)
    elif key.curve.name in _CURVES:
        algorithm, jwk = _CURVES[key.curve.name], ECAlgorithm.to_jwk(key, as_dict=True)
    else:
        raise KeyUnusable(f"a key is of the curve {key.curve.name}, which is not used here; {_REMEDY}")
    return {**jwk, "kid": _thumbprint(jwk), "alg": algorithm, "use": "sig"}


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    """Name a key after itself (RFC 7638): the same key has the same name wherever it is read."""
    members = {name: jwk[name] for name in _MEMBERS if name in jwk}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64url_encode(sha256(canonical.encode()).digest()).decode()
