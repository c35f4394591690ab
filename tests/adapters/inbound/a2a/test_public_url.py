"""Where clients reach the service: what a trusted proxy says, and what anybody may say in vain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from tests.adapters.inbound.a2a.keys import KEYS
from tests.adapters.inbound.a2a.stage import HEADERS, Stage
from tests.adapters.inbound.a2a.test_signing import protected, read, verifier

pytestmark = pytest.mark.anyio

HERE = "http://127.0.0.1:8000"
BEHIND = PublicUrl.behind(HERE, ["10.0.0.0/8", "::1"])
PROXY = "10.0.0.1"


def url(*headers: tuple[str, str], peer: str | None = PROXY, host: str = "inside:8000", at: PublicUrl = BEHIND) -> str:
    """Give the URL that a request's sender reaches the service by."""
    scope = {
        "type": "http",
        "client": None if peer is None else (peer, 4711),
        "headers": [(b"host", host.encode()), *((name.encode(), value.encode("latin-1")) for name, value in headers)],
    }
    return at.of(cast("Any", scope))


FORWARDED = ("forwarded", "for=203.0.113.7;proto=https;host=agent.example")
X_FORWARDED = (("x-forwarded-proto", "https"), ("x-forwarded-host", "agent.example"))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([FORWARDED], "https://agent.example"),
        (
            [("forwarded", 'For="[2001:db8::7]:4711";Proto=HTTPS;Host="agent.example:8443"')],
            "https://agent.example:8443",
        ),
        ([("forwarded", "proto=https")], "https://inside:8000"),
        ([("forwarded", "host=agent.example")], "http://agent.example"),
        ([("forwarded", "proto=https;host=agent.example:443")], "https://agent.example"),
        ([FORWARDED, ("x-forwarded-host", "other.example")], "https://agent.example"),
        ([("forwarded", "for=203.0.113.7"), *X_FORWARDED], "https://agent.example"),
        ([*X_FORWARDED], "https://agent.example"),
        ([("x-forwarded-proto", "https")], "https://inside:8000"),
        ([*X_FORWARDED, ("x-forwarded-port", "8443")], "https://agent.example:8443"),
        ([*X_FORWARDED, ("x-forwarded-port", "443")], "https://agent.example"),
        ([("x-forwarded-host", "agent.example:1"), ("x-forwarded-port", "2")], "http://agent.example:1"),
        ([*X_FORWARDED, ("x-forwarded-prefix", "/agents/one/")], "https://agent.example/agents/one"),
        ([("x-forwarded-host", "[2001:db8::1]:8443"), ("x-forwarded-proto", "https")], "https://[2001:db8::1]:8443"),
        ([("x-forwarded-host", "Agent.Example")], "http://agent.example"),
        ([], HERE),
    ],
)
def test_a_trusted_proxy_says_where_the_service_is(headers: Sequence[tuple[str, str]], expected: str) -> None:
    assert url(*headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        [("x-forwarded-host", "[:]:80")],
        [("x-forwarded-host", "[1.2.3.4]")],
        [("x-forwarded-host", "2.3203.0.113")],
        [("x-forwarded-host", "agent.example:65536")],
        [("x-forwarded-port", "65536"), ("x-forwarded-host", "inside:8000")],
        [("x-forwarded-port", "²"), ("x-forwarded-host", "inside:8000")],
    ],
)
def test_a_host_or_a_port_that_no_url_can_have_does_not_count(headers: Sequence[tuple[str, str]]) -> None:
    assert url(*headers) == "http://inside:8000"


@pytest.mark.parametrize("peer", ["203.0.113.7", "11.0.0.1", "2001:db8::1", "unix", "", None])
@pytest.mark.parametrize("headers", [[FORWARDED], [*X_FORWARDED]])
def test_nobody_else_does(peer: str | None, headers: Sequence[tuple[str, str]]) -> None:
    assert url(*headers, peer=peer) == HERE


@pytest.mark.parametrize("peer", ["10.255.0.1", "::1", "::ffff:10.0.0.1"])
def test_a_proxy_is_known_by_its_address_or_network(peer: str) -> None:
    assert url(FORWARDED, peer=peer) == "https://agent.example"


def test_what_the_operator_says_wins() -> None:
    assert url(FORWARDED, at=PublicUrl.behind("https://said.example")) == "https://said.example"


