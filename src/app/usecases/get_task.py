"""Get a task."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.ids import Principal, TaskId


@frozen
class GetTask:
    """
    Get a task as it stands (A2A 1.0, 3.1.3).

    Raises:
        TaskNotFound: This principal has no such task.

    """

    journal: Journal

    async def __call__(self, principal: Principal, task_id: TaskId) -> TaskLog:
        """Give the task's journal; the caller encodes the task at once and tells it when it is durable."""
        return await owned(self.journal, principal, task_id)
