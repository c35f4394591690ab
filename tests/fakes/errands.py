"""Errands, as a test hands them over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from attrs import define, field

from opencode_a2a_server.app.ports.errands import Done, Due, Errand
from opencode_a2a_server.domain.errors import JournalUnavailable, Refusal


@define(eq=False)
class FakeErrands:
    """The port `Errands`. `due` is what is to be done; faults meet the next looks, one each."""

    due: list[Due] = field(factory=list)
    faults: list[Exception] = field(factory=list)
    outcomes: dict[str, Done | Refusal] = field(factory=dict)
    came_: asyncio.Event = field(factory=asyncio.Event)

    def put(self, due: Due) -> None:
        """Have it done."""
        self.due.append(due)
        self.came_.set()

    async def ask(self, errand: Errand) -> Done:
        """Refuse: nobody else is there."""
        raise JournalUnavailable(f"nobody runs task {errand.task_id}")

    async def came(self) -> None:
        """See `Errands.came`."""
        await self.came_.wait()
        self.came_.clear()

    async def take(self) -> Sequence[Due]:
        """See `Errands.take`."""
        if self.faults:
            self.came_.set()
            raise self.faults.pop(0)
        taken, self.due = self.due, []
        return taken

    def settle(self, due: Due, outcome: Done | Refusal) -> None:
        """See `Errands.settle`."""
        self.outcomes[due.id] = outcome
