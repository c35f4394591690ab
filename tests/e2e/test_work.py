"""The real OpenCode works in a session for no task: what it asks is answered, and what it used is charged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from opencode_a2a_server.app.container import assemble
from opencode_a2a_server.app.ports.ledger import Entry
from opencode_a2a_server.app.settings import load_settings
from tests.e2e.opencode import RealOpenCode

pytestmark = pytest.mark.anyio

Json = dict[str, Any]


@pytest.fixture(scope="module")
def careful(opencode_binary: Path, model: Any) -> Iterator[RealOpenCode]:
    """An OpenCode which asks before it runs a command."""
    with RealOpenCode(opencode_binary, model.url, permission={"bash": "ask"}) as opencode:
        yield opencode


class Client:
    """A client of the service, and what its principal has used."""

    def __init__(self, http: httpx.AsyncClient, container: Any) -> None:
        self.http, self.container = http, container

    async def call(self, method: str, **params: Any) -> Json:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        told: Json = (await self.http.post("/", json=body)).json()
        return told

    async def prompt(self, session: str, text: str) -> Json:
        order = {"parts": [{"type": "text", "text": text}]}
        return await self.call("opencode.sessions.prompt_async", session_id=session, request=order)

    async def asked(self) -> Json:
        for _ in range(1500):
            if items := (await self.call("opencode.permissions.list"))["result"]["items"]:
                (item,) = items
                told: Json = item
                return told
            await anyio.sleep(0.02)
        raise AssertionError("nothing is asked")

    async def at_rest(self, session: str) -> None:
        for _ in range(1500):
            if not await self.container.works().every():
                return
            await anyio.sleep(0.02)
        raise AssertionError(f"{session} never rests")

    async def used(self) -> float:
        day = int(self.container.clock().now() // 86_400) * 86_400
        (tokens,) = await self.container.ledger().add([Entry("alice", "tokens", day, 0)])
        return float(tokens)


@asynccontextmanager
async def serving(opencode: RealOpenCode, folder: Path) -> AsyncIterator[Client]:
    token = sha256(b"alice").hexdigest()
    (folder / "credentials.toml").write_text(
        f'[[principal]]\nname = "alice"\ntokens_per_day = 100000000\nturns = 1\n'
        f'[[principal.credential]]\ntoken = "sha256:{token}"\n'
    )
    settings = {
        "A2A_CREDENTIALS_FILE": str(folder / "credentials.toml"),
        "A2A_TASK_STORE_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/tasks.db",
        "OPENCODE_BASE_URL": opencode.url,
        "OPENCODE_DIRECTORY": str(opencode.workspace),
    }
    async with assemble(load_settings(settings)) as container:
        transport = httpx.ASGITransport(container.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        headers = {"authorization": "Bearer alice", "a2a-version": "1.0"}
        async with httpx.AsyncClient(transport=transport, base_url="http://a", headers=headers, timeout=60) as http:
            yield Client(http, container)


async def test_what_a_session_asks_is_answered_and_what_it_used_is_charged_once(
    careful: RealOpenCode, tmp_path: Path
) -> None:
    async with serving(careful, tmp_path) as client:
        session = (await client.call("opencode.sessions.create"))["result"]["item"]["id"]
        await client.prompt(session, "[[say hello]]")
        await client.at_rest(session)
        hello = await client.used()

        await client.prompt(session, "[[bash echo hi]]")
        item = await client.asked()
        busy = await client.prompt((await client.call("opencode.sessions.create"))["result"]["item"]["id"], "[[say x]]")
        request = item["request_id"]
        told = await client.call("a2a.interrupt.permission.reply", request_id=request, reply="once")
        await client.at_rest(session)
        spoken = (await client.call("opencode.sessions.messages.list", session_id=session))["result"]["items"]
        all_used = await client.used()

    assert hello > 0
    assert all_used > hello
    assert (item["session_id"], item["task_id"]) == (session, None)
    assert busy["error"]["data"][0]["reason"] == "RATE_LIMITED"
    assert told["result"]["ok"]
    assert "hi" in str(spoken)
    with careful.client() as direct:
        every = [one["info"] for one in direct.get(f"/session/{session}/message").json()]
    counted = [one["tokens"] for one in every if one["role"] == "assistant"]
    total = sum(
        one["input"] + one["output"] + one["reasoning"] + one["cache"]["read"] + one["cache"]["write"]
        for one in counted
    )
    assert all_used == total


async def test_a_restart_of_the_service_loses_neither_the_question_nor_the_charge(
    careful: RealOpenCode, tmp_path: Path
) -> None:
    async with serving(careful, tmp_path) as client:
        session = (await client.call("opencode.sessions.create"))["result"]["item"]["id"]
        await client.prompt(session, "[[bash echo again]]")
        before = await client.asked()

    async with serving(careful, tmp_path) as client:
        after = await client.asked()
        await client.call("a2a.interrupt.permission.reply", request_id=after["request_id"], reply="once")
        await client.at_rest(session)

        assert after["request_id"] == before["request_id"]
        assert await client.used() > 0
