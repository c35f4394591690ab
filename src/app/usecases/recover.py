"""Recover: no task stays working for ever, whoever left it."""

from __future__ import annotations

import asyncio
import logging

from attrs import define, field

from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.ports.replicas import Replicas
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.domain.errors import JournalDamaged, TaskNotFound
from opencode_a2a_server.domain.ids import TaskId

_log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Journals that are opened at the same time."""


@define(eq=False)
class Recover:
    """
    Take up each task that was left in mid-turn: by the last life of the service, or by a replica that is gone.

    Its turn goes on if the runtime still works on it, is completed from the runtime's messages if it ended meanwhile,
    or fails with the reason. One that the store has lost a part of is left, and that is said: the others go on.

    Raises:
        JournalUnavailable: The store cannot be used; the next call goes on.

    """

    journal: Journal
    turns: RunTurns
    replicas: Replicas
    _left: list[TaskId] = field(factory=list, init=False)

    async def __call__(self) -> int:
        """Start a job for each; gives how many unfinished tasks there are."""
        taken_up = await self._take_up()
        while taken := await self.replicas.inherit():
            self._left += taken
            taken_up += await self._take_up()
        return taken_up

    async def _take_up(self) -> int:
        taken_up = 0
        while some := self._left[:_AT_ONCE]:
            logs = await asyncio.gather(*map(self._open, some))
            del self._left[: len(some)]
            for log in logs:
                if log is not None and not log.task.state.terminal:
                    self.turns.resume(log)
                    taken_up += 1
        return taken_up

    async def _open(self, task_id: TaskId) -> TaskLog | None:
        try:
            return await self.journal.open(task_id)
        except TaskNotFound:  # removed meanwhile
            return None
        except JournalDamaged as damaged:  # and the others are to go on
            _log.error("task %s cannot be taken up: %s", task_id, damaged)
            return None

    def let_go(self) -> None:
        """Take up nothing of what is another replica's now."""
        self._left.clear()
