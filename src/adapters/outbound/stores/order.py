"""Tasks in the order in which they are listed, in memory."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator

from attrs import define, field

from opencode_a2a_server.app.ports.tasks import Page, Place, Wanted
from opencode_a2a_server.domain.ids import ContextId, Principal, TaskId
from opencode_a2a_server.domain.state import TaskState

from .storage import Head, Standing


@define(repr=False)
class _Own:
    """One principal's tasks; the oldest status is first."""

    order: list[tuple[float, TaskId]] = field(factory=list)
    facts: dict[TaskId, tuple[ContextId, TaskState]] = field(factory=dict)
    tally: Counter[TaskState] = field(factory=Counter)

    def forget(self, task_id: TaskId, older: Standing) -> None:
        place = (older.at, task_id)
        index = bisect_left(self.order, place)
        if index < len(self.order) and self.order[index] == place:
            del self.order[index]
            self.tally[self.facts[task_id][1]] -= 1

    def put(self, head: Head, standing: Standing) -> None:
        insort(self.order, (standing.at, head.task_id))
        self.facts[head.task_id] = (head.context_id, standing.state)
        self.tally[standing.state] += 1


@define(eq=False, repr=False)
class Order:
    """Whose tasks stand where."""

    _own: dict[Principal, _Own] = field(factory=dict, init=False)

    def move(self, head: Head, older: Standing, standing: Standing) -> None:
        """Give a task its place; it may be new, or where it was."""
        own = self._own.setdefault(head.principal, _Own())
        own.forget(head.task_id, older)
        own.put(head, standing)

    def remove(self, head: Head, standing: Standing) -> None:
        """Take a task out."""
        own = self._own[head.principal]
        own.forget(head.task_id, standing)
        del own.facts[head.task_id]

    def page(self, principal: Principal, wanted: Wanted, size: int, after: Place) -> Page:
        """List tasks behind a place."""
        own = self._own.get(principal, _Own())
        places: list[Place] = []
        for place in _fitting(own, wanted, after):
            places.append(place)
            if len(places) > size:
                break
        return Page.of(places, size, _count(own, wanted))


def _fitting(own: _Own, wanted: Wanted, after: Place) -> Iterator[Place]:
    first = 0 if wanted.since is None else bisect_left(own.order, (wanted.since, TaskId("")))
    for index in range(bisect_left(own.order, (after.at, after.task_id)) - 1, first - 1, -1):
        at, task_id = own.order[index]
        context_id, state = own.facts[task_id]
        if wanted.context_id in (None, context_id) and wanted.state in (None, state):
            yield Place(at, task_id)


def _count(own: _Own, wanted: Wanted) -> int:
    if wanted.context_id is not None or (wanted.state is not None and wanted.since is not None):
        return sum(1 for _ in _fitting(own, wanted, Place(float("inf"), TaskId(""))))
    if wanted.state is not None:
        return own.tally[wanted.state]
    first = 0 if wanted.since is None else bisect_left(own.order, (wanted.since, TaskId("")))
    return len(own.order) - first
