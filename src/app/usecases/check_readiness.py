"""Say whether the service can work now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.watch_agent import WatchAgent

_PATIENCE: Final = 1.0
"""Seconds for the store; who asks is a probe, which does not wait longer than that."""


@frozen
class Checked:
    """What was found: of each thing that is needed what is wrong with it, empty for nothing."""

    troubles: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.troubles.values())


@frozen
class CheckReadiness:
    """
    Look at all that new work needs: the runtime, the store, and that the service is not about to end.

    The runtime is not asked for it, it is watched anyway: a probe costs it nothing.
    """

    watch: WatchAgent
    journal: Journal
    turns: RunTurns
    clock: Clock

    async def __call__(self) -> Checked:
        """Look; an answer comes within a little more than a second."""
        readiness = self.watch.readiness
        return Checked(
            {
                "upstream": "" if readiness.ready else readiness.remedy or "the runtime is not ready",
                "store": await self._store(),
                "drain": "the service is about to stop and takes no new work" if self.turns.draining else "",
            }
        )

    async def _store(self) -> str:
        try:
            return await self.clock.within(_PATIENCE, self.journal.probe())
        except TimeoutError:
            return f"the store has not answered for {_PATIENCE:g} s"
