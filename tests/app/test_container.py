"""The service as it is put together."""

from __future__ import annotations

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from opencode_a2a_server.app.container import assemble, check, problems_of
from opencode_a2a_server.app.settings import SettingsError, load_settings

pytestmark = pytest.mark.anyio

SCRIPTED = {"A2A_BEARER_TOKEN": "secret", "A2A_RUNTIME": "scripted", "A2A_TASK_STORE_BACKEND": "memory"}


async def test_the_card_names_the_project() -> None:
    settings = load_settings(SCRIPTED | {"A2A_PROJECT": "lighthouse"})
    async with assemble(settings) as service:
        transport = httpx.ASGITransport(service.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        async with httpx.AsyncClient(transport=transport) as client:
            card = (await client.get("http://agent/.well-known/agent-card.json")).json()

    assert "lighthouse" in card["description"]


async def test_a_required_extension_that_does_not_exist_stops_the_start_and_names_the_nearest() -> None:
    settings = load_settings(SCRIPTED | {"A2A_REQUIRED_EXTENSIONS": "urn:a2a:stream-hint/v1"})
    complaint = (
        "A2A_REQUIRED_EXTENSIONS: there is no extension urn:a2a:stream-hint/v1; did you mean urn:a2a:stream-hints/v1?"
    )

    with pytest.raises(SettingsError) as refused:
        await assemble(settings).__aenter__()

    assert refused.value.problems == [complaint]
    assert await check(settings) == [complaint]


async def test_the_keys_that_sign_are_served_by_their_public_halves() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    settings = load_settings(SCRIPTED | {"A2A_SIGNING_KEY": pem})

    async with assemble(settings) as service:
        transport = httpx.ASGITransport(service.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        async with httpx.AsyncClient(transport=transport) as client:
            keys = (await client.get("http://agent/.well-known/jwks.json")).json()["keys"]
        token = service.notifier().proof.sign("task-1:1", b"body")

    claims = jwt.decode(token, jwt.PyJWK(keys[0]), algorithms=["EdDSA"], issuer=settings.server.url)
    assert claims["jti"] == "task-1:1"
    assert pem not in repr(settings)


async def test_a_key_that_cannot_sign_stops_the_start_and_is_told_by_the_check() -> None:
    settings = load_settings(SCRIPTED | {"A2A_SIGNING_KEY": "none"})

    with pytest.raises(SettingsError, match="A2A_SIGNING_KEY: there is no private key"):
        async with assemble(settings):
            pass

    assert [problem for problem in await check(settings) if "A2A_SIGNING_KEY" in problem]


@pytest.mark.parametrize(
    ("store", "complaint"),
    [
        ({"A2A_TASK_STORE_BACKEND": "memory"}, "A2A_WORKERS: 2 processes cannot share a store in memory"),
        ({"A2A_TASK_STORE_DATABASE_URL": "sqlite+aiosqlite:///t.db"}, "A2A_WORKERS: 2 processes cannot share a SQLite"),
    ],
)
def test_several_workers_are_refused_where_they_cannot_share_the_store(store: dict[str, str], complaint: str) -> None:
    settings = load_settings({"A2A_BEARER_TOKEN": "secret", "A2A_WORKERS": "2"} | store)

    (problem,) = problems_of(settings)

    assert problem.startswith(complaint)
    assert "A2A_TASK_STORE_DATABASE_URL" in problem


def test_several_workers_may_share_a_postgresql_but_no_runtime_that_lives_in_each() -> None:
    shared = {"A2A_BEARER_TOKEN": "secret", "A2A_WORKERS": "2", "A2A_TASK_STORE_DATABASE_URL": "postgresql://h/tasks"}

    assert list(problems_of(load_settings(shared))) == []
    (problem,) = problems_of(load_settings(shared | {"A2A_RUNTIME": "scripted"}))
    assert problem.startswith("A2A_WORKERS: the scripted runtime lives in its process")
