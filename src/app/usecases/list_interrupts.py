"""List what waits for a principal's answer."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.app.ports.interrupts import Interrupts
from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.domain.ids import ContextId, Principal, TaskId
from opencode_a2a_server.domain.interrupt import Interrupt, Kind


@frozen
class Asking:
    """An interrupt that waits, and whose it is."""

    task_id: TaskId
    context_id: ContextId
    interrupt: Interrupt


@frozen
class ListInterrupts:
    """List the permissions or the questions that wait for an answer of this principal, task by task."""

    journal: Journal
    interrupts: Interrupts

    async def __call__(self, principal: Principal, kind: Kind) -> Sequence[Asking]:
        """Give them; one whose answer is on its way waits no more."""
        asking: list[Asking] = []
        for task_id in await self.interrupts.waiting(principal):
            log = await self.journal.open(task_id)
            task, seq = log.task, log.task.seq
            asking += [
                Asking(task.id, task.context_id, interrupt)
                for interrupt in task.pending.values()
                if interrupt.kind is kind and interrupt.id not in task.given
            ]
            await log.durable(seq)
        return asking
