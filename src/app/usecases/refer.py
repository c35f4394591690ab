"""The tasks a message refers to: what the runtime is told of them."""

from __future__ import annotations

from attrs import evolve

from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.errors import InvalidRequest, TaskNotFound
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.message import Message, TextPart
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import BlockKind

_MOST = 20
"""References a message may have."""
_LENGTH = 8000
"""Characters of answers that go with a message, shared by the tasks it refers to."""


async def check_references(journal: Journal, principal: Principal, message: Message) -> None:
    """
    Refuse a message that refers to what is not there.

    Raises:
        TaskNotFound: It refers to a task this principal does not have.
        InvalidRequest: It refers to too many.

    """
    if len(message.reference_task_ids) > _MOST:
        raise InvalidRequest(f"a message refers to at most {_MOST} tasks", "message.referenceTaskIds")
    for task_id in message.reference_task_ids:
        await owned(journal, principal, task_id)


async def with_references(journal: Journal, principal: Principal, message: Message) -> Message:
    """
    Put before a message what was answered in the tasks it refers to, for a runtime which does not know of tasks.

    Raises:
        JournalUnavailable: The store cannot be read.

    """
    if not message.reference_task_ids:
        return message
    length = _LENGTH // len(message.reference_task_ids)
    told = ["The message below refers to earlier tasks."]
    for task_id in message.reference_task_ids:
        try:
            told.append(_describe((await owned(journal, principal, task_id)).task, length))
        except TaskNotFound:
            told.append(f"Task {task_id} is no longer kept.")
    return evolve(message, parts=(TextPart("\n\n".join(told)), *message.parts))


def _describe(task: Task, length: int) -> str:
    answer = _last_answer(task)
    if not answer:
        return f"Task {task.id} ({task.state.value}) has no answer."
    cut = answer if len(answer) <= length else f"{answer[:length]} [...]"
    return f"Task {task.id} ({task.state.value}) was answered last:\n{cut}"


def _last_answer(task: Task) -> str:
    """Give the last text of the agent itself, not of its sub-agents; what was withdrawn is empty."""
    own = (told for told in reversed(task.artifacts.values()) if told.kind is BlockKind.TEXT and told.lane is None)
    return next((told.text for told in own if told.text), "")
