"""Who is asking, and by what right."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Protocol

from attrs import field, frozen

from opencode_a2a_server.app.ports.access import Credentials
from opencode_a2a_server.app.usecases.limit_requests import LimitAttempts, LimitRequests
from opencode_a2a_server.domain.access import Caller
from opencode_a2a_server.domain.ids import Principal

from .errors import Unauthenticated
from .proxies import Proxies, RawHeaders

_ADVICE = {
    "Bearer": "authentication is needed, with a valid token: Authorization: Bearer <token>",
    "Basic": "or a valid name and password: Authorization: Basic <base64 of name:password>",
}


class Authenticate(Protocol):
    """Name the caller behind a request by its headers (names in lower case)."""

    async def __call__(self, headers: RawHeaders, peer: str = "") -> Caller:
        """
        Name the caller; `peer` is the address that connected.

        Raises:
            Unauthenticated: Nobody we know.
            RateLimited: Too many requests, or too many that were nobody's.
            Unavailable: Whether we know it cannot be found out now.

        """
        ...


@frozen
class BearerTokens:
    """
    Know clients by their bearer tokens (RFC 6750), each good for everything.

    Digests are compared, all of them and in constant time: neither a token's beginning, its length nor its place among
    the others can be felt. Bytes are compared, since what a header holds need not be text.
    """

    _digests: tuple[bytes, ...]

    @classmethod
    def of(cls, tokens: Iterable[str]) -> BearerTokens:
        """Know these tokens; blanks around one do not count."""
        kept = [token.strip().encode() for token in tokens]
        return cls(tuple(sha256(token).digest() for token in kept if token))

    async def bearer(self, token: bytes) -> Caller | None:
        """Name the principal: `bearer:` and the first 12 hexadecimal digits of the token's SHA-256."""
        digest = sha256(token).digest()
        known = [compare_digest(digest, ours) for ours in self._digests]
        name = f"bearer:{digest.hex()[:12]}"
        return Caller(Principal(name), name) if any(known) else None

    async def basic(self, user: str, password: bytes) -> Caller | None:  # noqa: ARG002 - the port's
        """Know nobody by a password."""
        return None

    async def __call__(self, headers: RawHeaders, peer: str = "") -> Caller:
        """Name the caller by these tokens alone."""
        return await Callers((self,))(headers, peer)


@frozen
class Callers:
    """Know callers by what their `Authorization` holds: each of the credentials is asked in turn."""

    credentials: Sequence[Credentials]
    schemes: tuple[str, ...] = ("Bearer",)
    """Those that are told to who is refused."""
    attempts: LimitAttempts | None = None
    requests: LimitRequests | None = None
    proxies: Proxies = field(factory=Proxies)
    """Those that say for whom they call, so that attempts are counted by who makes them."""

    async def __call__(self, headers: RawHeaders, peer: str = "") -> Caller:
        """Name the caller, and let it make a request."""
        scheme, value = sent(headers)
        caller = await self._known(scheme, value, self.proxies.client(peer, headers))
        if self.requests is not None:
            self.requests(caller.principal)
        return caller

    async def _known(self, scheme: bytes, value: bytes, peer: str) -> Caller:
        """
        Find who it is.

        From an address that failed too often a password is not even looked at, since it might be guessed; a token
        cannot be, and an address may be one that others come from, too.
        """
        wait = 0.0 if self.attempts is None else self.attempts.wait(peer)
        looked_at = value and not (wait and scheme == b"basic")
        caller = await self._find(scheme, value) if looked_at else None
        if caller is not None:
            return caller
        if self.attempts is not None:
            if wait:
                raise self.attempts.refusal(wait)
            await self.attempts.failed(peer, f"unknown {scheme.decode('latin-1')[:16]}" if value else "no credentials")
        raise Unauthenticated("; ".join(_ADVICE[known] for known in self.schemes), self.schemes)

    async def _find(self, scheme: bytes, value: bytes) -> Caller | None:
        pair = _pair(value) if scheme == b"basic" else None
        for known in self.credentials:
            caller = None
            if scheme == b"bearer":
                caller = await known.bearer(value)
            elif pair is not None:
                caller = await known.basic(*pair)
            if caller is not None:
                return caller
        return None


def sent(headers: RawHeaders) -> tuple[bytes, bytes]:
    """Give the scheme, in lower case, and the value of the one `Authorization` that was sent."""
    given = [value for name, value in headers if name == b"authorization"]
    scheme, _, value = given[0].strip().partition(b" ") if len(given) == 1 else (b"", b"", b"")
    return scheme.lower(), value.strip()


def _pair(value: bytes) -> tuple[str, bytes] | None:
    """Read a name and a password (RFC 7617)."""
    try:
        user, colon, password = b64decode(value, validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None
