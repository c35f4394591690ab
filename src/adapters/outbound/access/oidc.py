"""
Access tokens of an OpenID provider (JWT, RFC 9068), verified by the keys it publishes.

The allow-list of algorithms has signatures by private keys only: a token without a signature, or one that was signed
with a public key as if it were a shared secret, is nobody's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

import anyio
import httpx
import jwt
from attrs import define, field, frozen
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.access import Caller
from opencode_a2a_server.domain.errors import IssuerUnreachable
from opencode_a2a_server.domain.ids import Principal

from .trust import ALGORITHMS, Trust

_log = logging.getLogger(__name__)

_TYPES: Final = ("", "jwt", "at+jwt", "application/at+jwt")
_FRESH_SECONDS: Final = 3600.0
_STALE_SECONDS: Final = 86_400.0
"""How long keys are good for that could not be fetched again."""
_FLOOR_SECONDS: Final = 10.0
"""Between two fetches, whoever asks for keys that do not exist."""
_TIMEOUT: Final = 5.0
_LARGEST: Final = 1 << 20
_RSA_BITS: Final = 2048
_OURS: Final[jwt.types.Options] = {
    "verify_exp": False,  # our clock is a port
    "verify_nbf": False,
    "verify_iat": False,
    "require": ["exp", "iss", "aud"],
}


class Fetch(Protocol):
    """Gives the JSON that an URL has."""

    async def __call__(self, url: str) -> Mapping[str, Any]:
        """
        Fetch it.

        Raises:
            IssuerUnreachable: It cannot be had.

        """
        ...


@frozen
class HttpFetch:
    """Fetches by HTTP, without proxies or redirects."""

    transport: httpx.AsyncBaseTransport | None = None

    async def __call__(self, url: str) -> Mapping[str, Any]:
        """See `Fetch`."""
        try:
            async with (
                httpx.AsyncClient(transport=self.transport, timeout=_TIMEOUT, trust_env=False) as client,
                client.stream("GET", url, headers={"accept": "application/json"}) as answer,
            ):
                answer.raise_for_status()
                body = await _at_most(_LARGEST, answer)
            told = json.loads(body)
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            raise IssuerUnreachable(f"{url} cannot be read ({str(error) or type(error).__name__})") from error
        if not isinstance(told, dict):
            raise IssuerUnreachable(f"{url} is no JSON object")
        return told


async def _at_most(most: int, answer: httpx.Response) -> bytes:
    body = b""
    async for some in answer.aiter_bytes():
        body += some
        if len(body) > most:
            raise ValueError("it is too large")
    return body


@define(eq=False)
class Keys:
    """
    The provider's public keys, by their ids; fetched when they are needed, again after an hour, and for an id that is new.

    Keys that cannot be fetched again are good for a day more. Whoever invents ids causes one fetch in ten seconds.
    """

    trust: Trust
    fetch: Fetch
    clock: Clock
    _known: Mapping[str, jwt.PyJWK] = field(factory=dict, init=False)
    _fetched: float | None = field(default=None, init=False)
    _tried: float | None = field(default=None, init=False)
    _problem: str = field(default="", init=False)
    _fetching: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """
        Give a key, None if the provider has none by this id.

        Raises:
            IssuerUnreachable: Whether it has cannot be found out now.

        """
        if not (self._age(self._fetched) < _FRESH_SECONDS and kid in self._known):
            async with self._fetching:
                if self._is_due(kid):
                    await self._renew()
        key = self._known.get(kid) if self._age(self._fetched) < _STALE_SECONDS else None
        if key is None and self._problem:
            raise IssuerUnreachable(
                f"tokens cannot be verified now: {self._problem}; who runs the service should see to it that it is reached"
            )
        return key

    def _age(self, since: float | None) -> float:
        return float("inf") if since is None else self.clock.monotonic() - since

    def _is_due(self, kid: str) -> bool:
        fresh = self._age(self._fetched) < _FRESH_SECONDS and kid in self._known
        return not fresh and self._age(self._tried) >= _FLOOR_SECONDS

    async def _renew(self) -> None:
        self._tried = self.clock.monotonic()
        try:
            told = await self.fetch(self.trust.jwks_url or await self._discover())
        except IssuerUnreachable as problem:
            self._problem = str(problem)
            _log.warning("the keys of %s cannot be fetched: %s", self.trust.issuer, problem)
            return
        listed = told.get("keys")
        keys = map(_key, listed if isinstance(listed, list) else ())
        self._known = {key.key_id: key for key in keys if key is not None and isinstance(key.key_id, str)}
        self._fetched, self._problem = self.clock.monotonic(), ""

    async def _discover(self) -> str:
        told = await self.fetch(self.trust.metadata)
        if told.get("issuer") != self.trust.issuer:
            raise IssuerUnreachable(f"{self.trust.metadata} is of another issuer")
        url = told.get("jwks_uri")
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise IssuerUnreachable(f"{self.trust.metadata} names no jwks_uri")
        return url


@frozen
class OidcTokens:
    """The port `Credentials`, for tokens of one provider. Its principals are `oidc:` and what the claim says."""

    trust: Trust
    keys: Keys

    @classmethod
    def of(cls, trust: Trust, clock: Clock, fetch: Fetch | None = None) -> OidcTokens:
        """Trust a provider."""
        return cls(trust, Keys(trust, fetch or HttpFetch(), clock))

    async def basic(self, user: str, password: bytes) -> Caller | None:  # noqa: ARG002 - the port's
        """Know nobody by a password."""
        return None

    async def bearer(self, token: bytes) -> Caller | None:
        """See `Credentials`."""
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode_complete(token, options={"verify_signature": False})["payload"]
        except (jwt.PyJWTError, ValueError):
            return None
        kid = header.get("kid")
        if claims.get("iss") != self.trust.issuer or not isinstance(kid, str) or not self._taken(header):
            return None
        key = await self.keys.find(kid)
        if key is None or key.algorithm_name != header["alg"]:
            return None
        return self._read(token, key)

    def _taken(self, header: Mapping[str, Any]) -> bool:
        kind = str(header.get("typ") or "").lower()
        return header.get("alg") in self.trust.algorithms and kind in _TYPES and "crit" not in header

    def _read(self, token: bytes, key: jwt.PyJWK) -> Caller | None:
        trust = self.trust
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(trust.algorithms),
                audience=list(trust.audiences),
                issuer=trust.issuer,
                options=_OURS,
            )
        except (jwt.PyJWTError, ValueError):
            return None
        name = claims.get(trust.principal_claim)
        if not isinstance(name, str) or not name or not self._is_now(claims):
            return None
        return Caller(
            Principal(f"oidc:{name}"), str(claims.get("jti") or claims.get("client_id") or ""), trust.grant(claims)
        )

    def _is_now(self, claims: Mapping[str, Any]) -> bool:
        now, skew = self.keys.clock.now(), self.trust.skew
        expires, begins = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(expires, int | float) or not isinstance(begins, int | float):
            return False
        return begins - skew <= now < expires + skew


def _key(told: object) -> jwt.PyJWK | None:
    """Read a key; those of kinds we do not take, for encryption, or too short are left out."""
    if not isinstance(told, dict) or told.get("use", "sig") != "sig" or told.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        key = jwt.PyJWK(told) if "alg" in told else jwt.PyJWK(told, _algorithm(told))
    except (jwt.PyJWTError, ValueError, KeyError, TypeError):
        return None
    short = isinstance(key.key, RSAPublicKey) and key.key.key_size < _RSA_BITS
    return None if short or key.algorithm_name not in ALGORITHMS else key


def _algorithm(told: Mapping[str, Any]) -> str | None:
    """Say which algorithm a key without one is for; of RSA's the usual one."""
    curves = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
    return "RS256" if told.get("kty") == "RSA" else curves.get(str(told.get("crv")))
