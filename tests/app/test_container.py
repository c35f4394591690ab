"""The service as it is put together."""

from __future__ import annotations

import httpx
import pytest

from opencode_a2a_server.app.container import assemble
from opencode_a2a_server.app.settings import load_settings

pytestmark = pytest.mark.anyio


async def test_the_card_names_the_project() -> None:
    settings = load_settings(
        {
            "A2A_BEARER_TOKEN": "secret",
            "A2A_RUNTIME": "scripted",
            "A2A_TASK_STORE_BACKEND": "memory",
            "A2A_PROJECT": "lighthouse",
        }
    )
    async with assemble(settings) as service:
        transport = httpx.ASGITransport(service.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        async with httpx.AsyncClient(transport=transport) as client:
            card = (await client.get("http://agent/.well-known/agent-card.json")).json()

    assert "lighthouse" in card["description"]
