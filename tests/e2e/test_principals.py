"""Two clients with tokens of their own in front of one OpenCode: what is one's is nothing the other can see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from attrs import define

from opencode_a2a_server.adapters.inbound.a2a.auth import BearerTokens
from opencode_a2a_server.app.container import assemble
from opencode_a2a_server.app.settings import load_settings
from tests.e2e.opencode import RealOpenCode

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
TOKENS = ("alice-has-a-token", "bob-has-another")


@define
class Both:
    """The service's two clients."""

    alice: httpx.AsyncClient
    bob: httpx.AsyncClient


@pytest.fixture
async def both(opencode: RealOpenCode, anyio_backend: str) -> AsyncIterator[Both]:
    settings = load_settings(
        {
            "A2A_BEARER_TOKEN": TOKENS[0],
            "A2A_TASK_STORE_BACKEND": "memory",
            "OPENCODE_BASE_URL": opencode.url,
            "OPENCODE_DIRECTORY": str(opencode.workspace),
        }
    )
    async with assemble(settings) as service:
        transport = httpx.ASGITransport(cast("Any", service.app(authenticate=BearerTokens.of(TOKENS))))
        alice, bob = (
            httpx.AsyncClient(
                transport=transport,
                base_url="http://agent",
                headers={"authorization": f"Bearer {token}", "a2a-version": "1.0"},
                timeout=60,
            )
            for token in TOKENS
        )
        async with alice, bob:
            yield Both(alice, bob)


async def send(client: httpx.AsyncClient, text: str, session: str = "", **more: str) -> Json:
    metadata = {"shared": {"session": {"id": session}}} if session else {}
    message = {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}], "metadata": metadata, **more}
    answer = await client.post("/message:send", json={"message": message})
    told: Json = answer.json()
    return {**told, "http": answer.status_code}


def session_of(told: Json) -> str:
    found: str = told["task"]["metadata"]["shared"]["session"]["id"]
    return found


def text_of(told: Json) -> str:
    return "".join(part.get("text", "") for one in told["task"]["artifacts"] for part in one["parts"])


async def test_the_same_context_id_of_two_clients_is_two_conversations(both: Both) -> None:
    alices, bobs = await asyncio.gather(
        send(both.alice, "[[say hello]] the password is plover", contextId="same"),
        send(both.bob, "[[say hello]] nothing to hide", contextId="same"),
    )
    recalled = await send(both.bob, "[[recall]]", contextId="same")
    listed = (await both.bob.get("/tasks", params={"contextId": "same"})).json()

    assert session_of(alices) != session_of(bobs) == session_of(recalled)
    assert "plover" not in text_of(recalled)
    assert listed["totalSize"] == 2
    assert alices["task"]["id"] not in str(listed)


async def test_anothers_task_and_session_are_refused_as_what_there_is_not(both: Both, opencode: RealOpenCode) -> None:
    alices = await send(both.alice, "[[say hello]] the password is plover")
    session, unknown = session_of(alices), "ses_" + "0" * 26

    foreign = await send(both.bob, "[[recall]]", session)
    nothing = await send(both.bob, "[[recall]]", unknown)
    task = await send(both.bob, "[[recall]]", taskId=alices["task"]["id"])

    assert foreign["http"] == nothing["http"] == task["http"] == 404
    assert str(foreign).replace(session, "it") == str(nothing).replace(unknown, "it")
    assert "plover" not in str(foreign)
    with opencode.client() as client:
        assert len(client.get(f"/session/{session}/message").json()) == 2


async def test_a_session_begun_in_opencode_is_of_who_uses_it_first(both: Both, opencode: RealOpenCode) -> None:
    with opencode.client() as client:
        session = client.post("/session", params={"directory": str(opencode.workspace)}, json={}).json()["id"]

    first, second = await asyncio.gather(
        send(both.alice, "[[text n=20 delay=0.02]]", session), send(both.bob, "[[say mine]]", session)
    )
    later = await send(both.bob, "[[say mine]]", session)

    assert sorted([first["http"], second["http"]]) == [200, 404]
    assert later["http"] == second["http"]


async def test_a_session_whose_first_turn_failed_is_free_again(both: Both, opencode: RealOpenCode) -> None:
    with opencode.client() as client:
        session = client.post("/session", params={"directory": str(opencode.workspace)}, json={}).json()["id"]

    failed = await send(both.alice, "[[status 401]]", session)
    bobs = await send(both.bob, "[[say mine]]", session)

    assert failed["task"]["status"]["state"] == "TASK_STATE_FAILED"
    assert bobs["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert (await send(both.alice, "[[recall]]", session))["http"] == 404
