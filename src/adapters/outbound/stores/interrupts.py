"""The register of interrupts: what the journals' updates say of them, found by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from opencode_a2a_server.app.ports.interrupts import Registered
from opencode_a2a_server.domain.ids import Principal, RequestId, TaskId
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import AnswerGiven, InterruptRaised, InterruptResolved, StatusChanged, Update

from .storage import Registration
from .writer import Writer


@frozen(repr=False)
class StoredInterrupts:
    """The port `Interrupts`."""

    _writer: Writer

    async def find(self, principal: Principal, request: RequestId) -> Registered | None:
        """Look one up when all that was appended is written."""
        await self._writer.written()
        return await self._writer.storage.find_interrupt(principal, request)

    async def waiting(self, principal: Principal) -> Sequence[TaskId]:
        """Name the tasks which have one that has not ended."""
        await self._writer.written()
        return await self._writer.storage.waiting(principal)

    async def forget(self, before: float) -> None:
        """Forget those which ended before a moment."""
        await self._writer.written(self._writer.forget_interrupts(before))


def registrations(task: Task, update: Update, at: float) -> Iterator[Registration]:
    """Say what an update of a task changes in the register; the task is as it was before."""
    match update:
        case InterruptRaised(interrupt=interrupt) | AnswerGiven(interrupt=interrupt):
            yield Registration(task.principal, interrupt.id, task.id)
        case InterruptResolved():
            yield Registration(task.principal, update.request, task.id, at)
        case StatusChanged() if update.state.terminal:
            for request in dict.fromkeys((*task.pending, *task.given)):
                yield Registration(task.principal, request, task.id, at)
        case _:
            return
