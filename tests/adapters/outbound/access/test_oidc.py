"""Access tokens of an OpenID provider, which is real and on loopback."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import jwt
import pytest
from attrs import evolve

from opencode_a2a_server.adapters.outbound.access.oidc import OidcTokens
from opencode_a2a_server.adapters.outbound.access.trust import Trust
from opencode_a2a_server.domain.access import Capability
from opencode_a2a_server.domain.errors import IssuerUnreachable
from tests.fakes.clock import TurnedClock
from tests.fakes.issuer import FakeIssuer, SigningKey

pytestmark = pytest.mark.anyio


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer().listening() as listening:
        yield listening


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def known(issuer: FakeIssuer, clock: TurnedClock) -> OidcTokens:
    return OidcTokens.of(Trust(issuer.url, ["opencode", "other"]), clock)


def token(issuer: FakeIssuer, clock: TurnedClock, **claims: Any) -> bytes:
    return issuer.keys[0].sign(issuer.claims(clock.now(), **claims))


async def test_a_token_of_the_provider_names_its_principal(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock
) -> None:
    caller = await known.bearer(token(issuer, clock, jti="t-1"))

    assert caller is not None
    assert (caller.principal, caller.credential) == ("oidc:alice", "t-1")
    assert caller.grant.scopes == ("*",)
    assert caller.grant.capabilities == frozenset()
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
async def test_each_kind_of_key_will_do(known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock, alg: str) -> None:
    issuer.keys = [SigningKey.new("key", alg)]

    assert await known.bearer(token(issuer, clock)) is not None


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "somebody-else"},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1_700_000_000 - 31},
        {"nbf": 1_700_000_000 + 31},
        {"nbf": "later"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
    ],
)
async def test_a_token_for_others_or_another_time_is_nobodys(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock, claims: dict[str, Any]
) -> None:
    signed = {key: value for key, value in issuer.claims(clock.now(), **claims).items() if key not in claims}
    signed |= {key: value for key, value in claims.items() if value is not None}

    assert await known.bearer(issuer.keys[0].sign(signed)) is None


@pytest.mark.parametrize("claims", [{"exp": 1_700_000_000 - 29}, {"nbf": 1_700_000_000 + 29}, {"aud": ["x", "other"]}])
async def test_clocks_may_differ_a_little_and_one_of_several_audiences_will_do(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock, claims: dict[str, Any]
) -> None:
    assert await known.bearer(token(issuer, clock, **claims)) is not None


async def test_an_expired_token_is_nobodys_though_it_was_somebodys(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock
) -> None:
    mine = token(issuer, clock)
    assert await known.bearer(mine) is not None

    await clock.turn(331)

    assert await known.bearer(mine) is None


async def test_a_token_that_was_changed_is_nobodys(known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock) -> None:
    header, _, signature = token(issuer, clock).split(b".")
    other = token(issuer, clock, sub="bob").split(b".")[1]

    assert await known.bearer(b".".join([header, other, signature])) is None


async def test_without_a_signature_or_with_the_public_key_as_a_secret_it_is_nobodys(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock
) -> None:
    claims = issuer.claims(clock.now())
    unsigned = jwt.encode(claims, "", "none", {"kid": "first"}).encode()
    parts = [{"alg": "HS256", "kid": "first", "typ": "JWT"}, claims]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    secret = json.dumps(issuer.keys[0].public).encode()
    confused = signed + b"." + base64.urlsafe_b64encode(hmac.digest(secret, signed, sha256)).rstrip(b"=")

    assert await known.bearer(unsigned) is None
    assert await known.bearer(confused) is None
    assert issuer.asked == []


@pytest.mark.parametrize("header", [{"typ": "id_token"}, {"crit": ["b64"]}, {"kid": 7}, {"kid": None}])
async def test_a_token_of_another_kind_is_nobodys(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock, header: dict[str, Any]
) -> None:
    key = issuer.keys[0]
    head = {"alg": key.alg, "kid": key.kid, "typ": "JWT", **header}
    parts = [json.dumps(part).encode() for part in (head, issuer.claims(clock.now()))]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    algorithm = jwt.get_algorithm_by_name(key.alg)
    signature = base64.urlsafe_b64encode(algorithm.sign(signed, key.private)).rstrip(b"=")

    assert await known.bearer(signed + b"." + signature) is None


async def test_an_algorithm_that_is_not_allowed_is_not_taken(issuer: FakeIssuer, clock: TurnedClock) -> None:
    known = OidcTokens.of(Trust(issuer.url, ["opencode"], ["RS256"]), clock)

    assert await known.bearer(token(issuer, clock)) is None


@pytest.mark.parametrize("text", [b"opaque", b"a.b.c", b"\xff.\xff.\xff", b"..", b"e30.e30.e30"])
async def test_what_is_no_token_is_nobodys_and_asks_nobody(known: OidcTokens, issuer: FakeIssuer, text: bytes) -> None:
    assert await known.bearer(text) is None
    assert issuer.asked == []


async def test_scopes_of_tokens_are_good_for_what_the_operator_says(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock
) -> None:
    scopes = {"agent.read": "read", "agent.*": "GetTask", "danger": "session_shell"}
    known = evolve(known, trust=evolve(known.trust, scopes=scopes))

    reader = await known.bearer(token(issuer, clock, scope="openid agent.read"))
    worker = await known.bearer(token(issuer, clock, scope=["agent.x", "danger", 7]))
    nothing = await known.bearer(token(issuer, clock))

    assert reader is not None
    assert reader.grant.scopes == ("GetTask", "read")
    assert worker is not None
    assert worker.grant.capabilities == {Capability.SESSION_SHELL}
    assert nothing is not None
    assert nothing.grant.scopes == ()


# Keys


async def test_keys_are_fetched_once_and_again_for_a_new_one(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock
) -> None:
    old = token(issuer, clock, exp=2_000_000_000)
    assert await known.bearer(old) is not None
    issuer.keys.insert(0, SigningKey.new("second"))
    assert await known.bearer(old) is not None
    assert len(issuer.asked) == 2
    await clock.turn(10)

    assert await known.bearer(token(issuer, clock)) is not None
    assert len(issuer.asked) == 4


async def test_who_invents_keys_causes_one_fetch_in_ten_seconds(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock
) -> None:
    assert await known.bearer(token(issuer, clock)) is not None
    for number in range(20):
        assert await known.bearer(SigningKey.new(f"made-up-{number}").sign(issuer.claims(clock.now()))) is None

    assert len(issuer.asked) == 2


async def test_a_key_that_was_withdrawn_is_good_for_an_hour_at_most(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock
) -> None:
    old = token(issuer, clock, exp=2_000_000_000)
    assert await known.bearer(old) is not None
    issuer.keys = [SigningKey.new("second")]

    await clock.turn(3601)

    assert await known.bearer(old) is None


async def test_a_provider_that_cannot_be_reached_is_no_reason_to_let_anybody_in(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock
) -> None:
    issuer.broken = True

    for _ in range(3):
        with pytest.raises(IssuerUnreachable, match="who runs the service"):
            await known.bearer(token(issuer, clock))
    assert len(issuer.asked) == 1

    issuer.broken = False
    await clock.turn(10)
    assert await known.bearer(token(issuer, clock)) is not None


async def test_keys_that_are_known_outlast_a_provider_that_is_down_by_a_day(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock
) -> None:
    mine = token(issuer, clock, exp=2_000_000_000)
    assert await known.bearer(mine) is not None
    issuer.broken = True

    await clock.turn(80_000)
    assert await known.bearer(mine) is not None
    await clock.turn(10_000)

    with pytest.raises(IssuerUnreachable):
        await known.bearer(mine)


@pytest.mark.parametrize(
    "metadata", [{"issuer": "https://other.example"}, {"jwks_uri": None}, {"jwks_uri": "file:///x"}]
)
async def test_metadata_of_somebody_else_or_without_keys_is_of_no_use(
    known: OidcTokens, issuer: FakeIssuer, clock: TurnedClock, metadata: dict[str, Any]
) -> None:
    issuer.metadata = metadata

    with pytest.raises(IssuerUnreachable):
        await known.bearer(token(issuer, clock))


async def test_nobody_is_known_by_a_password(known: OidcTokens) -> None:
    assert await known.basic("alice", b"x") is None
