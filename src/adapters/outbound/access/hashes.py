"""
How credentials are kept: as hashes, from which none can be had back.

A token is random and long, so that nobody can go through all there might be: one round of SHA-256 is enough. A
password is neither, so it gets scrypt, which takes a tenth of a second and 16 MiB for each try.
"""

from __future__ import annotations

import binascii
import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest

from attrs import frozen

_SHA256 = "sha256"
_SCRYPT = "scrypt"
_COST, _BLOCK, _PARALLEL = 1 << 14, 8, 1
_MOST_MEMORY = 64 << 20
_SALT_BYTES = 16
_KEY_BYTES = 32


class HashUnusable(Exception):
    """A hash is not written as it should be."""


@frozen(repr=False)
class TokenHash:
    """`sha256:` and 64 hexadecimal digits."""

    digest: bytes

    @classmethod
    def of(cls, token: bytes) -> TokenHash:
        """Hash a token."""
        return cls(hashlib.sha256(token).digest())

    @classmethod
    def read(cls, text: str) -> TokenHash:
        """
        Read one.

        Raises:
            HashUnusable: It is none.

        """
        kind, _, digits = text.strip().partition(":")
        try:
            digest = bytes.fromhex(digits)
        except ValueError:
            digest = b""
        if kind != _SHA256 or len(digest) != hashlib.sha256().digest_size:
            raise HashUnusable("a token's hash is sha256: and 64 hexadecimal digits; `config hash-token` prints one")
        return cls(digest)

    def __str__(self) -> str:
        return f"{_SHA256}:{self.digest.hex()}"


@frozen(repr=False)
class PasswordHash:
    """`scrypt:`, the cost's three numbers, the salt and the key, with `$` between them."""

    cost: tuple[int, int, int]
    salt: bytes
    key: bytes

    @classmethod
    def of(cls, password: bytes, salt: bytes | None = None) -> PasswordHash:
        """Hash a password."""
        salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
        cost = (_COST, _BLOCK, _PARALLEL)
        return cls(cost, salt, _scrypt(password, salt, cost))

    @classmethod
    def unfitting(cls) -> PasswordHash:
        """Give one that is no password's, which it takes as long to find out as with any."""
        return cls((_COST, _BLOCK, _PARALLEL), secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_KEY_BYTES))

    @classmethod
    def read(cls, text: str) -> PasswordHash:
        """
        Read one.

        Raises:
            HashUnusable: It is none.

        """
        kind, _, rest = text.strip().partition(":")
        try:
            cost, salt, key = rest.split("$")
            n, r, p = (int(number) for number in cost.split(","))
            made = cls((n, r, p), _from_text(salt), _from_text(key))
            if kind == _SCRYPT and 128 * n * r * p < _MOST_MEMORY and len(made.key) >= _SALT_BYTES:
                hashlib.scrypt(b"", salt=made.salt, n=n, r=r, p=p, maxmem=_MOST_MEMORY)
                return made
        except (ValueError, binascii.Error):
            pass
        raise HashUnusable("a password's hash begins with scrypt:; `config hash-token --password` prints one")

    def fits(self, password: bytes) -> bool:
        """Whether it is this password's."""
        return compare_digest(_scrypt(password, self.salt, self.cost, len(self.key)), self.key)

    def __str__(self) -> str:
        return f"{_SCRYPT}:{','.join(map(str, self.cost))}${_to_text(self.salt)}${_to_text(self.key)}"


def new_token() -> str:
    """Make a token of 256 random bits."""
    return secrets.token_urlsafe(32)


def _scrypt(password: bytes, salt: bytes, cost: tuple[int, int, int], length: int = _KEY_BYTES) -> bytes:
    n, r, p = cost
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, dklen=length, maxmem=_MOST_MEMORY)


def _to_text(some: bytes) -> str:
    return urlsafe_b64encode(some).decode().rstrip("=")


def _from_text(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
