"""Cancel a task."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.tasks import LOOK_SECONDS, owned
from opencode_a2a_server.domain.errors import TaskNotCancelable
from opencode_a2a_server.domain.ids import Principal, TaskId
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import CancelRequested, StatusChanged


@frozen
class CancelTask:
    """
    Cancel a task (A2A 1.0, 3.1.5): journal the intent, abort the turn, wait for the effect.

    Who asks while another cancellation is under way waits for the same end.

    Raises:
        TaskNotFound: This principal has no such task.
        TaskNotCancelable: It has ended, or ended by itself before the abort took effect.

    """

    journal: Journal
    turns: RunTurns

    async def __call__(self, principal: Principal, task_id: TaskId) -> TaskLog:
        """Give the canceled task."""
        log = await owned(self.journal, principal, task_id)
        task = log.task
        if task.state.terminal:
            raise TaskNotCancelable(f"task {task_id} is {task.state.value} already")
        if not task.canceling:
            log.append([CancelRequested(principal)])
        if not self.turns.cancel(log) and _rests(task):
            log.append([StatusChanged(TaskState.CANCELED)])  # else it is about to be taken up, and then aborted
        reader = log.read(task.seq)
        while not (log.task.state.terminal or self.turns.stopping):
            await reader.next(LOOK_SECONDS)
        state = log.task.state
        if state.terminal:
            await log.durable()
        if state.terminal and state is not TaskState.CANCELED:
            raise TaskNotCancelable(f"task {task_id} was {state.value} before it could be canceled")
        return log


def _rests(task: Task) -> bool:
    """Say whether the runtime does not work on it: it has not heard of it, or it waits for its client's next message."""
    works = task.prompt is not None and (task.state is TaskState.WORKING or task.pending)
    return not (works or task.state.terminal)
