"""The keys that the service signs with, as they are served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_a2a_server.adapters.inbound.a2a.jwks import Jwks
from tests.adapters.inbound.a2a.stage import Stage, untouched

pytestmark = pytest.mark.anyio

PATH = "/.well-known/jwks.json"
KEYS: dict[str, Any] = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "k", "alg": "EdDSA", "use": "sig"}]}


async def test_the_keys_are_open_to_all_and_may_be_kept_for_a_while() -> None:
    async with Stage(keys=KEYS).client({}) as client:
        got = await client.get(PATH)
        again = await client.get(PATH, headers={"if-none-match": f'"other", W/{got.headers["etag"]}'})
        looked = await client.head(PATH)

    assert got.json() == KEYS
    assert got.headers["content-type"] == "application/jwk-set+json"
    assert got.headers["cache-control"] == "public, max-age=300"
    assert (again.status_code, again.content) == (304, b"")
    assert (looked.status_code, looked.headers["etag"]) == (200, got.headers["etag"])


async def test_without_keys_the_set_is_empty() -> None:
    async with untouched().client({}) as client:
        assert (await client.get(PATH)).json() == {"keys": []}


def test_another_set_has_another_tag() -> None:
    assert Jwks.of(KEYS).etag != Jwks.of({"keys": []}).etag
    assert json.loads(Jwks.of(KEYS).body) == KEYS
