"""Which tasks are listed, in which order, and what a page of them is."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.domain.ids import ContextId, TaskId
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task


@frozen
class Wanted:
    """Which tasks of a principal are wanted; None wants all."""

    context_id: ContextId | None = None
    state: TaskState | None = None
    since: float | None = None
    """The earliest moment of their status."""

    def fits(self, task: Task) -> bool:
        """Whether a task is one of them now."""
        return (
            self.context_id in (None, task.context_id)
            and self.state in (None, task.state)
            and (self.since is None or task.status.at >= self.since)
        )


@frozen
class Place:
    """A task's place in the list: the newest status comes first, of two as new the greater id."""

    at: float
    task_id: TaskId


BEGIN = Place(float("inf"), TaskId(""))
"""Before the first."""


@frozen
class Page:
    """A piece of the list, how long all of it is, and the place to go on behind; None at the end."""

    task_ids: Sequence[TaskId]
    total: int
    next: Place | None = None

    @classmethod
    def of(cls, places: Sequence[Place], size: int, total: int) -> Page:
        """Make a page of so many; one place more says that others follow."""
        more = len(places) > size
        return cls([place.task_id for place in places[:size]], total, places[size - 1] if more else None)
