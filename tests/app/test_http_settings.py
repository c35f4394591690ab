"""How HTTP is spoken, as the operator says."""

from __future__ import annotations

import httpx
import pytest

from opencode_a2a_server.app.container import assemble
from opencode_a2a_server.app.settings import SettingsError, load_settings

BASE = {"A2A_BEARER_TOKEN": "secret", "A2A_RUNTIME": "scripted", "A2A_TASK_STORE_BACKEND": "memory"}


def test_nobody_is_let_in_and_nobody_shut_out_unless_it_is_said() -> None:
    http = load_settings({}).http

    assert (http.origins, http.hosts, http.gzip_minimum) == ((), (), 8192)


def test_origins_and_hosts_are_listed_with_commas() -> None:
    http = load_settings(
        {
            "A2A_ALLOWED_ORIGINS": "https://a.example, http://[::1]:3000/ ,",
            "A2A_ALLOWED_HOSTS": "a.example:80,*.b.example",
        }
    ).http

    assert http.origins == ("https://a.example", "http://[::1]:3000/")
    assert http.hosts == ("a.example:80", "*.b.example")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A2A_ALLOWED_ORIGINS", "a.example"),
        ("A2A_ALLOWED_ORIGINS", "https://a.example/path"),
        ("A2A_ALLOWED_ORIGINS", "https://a.example,null"),
        ("A2A_ALLOWED_ORIGINS", "https://*.example"),
        ("A2A_ALLOWED_ORIGINS", "https://me@a.example"),
        ("A2A_ALLOWED_HOSTS", "https://a.example"),
        ("A2A_ALLOWED_HOSTS", "a.example,*"),
        ("A2A_ALLOWED_HOSTS", "a.*.example"),
        ("A2A_HTTP_GZIP_MINIMUM_SIZE", "-1"),
    ],
)
def test_what_is_no_origin_or_host_or_size_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value})


@pytest.mark.anyio
async def test_the_service_has_the_manners_that_were_set() -> None:
    settings = load_settings(
        {
            **BASE,
            "A2A_ALLOWED_ORIGINS": "https://app.example",
            "A2A_ALLOWED_HOSTS": "agent",
            "A2A_HTTP_GZIP_MINIMUM_SIZE": "1",
        }
    )
    async with assemble(settings) as service:
        transport = httpx.ASGITransport(service.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            card = "/.well-known/agent-card.json"
            answer = await client.get(card, headers={"origin": "https://app.example"})
            foreign = await client.get(card, headers={"origin": "https://evil.example"})
            elsewhere = await client.get(f"http://other{card}")

    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["content-encoding"] == "gzip"
    assert (foreign.status_code, elsewhere.status_code) == (403, 403)
