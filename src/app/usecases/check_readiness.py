"""Say whether the service can work now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.usecases.beside import Beside
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.watch_agent import WatchAgent

_PATIENCE: Final = 1.0
"""Seconds for the store."""
_INTERVAL: Final = 1.0
"""Seconds between two looks at the store."""


@frozen
class Checked:
    """What was found: of each thing that is needed what is wrong with it, empty for nothing."""

    troubles: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.troubles.values())


@define(eq=False)
class CheckReadiness:
    """
    Look at all that new work needs: the runtime, the store, and that the service is not about to end.

    It is a context manager while which the store is looked at again and again, as the runtime is anyway: an answer is
    what was last seen, so that a probe waits for nobody and costs nothing, however many there are.
    """

    watch: WatchAgent
    journal: Journal
    turns: RunTurns
    clock: Clock
    _store: str = field(default="the store was not looked at yet", init=False)
    _beside: Beside = field(factory=Beside, init=False)

    async def __aenter__(self) -> Self:
        await self.look()
        self._beside.begin(self._keep_looking(), "watch store")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._beside.end()

    def __call__(self) -> Checked:
        """Say what was last seen."""
        readiness = self.watch.readiness
        return Checked(
            {
                "upstream": "" if readiness.ready else readiness.remedy or "the runtime is not ready",
                "store": self._store,
                "drain": "the service is about to stop and takes no new work" if self.turns.draining else "",
            }
        )

    async def look(self) -> None:
        """Look at the store now."""
        try:
            self._store = await self.clock.within(_PATIENCE, self.journal.probe())
        except TimeoutError:
            self._store = f"the store has not answered for {_PATIENCE:g} s"

    async def _keep_looking(self) -> None:
        while True:
            await self.clock.sleep(_INTERVAL)
            await self.look()
