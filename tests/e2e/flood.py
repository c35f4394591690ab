"""A runtime that says a great deal: `A2A_RUNTIME=tests.e2e.flood:factory`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opencode_a2a_server.adapters.outbound.scripted.agent import Scripted
from opencode_a2a_server.adapters.outbound.scripted.scripts import Scripts
from opencode_a2a_server.adapters.outbound.scripted.steps import Delay, Hang, Say, Step
from opencode_a2a_server.app.ports.agent import Agent, Surroundings

MEGABYTES = 8
_TENTH = ("w" * 999 + " ") * 100


@asynccontextmanager
async def factory(around: Surroundings) -> AsyncIterator[Agent]:
    """Say it, when there was time to listen, and do not end."""
    told: list[Step] = [step for _ in range(MEGABYTES * 10) for step in (Say(_TENTH), Delay(0.02))]
    async with Scripted(around.clock, around.ids, Scripts.always(Delay(3), *told, Hang())) as agent:
        yield agent