@pytest.mark.parametrize(
    "headers",
    [
        # The caller made up the first ones; the proxy has added its word behind.
        [("forwarded", "proto=http;host=evil.example, for=203.0.113.7;proto=https;host=agent.example")],
        [("forwarded", "proto=http;host=evil.example"), FORWARDED],
        [("x-forwarded-proto", "http, https"), ("x-forwarded-host", "evil.example, agent.example")],
        [
            ("x-forwarded-for", "10.0.0.2, 203.0.113.7"),
            ("x-forwarded-proto", "http, https"),
            ("x-forwarded-host", "evil.example, agent.example"),
        ],
        # Two proxies, both trusted: the outer one knows by which name it was called.
        [("forwarded", "for=203.0.113.7;proto=https;host=agent.example, for=10.0.0.2;proto=http;host=inner")],
        [
            ("x-forwarded-for", "203.0.113.7, 10.0.0.2"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "agent.example, inner"),
        ],
        [
            ("x-forwarded-for", "198.51.100.1, 203.0.113.7:1234, 10.0.0.3, 10.0.0.2:99"),
            ("x-forwarded-proto", "http, https, http, http"),
            ("x-forwarded-host", "evil.example, agent.example, b, c"),
        ],
        # The inner one passes on what the outer one said.
        [("x-forwarded-for", "203.0.113.7, 10.0.0.2"), *X_FORWARDED],
    ],
)
def test_in_a_chain_the_outermost_trusted_proxy_counts(headers: Sequence[tuple[str, str]]) -> None:
    assert url(*headers) == "https://agent.example"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("x-forwarded-host", "evil.example/path"), ("x-forwarded-proto", "https")], "https://inside:8000"),
        ([("x-forwarded-host", 'a"b')], "http://inside:8000"),
        ([("x-forwarded-host", "user@evil.example")], "http://inside:8000"),
        ([("x-forwarded-proto", "javascript"), ("x-forwarded-host", "agent.example")], "http://agent.example"),
        ([*X_FORWARDED, ("x-forwarded-port", "8443/x")], "https://agent.example"),
        ([*X_FORWARDED, ("x-forwarded-prefix", "//evil.example")], "https://agent.example"),
        ([*X_FORWARDED, ("x-forwarded-prefix", "/../..")], "https://agent.example"),
        ([*X_FORWARDED, ("x-forwarded-prefix", "no")], "https://agent.example"),
        ([("forwarded", "nonsense")], HERE),
        ([("forwarded", '"')], HERE),
        ([("forwarded", ",,")], HERE),
    ],
)
def test_what_is_no_part_of_a_url_does_not_count(headers: Sequence[tuple[str, str]], expected: str) -> None:
    assert url(*headers) == expected


def test_without_any_name_of_a_host_the_default_holds() -> None:
    assert url(("x-forwarded-proto", "https"), host="") == HERE


@given(
    st.lists(
        st.tuples(st.sampled_from(["forwarded", "x-forwarded-host", "x-forwarded-proto"]), st.text('a="\\;,/:[]<>.10 '))
    )
)
def test_whatever_a_proxy_says_there_is_a_url(headers: list[tuple[str, str]]) -> None:
    parsed = httpx.URL(url(*headers))

    assert parsed.scheme in ("http", "https")
    assert parsed.host
    assert not parsed.userinfo


# In the cards


async def card(stage: Stage, headers: Mapping[str, str], peer: str = PROXY) -> httpx.Response:
    transport = httpx.ASGITransport(app=cast("Any", stage.app), client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside:8000", headers=headers) as client:
        return await client.get("/.well-known/agent-card.json")


async def test_both_cards_name_the_url_by_which_they_were_fetched() -> None:
    stage = Stage(at=BEHIND)
    headers = dict([FORWARDED])
    transport = httpx.ASGITransport(app=cast("Any", stage.app), client=(PROXY, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside:8000", headers=headers) as client:
        public = (await client.get("/.well-known/agent-card.json")).json()
        http = (await client.get("/extendedAgentCard", headers=HEADERS)).json()
        call = {"jsonrpc": "2.0", "id": 1, "method": "GetExtendedAgentCard"}
        rpc = (await client.post("/", json=call, headers=HEADERS)).json()["result"]
        old = (await client.get("/v1/card", headers={**HEADERS, "a2a-version": "0.3"})).json()

    interfaces = [one for told in (public, http, rpc) for one in told["supportedInterfaces"]]
    assert {one["url"] for one in interfaces} == {"https://agent.example"}
    assert public["url"] == old["url"] == "https://agent.example"


async def test_a_signed_card_behind_a_proxy_names_its_keys_there_and_verifies() -> None:
    told = (await card(Stage(at=BEHIND, signed_with=KEYS), dict([FORWARDED]))).json()

    verifier(KEYS.jwks)(read(told))
    assert protected(told["signatures"][0])["jku"] == "https://agent.example/.well-known/jwks.json"


async def test_caches_are_told_what_the_card_depends_on() -> None:
    said = (await card(Stage(at=BEHIND), {})).headers["vary"]
    fixed = (await card(Stage(), {})).headers["vary"]

    assert {"Forwarded", "Host", "X-Forwarded-Host", "X-Forwarded-Proto"} <= set(said.split(", "))
    assert "Forwarded" not in fixed


async def test_cards_of_different_urls_have_different_tags() -> None:
    stage = Stage(at=BEHIND)

    assert (await card(stage, {})).headers["etag"] != (await card(stage, dict([FORWARDED]))).headers["etag"]


async def test_whoever_is_no_proxy_gets_the_card_as_it_is() -> None:
    told = (await card(Stage(at=BEHIND), dict([FORWARDED]), peer="203.0.113.9")).json()

    assert told["url"] == HERE
