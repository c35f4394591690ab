"""A service in which sessions work for no task: over the whole of it, and over its restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.app.container import assemble
from opencode_a2a_server.app.ports.agent import AgentFactory
from opencode_a2a_server.app.settings import load_settings
from tests.fakes.acts import AskPermission, Say
from tests.fakes.opencode import FakeOpenCode

pytestmark = pytest.mark.anyio

ORDER = {"parts": [{"type": "text", "text": "clean up"}]}


def principal(name: str) -> str:
    token = sha256(name.encode()).hexdigest()
    return (
        f'[[principal]]\nname = "{name}"\ntokens_per_day = 1000000\n'
        f'[[principal.credential]]\ntoken = "sha256:{token}"\n'
    )


def over(fake: FakeOpenCode) -> AgentFactory:
    return lambda surroundings: OpenCode.at(Address("http://opencode"), surroundings.clock, fake)


@asynccontextmanager
async def service(folder: Path, fake: FakeOpenCode) -> AsyncIterator[httpx.AsyncClient]:
    (folder / "credentials.toml").write_text(principal("alice") + principal("bob"))
    environment = {
        "A2A_CREDENTIALS_FILE": str(folder / "credentials.toml"),
        "A2A_TASK_STORE_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/tasks.db",
    }
    async with assemble(load_settings(environment), over(fake)) as container:
        transport = httpx.ASGITransport(container.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            yield client


async def call(client: httpx.AsyncClient, method: str, who: str = "alice", **params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return (await client.post("/", json=body, headers={"authorization": f"Bearer {who}"})).json()


async def waiting(client: httpx.AsyncClient, who: str = "alice") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await call(client, "opencode.permissions.list", who))["result"]["items"]
    return items


async def asked(client: httpx.AsyncClient) -> dict[str, Any]:
    for _ in range(1000):
        if items := await waiting(client):
            (item,) = items
            return item
        await anyio.sleep(0.01)
    raise AssertionError("nothing is asked")


@pytest.fixture
def fake(tmp_path: Path) -> FakeOpenCode:
    fake = FakeOpenCode(directory=str(tmp_path))
    fake.scripts["clean up"] = (AskPermission("bash", "rm *"), Say("done"))
    return fake


async def test_a_permission_that_no_task_tells_of_is_listed_and_answered_by_its_owner_alone(
    tmp_path: Path, fake: FakeOpenCode
) -> None:
    async with service(tmp_path, fake) as client:
        session = (await call(client, "opencode.sessions.create"))["result"]["item"]["id"]
        await call(client, "opencode.sessions.prompt_async", session_id=session, request=ORDER)
        item = await asked(client)
        request = item["request_id"]
        of_bob = await waiting(client, "bob")
        by_bob = await call(client, "a2a.interrupt.permission.reply", "bob", request_id=request, reply="once")
        by_alice = await call(client, "a2a.interrupt.permission.reply", request_id=request, reply="once")
        again = await call(client, "a2a.interrupt.permission.reply", request_id=request, reply="once")

        assert (item["session_id"], item["task_id"], item["context_id"]) == (session, None, None)
        assert of_bob == []
        assert by_bob["error"]["code"] == -32070
        assert by_alice["result"] == {"ok": True, "request_id": request}
        assert again["error"]["code"] == -32070
        assert await waiting(client) == []


async def test_it_is_answered_after_a_restart_of_the_service(tmp_path: Path, fake: FakeOpenCode) -> None:
    async with service(tmp_path, fake) as client:
        session = (await call(client, "opencode.sessions.create"))["result"]["item"]["id"]
        await call(client, "opencode.sessions.prompt_async", session_id=session, request=ORDER)
        before = await asked(client)

    async with service(tmp_path, fake) as client:
        after = await asked(client)
        told = await call(client, "a2a.interrupt.permission.reply", request_id=after["request_id"], reply="once")

    assert {**after, "expires_at": None} == {**before, "expires_at": None}
    assert told["result"]["ok"]
