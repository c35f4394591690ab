"""The life of the service, as its server begins and ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import define, field

from opencode_a2a_server.adapters.outbound.scripted import Scripted
from opencode_a2a_server.app.container.application import Application
from opencode_a2a_server.app.ports.agent import Agent, Surroundings
from opencode_a2a_server.app.settings import load_settings
from opencode_a2a_server.domain.errors import JournalUnavailable
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

SETTINGS = load_settings({"A2A_BEARER_TOKEN": "secret", "A2A_TASK_STORE_BACKEND": "memory"})


@define(eq=False)
class Server:
    """One that begins an application, and ends it when it is told to. Its store is away for some tries."""

    away: int
    patience: float = 60.0
    clock: TurnedClock = field(factory=TurnedClock)
    said: list[str] = field(factory=list)
    end: asyncio.Event = field(factory=asyncio.Event)
    _begun: bool = False

    @asynccontextmanager
    async def _runtime(self, surroundings: Surroundings) -> AsyncIterator[Agent]:
        if self.away:
            self.away -= 1
            raise JournalUnavailable("connection refused")
        async with Scripted(surroundings.clock, surroundings.ids) as agent:
            yield agent

    async def _receive(self) -> MutableMapping[str, Any]:
        if self._begun:
            await self.end.wait()
        self._begun = True
        return {}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        self.said.append(message["type"])

    async def live(self) -> None:
        application = Application(SETTINGS, self._runtime, patience=self.patience, clock=self.clock)
        await application({"type": "lifespan"}, self._receive, self._send)


async def test_a_store_that_is_away_for_a_while_is_waited_for() -> None:
    server = Server(away=3)
    living = asyncio.create_task(server.live())
    await server.clock.turn(2)
    assert server.said == []

    await server.clock.turn(1)
    server.end.set()
    await living

    assert server.said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(("patience", "seconds"), [(0, 0), (60, 60)])
async def test_a_store_that_stays_away_stops_the_start(patience: float, seconds: int) -> None:
    server = Server(away=1000, patience=patience)
    living = asyncio.create_task(server.live())
    await server.clock.turn(seconds - 1 if seconds else 0)
    assert living.done() is not bool(seconds)

    await server.clock.turn(1 if seconds else 0)

    await living
    assert server.said == ["lifespan.startup.failed"]
