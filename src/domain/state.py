"""The states of a task and the steps between them (A2A 1.0, 4.1.3)."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from .errors import IllegalTransition


class TaskState(enum.Enum):
    """Where a task stands."""

    SUBMITTED = "submitted"
    WORKING = "working"
    INPUT_REQUIRED = "input-required"
    AUTH_REQUIRED = "auth-required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"

    __hash__ = object.__hash__
    """Enum's own is written in Python, and states are looked up for each update."""

    @property
    def terminal(self) -> bool:
        """Whether the task has ended; nothing follows."""
        return self in TERMINAL

    @property
    def interrupted(self) -> bool:
        """Whether the task waits for somebody outside."""
        return self in INTERRUPTED


TERMINAL = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED})
INTERRUPTED = frozenset({TaskState.INPUT_REQUIRED, TaskState.AUTH_REQUIRED})

_UNDER_WAY = frozenset(TaskState) - {TaskState.SUBMITTED}

TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.SUBMITTED: _UNDER_WAY,
    TaskState.WORKING: _UNDER_WAY,
    TaskState.INPUT_REQUIRED: _UNDER_WAY,
    TaskState.AUTH_REQUIRED: _UNDER_WAY,
    **{state: frozenset() for state in TERMINAL},
}
"""From each state, those that may follow. Docs draw their diagram from this table."""


def step(old: TaskState, new: TaskState) -> TaskState:
    """
    Go from one state to another.

    Raises:
        IllegalTransition: The table has no such step; terminal states are final.

    """
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(f"a task that is {old.value} cannot become {new.value}")
    return new
