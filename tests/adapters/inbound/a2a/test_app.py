"""The application as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import evolve
from litestar import Litestar
from litestar.testing import AsyncTestClient

from opencode_a2a_server.adapters.inbound.a2a.app import create_app
from opencode_a2a_server.adapters.inbound.a2a.auth import BearerTokens
from opencode_a2a_server.adapters.inbound.a2a.drain import Drain
from tests.adapters.inbound.a2a.stage import CARD, HEADERS, TOKEN, Stage, untouched
from tests.fakes.clock import settled

pytestmark = pytest.mark.anyio


async def test_health_says_that_the_process_answers() -> None:
    async with untouched().client() as client:
        answer = await client.get("/health")

    assert answer.json() == {"status": "ok", "version": "1.2.3", "protocol_versions": ["1.0", "0.3"]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("POST", "/"),
        ("POST", "/message:send"),
        ("POST", "/message:stream"),
        ("GET", "/tasks"),
        ("GET", "/tasks/x"),
        ("POST", "/tasks/x:cancel"),
        ("GET", "/tasks/x:subscribe"),
        ("GET", "/tasks/x/pushNotificationConfigs"),
        ("GET", "/extendedAgentCard"),
    ],
)
async def test_all_but_the_card_needs_credentials(method: str, path: str) -> None:
    async with untouched().client({}) as client:
        answer = await client.request(method, path)

    assert answer.status_code == 401


async def test_every_route_is_behind_the_guard_but_the_card_and_the_keys() -> None:
    app = untouched().app

    public = {
        path
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        if handler.opt.get("public") or not handler.resolve_guards()
        for path in [route.path]
    }

    assert public == {"/.well-known/agent-card.json", "/.well-known/agent.json", "/.well-known/jwks.json"}


async def test_what_lives_with_the_application_begins_and_ends_with_it() -> None:
    lived: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        lived.append("begin")
        yield
        lived.append("end")

    app = create_app(Stage().operations(), authenticate=BearerTokens.of([TOKEN]), drain=Drain(), lifespan=[lifespan])
    async with AsyncTestClient(app) as client:
        assert lived == ["begin"]
        assert (await client.get("/health", headers=HEADERS)).status_code == 200

    assert lived == ["begin", "end"]


async def test_another_card_is_served_as_it_is() -> None:
    async with Stage(card=evolve(CARD, title="Another")).client({}) as client:
        assert (await client.get("/.well-known/agent-card.json")).json()["name"] == "Another"


async def test_the_end_is_heard_by_who_waits_and_who_listens() -> None:
    drain = Drain()
    heard: list[str] = []
    waiting = asyncio.ensure_future(drain.wait())

    with drain.telling(lambda: heard.append("inside")):
        assert drain.listening == 1
        drain.begin()
    with drain.telling(lambda: heard.append("after")):
        pass
    await settled()

    assert drain.ending
    assert drain.listening == 0
    assert waiting.done()
    assert heard == ["inside"]
