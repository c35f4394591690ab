"""Who is asking."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from typing import Protocol

from attrs import frozen

from opencode_a2a_server.domain.ids import Principal

from .errors import Unauthenticated

RawHeaders = Iterable[tuple[bytes, bytes]]


class Authenticate(Protocol):
    """Name the principal behind a request by its headers (names in lower case)."""

    def __call__(self, headers: RawHeaders) -> Principal:
        """
        Name the principal.

        Raises:
            Unauthenticated: Nobody we know.

        """
        ...


@frozen
class BearerTokens:
    """
    Know clients by their bearer tokens (RFC 6750).

    Digests are compared, all of them and in constant time: neither a token's beginning, its length nor its place among
    the others can be felt. Bytes are compared, since what a header holds need not be text.
    """

    _digests: tuple[bytes, ...]

    @classmethod
    def of(cls, tokens: Iterable[str]) -> BearerTokens:
        """Know these tokens; blanks around one do not count."""
        kept = [token.strip().encode() for token in tokens]
        return cls(tuple(sha256(token).digest() for token in kept if token))

    def __call__(self, headers: RawHeaders) -> Principal:
        """Name the principal: `bearer:` and the first 12 hexadecimal digits of the token's SHA-256."""
        digest = sha256(_token(headers)).digest()
        known = [compare_digest(digest, ours) for ours in self._digests]
        if not any(known):
            raise Unauthenticated("authentication is needed, with a valid token: Authorization: Bearer <token>")
        return Principal(f"bearer:{digest.hex()[:12]}")


def _token(headers: RawHeaders) -> bytes:
    """Give the one token that was sent; the empty one is nobody's."""
    sent = [value for name, value in headers if name == b"authorization"]
    scheme, _, token = sent[0].strip().partition(b" ") if len(sent) == 1 else (b"", b"", b"")
    return token.strip() if scheme.lower() == b"bearer" else b""
