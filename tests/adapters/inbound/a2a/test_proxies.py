"""Who calls through a proxy: what a trusted one says counts, and what anybody can make up does not."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.adapters.inbound.a2a.auth import Callers
from opencode_a2a_server.adapters.inbound.a2a.errors import Unauthenticated
from opencode_a2a_server.adapters.inbound.a2a.proxies import Proxies
from opencode_a2a_server.app.usecases.limit_requests import LimitAttempts
from opencode_a2a_server.domain.errors import RateLimited
from tests.fakes.audit import FakeAudit
from tests.fakes.clock import TurnedClock

TRUSTED = Proxies.at(["10.0.0.0/8", "::1"])
PROXY, CLIENT, OTHER = "10.0.0.1", "203.0.113.7", "198.51.100.9"

Header = tuple[str, str]


def client(*headers: Header, peer: str = PROXY, trusted: Proxies = TRUSTED) -> str:
    return trusted.client(peer, [(name.encode(), value.encode("latin-1")) for name, value in headers])


def by_list(*addresses: str) -> Header:
    return "x-forwarded-for", ", ".join(addresses)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([by_list(CLIENT)], CLIENT),
        ([by_list(OTHER, CLIENT)], CLIENT),
        ([by_list(OTHER), by_list(CLIENT)], CLIENT),
        ([by_list(OTHER, CLIENT, "10.0.0.2")], CLIENT),
        ([by_list("10.0.0.3", "10.0.0.2")], "10.0.0.3"),
        ([by_list(f"{CLIENT}:4711")], CLIENT),
        ([by_list("[2001:db8::7]:4711")], "2001:db8::7"),
        ([by_list("2001:DB8::7")], "2001:db8::7"),
        ([by_list(f"::ffff:{CLIENT}")], CLIENT),
        ([("forwarded", f"for={CLIENT};proto=https")], CLIENT),
        ([("forwarded", f'for={OTHER}, For="[2001:db8::7]:4711"')], "2001:db8::7"),
        ([("forwarded", f"for={CLIENT}, for=10.0.0.2")], CLIENT),
        ([("forwarded", f"for={CLIENT}"), by_list(CLIENT)], CLIENT),
    ],
)
def test_a_trusted_proxy_says_who_called_it(headers: list[Header], expected: str) -> None:
    assert client(*headers) == expected


@pytest.mark.parametrize("peer", [OTHER, "2001:db8::1", "", "unix"])
def test_nobody_else_does(peer: str) -> None:
    assert client(by_list(CLIENT), ("forwarded", f"for={CLIENT}"), peer=peer) == peer


def test_without_trusted_proxies_no_header_counts() -> None:
    assert client(by_list(CLIENT), trusted=Proxies()) == PROXY


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("forwarded", "for=unknown")],
        [("forwarded", "for=_hidden")],
        [("forwarded", "proto=https")],
        [("forwarded", 'for="')],
        [by_list("nobody")],
        [by_list(CLIENT, "nobody")],
    ],
)
def test_who_is_not_named_by_an_address_is_at_the_proxys(headers: list[Header]) -> None:
    assert client(*headers) == PROXY


def test_a_header_that_a_proxy_hands_on_as_it_came_makes_nobody_of_who_sent_it() -> None:
    assert client(("forwarded", f"for={OTHER}"), by_list(CLIENT)) == PROXY


@given(st.lists(st.tuples(st.sampled_from(["forwarded", "x-forwarded-for"]), st.text('0123456789.:[]";,=\\for x'))))
def test_whatever_is_said_an_address_comes_of_it(headers: list[Header]) -> None:
    told = client(*headers)

    assert told == client(*headers)
    assert Proxies.at([told]).trust(told)


# Attempts


def callers(most: int = 2) -> Callers:
    attempts = LimitAttempts(TurnedClock(), FakeAudit(), 60.0, most)
    return Callers((), schemes=("Bearer", "Basic"), attempts=attempts, proxies=TRUSTED)


async def try_once(callers: Callers, client: str, peer: str = PROXY) -> type[Exception]:
    password = b"Basic " + b64encode(b"ops:guess")
    with pytest.raises((Unauthenticated, RateLimited)) as refused:
        await callers([(b"authorization", password), (b"x-forwarded-for", client.encode())], peer)
    return refused.type


@pytest.mark.anyio
async def test_attempts_through_a_proxy_are_counted_by_who_makes_them() -> None:
    known = callers()

    outcomes = [await try_once(known, CLIENT) for _ in range(3)]

    assert outcomes == [Unauthenticated, Unauthenticated, RateLimited]
    assert await try_once(known, OTHER) is Unauthenticated


@pytest.mark.anyio
async def test_who_has_a_network_of_ipv6_has_one_account() -> None:
    known = callers()

    outcomes = [await try_once(known, f"2001:db8:0:1::{number:x}") for number in range(1, 4)]

    assert outcomes == [Unauthenticated, Unauthenticated, RateLimited]
    assert await try_once(known, "2001:db8:0:2::1") is Unauthenticated
    assert await try_once(known, "", peer="unix") is Unauthenticated


@pytest.mark.anyio
async def test_who_makes_up_where_it_comes_from_gains_nothing() -> None:
    known = callers()

    direct = [await try_once(known, f"203.0.113.{number}", peer=OTHER) for number in range(3)]
    through = [await try_once(known, f"203.0.113.{number}, {CLIENT}") for number in range(3)]

    assert direct == through == [Unauthenticated, Unauthenticated, RateLimited]
