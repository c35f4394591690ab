"""The replicas, as one of them sees them: it runs everything, until a test says otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from attrs import define, field

from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.domain.ids import TaskId


@define(eq=False)
class FakeReplicas:
    """The port `Replicas`. What others leave, a test puts into `left`; before that, all that has not ended is ours."""

    journal: Journal
    left: list[TaskId] | None = None
    forgetting: list[Callable[[], None]] = field(factory=list)
    change: asyncio.Event = field(factory=asyncio.Event)

    async def inherit(self) -> Sequence[TaskId]:
        """See `Replicas.inherit`."""
        if self.left is None:
            self.left = []
            return await self.journal.unfinished()
        taken, self.left = self.left, []
        return taken

    async def changed(self) -> None:
        """See `Replicas.changed`."""
        await self.change.wait()
        self.change.clear()

    def when_lost(self, forget: Callable[[], None]) -> None:
        """See `Replicas.when_lost`."""
        self.forgetting.append(forget)

    def lose(self) -> None:
        """Have this replica taken for dead."""
        for forget in self.forgetting:
            forget()

    async def be_sure(self) -> None:
        """See `Replicas.be_sure`."""
