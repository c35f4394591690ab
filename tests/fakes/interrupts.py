"""The register of interrupts, read off the fake journals."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from opencode_a2a_server.adapters.outbound.stores.interrupts import registrations
from opencode_a2a_server.adapters.outbound.stores.storage import Registration
from opencode_a2a_server.app.ports.interrupts import Registered
from opencode_a2a_server.domain.ids import Principal, RequestId, TaskId
from opencode_a2a_server.domain.task import Task
from tests.fakes.journal import FakeJournal, FakeLog


@define(eq=False)
class FakeInterrupts:
    """The port `Interrupts`."""

    journal: FakeJournal
    forgotten: float = 0.0

    async def find(self, principal: Principal, request: RequestId) -> Registered | None:
        """See `Interrupts.find`."""
        found = [one for one in self._all() if (one.principal, one.request) == (principal, request)]
        return Registered(found[-1].task_id, found[-1].ended_at) if found else None

    async def waiting(self, principal: Principal) -> Sequence[TaskId]:
        """See `Interrupts.waiting`."""
        last = {one.request: one for one in self._all() if one.principal == principal}
        return list(dict.fromkeys(one.task_id for one in last.values() if one.ended_at is None))

    async def forget(self, before: float) -> None:
        """See `Interrupts.forget`."""
        self.forgotten = before

    def _all(self) -> list[Registration]:
        told = [one for log in self.journal.logs.values() for one in _of(log)]
        return [one for one in told if one.ended_at is None or one.ended_at >= self.forgotten]


def _of(log: FakeLog) -> list[Registration]:
    task = Task.submitted(log.task.id, log.entries[0])
    found: list[Registration] = []
    for entry in log.entries[1:]:
        found += registrations(task, entry.update, entry.at)
        task.apply(entry)
    return found
