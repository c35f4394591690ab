"""A principal's own tasks."""

from __future__ import annotations

from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.domain.errors import TaskNotFound
from opencode_a2a_server.domain.ids import Principal, TaskId

LOOK_SECONDS = 0.5
"""How often who waits for a task looks whether the service is about to stop; it then gets the task as it stands."""


async def owned(journal: Journal, principal: Principal, task_id: TaskId) -> TaskLog:
    """
    Open a task of this principal.

    Raises:
        TaskNotFound: There is none; a foreign one is told in the same words.

    """
    missing = TaskNotFound(f"task {task_id} was not found")
    try:
        log = await journal.open(task_id)
    except TaskNotFound:
        raise missing from None
    if log.task.principal != principal:
        raise missing
    return log
