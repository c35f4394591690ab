"""Settings of who may ask, and a service that is put together with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from opencode_a2a_server.adapters.outbound.access.hashes import TokenHash
from opencode_a2a_server.app.container import assemble, problems_of
from opencode_a2a_server.app.settings import SettingsError, load_settings
from tests.fakes.issuer import FakeIssuer

pytestmark = pytest.mark.anyio

SCRIPTED = {"A2A_RUNTIME": "scripted", "A2A_TASK_STORE_BACKEND": "memory"}


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer().listening() as listening:
        yield listening


async def status(environment: dict[str, str], authorization: str, path: str = "/tasks") -> httpx.Response:
    async with assemble(load_settings(SCRIPTED | environment)) as service:
        transport = httpx.ASGITransport(service.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            return await client.get(path, headers={"authorization": authorization})


async def card(environment: dict[str, str]) -> Any:
    return (await status(environment, "", "/.well-known/agent-card.json")).json()


async def test_a_file_of_credentials_is_enough_to_start(tmp_path: Path) -> None:
    path = tmp_path / "credentials.toml"
    path.write_text(f'[[principal]]\nname = "ci"\n[[principal.credential]]\ntoken = "{TokenHash.of(b"t")}"')
    environment = {"A2A_CREDENTIALS_FILE": str(path)}

    assert (await status(environment, "Bearer t")).status_code == 200
    assert (await status(environment, "Bearer x")).status_code == 401
    assert {"bearerAuth", "basicAuth"} == (await card(environment))["securitySchemes"].keys()


async def test_credentials_of_1_4_are_enough_to_start() -> None:
    static = [{"scheme": "basic", "username": "ops", "password": "p"}]

    answer = await status({"A2A_STATIC_AUTH_CREDENTIALS": json.dumps(static)}, "Basic b3BzOnA=")

    assert answer.status_code == 200


async def test_tokens_of_a_provider_are_enough_to_start_and_the_card_declares_it(issuer: FakeIssuer) -> None:
    import time

    environment = {
        "A2A_OIDC_ISSUER": issuer.url,
        "A2A_OIDC_AUDIENCE": "opencode",
        "A2A_OAUTH_TOKEN_URL": "https://login.example/token",
        "A2A_OAUTH_AUTHORIZATION_URL": "https://login.example/authorize",
        "A2A_OAUTH_SCOPES": "agent.read, agent.send",
    }
    good = issuer.keys[0].sign(issuer.claims(time.time())).decode()
    bad = issuer.keys[0].sign(issuer.claims(time.time(), aud="other")).decode()

    assert (await status(environment, f"Bearer {good}")).status_code == 200
    assert (await status(environment, f"Bearer {bad}")).status_code == 401
    told = await card(environment)
    url = f"{issuer.url}/.well-known/openid-configuration"
    assert told["securitySchemes"]["openId"]["openIdConnectSecurityScheme"]["openIdConnectUrl"] == url
    flow = told["securitySchemes"]["oauth2"]["oauth2SecurityScheme"]["flows"]["authorizationCode"]
    assert flow["tokenUrl"] == "https://login.example/token"
    assert flow["scopes"].keys() == {"agent.read", "agent.send"}
    assert {"bearerAuth"}.isdisjoint(told["securitySchemes"])


async def test_a_provider_that_cannot_be_reached_is_answered_503(issuer: FakeIssuer) -> None:
    import time

    issuer.broken = True
    token = issuer.keys[0].sign(issuer.claims(time.time())).decode()

    answer = await status({"A2A_OIDC_ISSUER": issuer.url, "A2A_OIDC_AUDIENCE": "opencode"}, f"Bearer {token}")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["error"]["details"][0]["reason"] == "ISSUER_UNREACHABLE"


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({}, "A2A_BEARER_TOKEN: required"),
        ({"A2A_CREDENTIALS_FILE": "/nowhere.toml"}, "A2A_CREDENTIALS_FILE: /nowhere.toml cannot be read"),
        ({"A2A_STATIC_AUTH_CREDENTIALS": "[]"}, "A2A_STATIC_AUTH_CREDENTIALS: at least one"),
        (
            {"A2A_OIDC_ISSUER": "https://x", "A2A_OIDC_AUDIENCE": "a", "A2A_OIDC_ALGORITHMS": "RS256,HS256"},
            "A2A_OIDC_ALGORITHMS: HS256 is not taken",
        ),
        (
            {"A2A_OIDC_ISSUER": "https://x", "A2A_OIDC_AUDIENCE": "a", "A2A_OIDC_SCOPE_MAP": "a=sesion_shell"},
            "A2A_OIDC_SCOPE_MAP: a=sesion_shell names no operation or capability; did you mean session_shell?",
        ),
    ],
)
def test_what_stops_the_start_is_named(environment: dict[str, str], problem: str) -> None:
    assert any(one.startswith(problem) for one in problems_of(load_settings(SCRIPTED | environment)))


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"A2A_OIDC_ISSUER": "https://x"}, "A2A_OIDC_ISSUER and A2A_OIDC_AUDIENCE go together"),
        ({"A2A_OIDC_AUDIENCE": "x"}, "A2A_OIDC_ISSUER and A2A_OIDC_AUDIENCE go together"),
        ({"A2A_OIDC_ISSUER": "http://x.example", "A2A_OIDC_AUDIENCE": "x"}, "A2A_OIDC_ISSUER: must begin with https"),
        (
            {"A2A_OIDC_ISSUER": "https://x", "A2A_OIDC_AUDIENCE": "x", "A2A_OIDC_JWKS_URL": "http://x.example"},
            "A2A_OIDC_JWKS_URL: must begin with https",
        ),
        ({"A2A_OIDC_SCOPE_MAP": "a"}, "A2A_OIDC_SCOPE_MAP: a must be name=meaning"),
    ],
)
def test_what_does_not_go_together_is_refused(environment: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(SCRIPTED | environment)

    assert any(one.startswith(problem) for one in refused.value.problems)


def test_names_of_0_2_without_a_provider_are_noted() -> None:
    settings = load_settings(SCRIPTED | {"A2A_OAUTH_TOKEN_URL": "https://login.example/token"})

    assert settings.notes[0].startswith("A2A_OAUTH_TOKEN_URL has no effect without A2A_OIDC_ISSUER")


@pytest.mark.parametrize("public_url", ["", "https://agent.example"])
async def test_behind_a_trusted_proxy_failures_are_counted_by_the_clients_address(public_url: str) -> None:
    environment = SCRIPTED | {
        "A2A_BEARER_TOKEN": "secret",
        "A2A_TRUSTED_PROXIES": "10.0.0.0/8",
        "A2A_RATE_LIMIT_MAX_FAILURES": "1",
        "A2A_PUBLIC_URL": public_url,
    }
    async with assemble(load_settings(environment)) as service:
        transport = httpx.ASGITransport(service.app(), client=("10.1.2.3", 1))  # type: ignore[arg-type] # narrower
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            tried = ["203.0.113.7", "203.0.113.7", "203.0.113.8"]
            answers = [await client.get("/tasks", headers={"x-forwarded-for": address}) for address in tried]

    assert [answer.status_code for answer in answers] == [401, 429, 401]
