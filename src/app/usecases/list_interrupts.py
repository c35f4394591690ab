"""List what waits for a principal's answer."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.app.ports.interrupts import Interrupts
from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.usecases.answer_work import AnswerWork
from opencode_a2a_server.domain.ids import ContextId, Principal, TaskId
from opencode_a2a_server.domain.interrupt import Interrupt, Kind


@frozen
class Asking:
    """An interrupt that waits, and whose it is: no task's if it is asked by a session that works without one."""

    task_id: TaskId | None
    context_id: ContextId | None
    interrupt: Interrupt


@frozen
class ListInterrupts:
    """List the permissions or the questions that wait for an answer of this principal, task by task, then those of other work."""

    journal: Journal
    interrupts: Interrupts
    work: AnswerWork | None = None
    """What sessions ask that work without a task, if there are any."""

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
        if self.work is not None:
            outside = await self.work.asked(principal)
            asking += [Asking(None, None, interrupt) for interrupt in outside if interrupt.kind is kind]
        return asking
