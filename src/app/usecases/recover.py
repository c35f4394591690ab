"""Recover, when the service starts: no task stays working for ever."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.usecases.run_turns import RunTurns


@frozen
class Recover:
    """
    Take up each task that was left in mid-turn.

    Its turn goes on if the runtime still works on it, is completed from the runtime's messages if it ended meanwhile,
    or fails with the reason.
    """

    journal: Journal
    turns: RunTurns

    async def __call__(self) -> int:
        """Start a job for each; gives how many unfinished tasks there are."""
        unfinished = await self.journal.unfinished()
        for task_id in unfinished:
            self.turns.resume(await self.journal.open(task_id))
        return len(unfinished)
