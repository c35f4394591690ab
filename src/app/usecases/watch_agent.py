"""Watch the runtime: say when it cannot be worked with, and what to do about it."""

from __future__ import annotations

import logging
from typing import Self

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Agent, Readiness
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.usecases.beside import Beside

_log = logging.getLogger(__name__)


@define(eq=False)
class WatchAgent:
    """
    Look after the runtime's readiness at the start and from then on; a context manager while which it does.

    A change is logged once, with the remedy. The service serves all the while: tasks can be read, and what is running
    goes on as soon as the runtime is back.
    """

    agent: Agent
    clock: Clock
    interval: float = 10.0
    readiness: Readiness = field(default=Readiness(ready=False, remedy="not asked yet"), init=False)
    _beside: Beside = field(factory=Beside, init=False)

    async def __aenter__(self) -> Self:
        await self.look()
        self._beside.begin(self._watch(), "watch agent")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._beside.end()

    async def look(self) -> Readiness:
        """Ask now."""
        seen = await self.agent.probe()
        if seen.ready and not self.readiness.ready:
            _log.info("%s %s is ready", self.agent.name, seen.version)
        elif not seen.ready and seen.remedy != self.readiness.remedy:
            _log.error("not ready: %s", seen.remedy)
        self.readiness = seen
        return seen

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(self.interval)
            await self.look()
