"""A task to fold updates into, and what a reader sees of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, Seq, SessionId, TaskId
from opencode_a2a_server.domain.message import DataPart, Message, Part, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.task import Artifact, Task
from opencode_a2a_server.domain.updates import Entry, TaskSubmitted, TurnStarted, Update

SESSION = SessionId("ses_1")
PROMPT = MessageId("msg_prompt")
MESSAGE = Message(MessageId("m1"), Role.USER, (TextPart("do it"),))


def entries(updates: Iterable[Update], first: int = 1) -> list[Entry]:
    """Number updates as a journal does."""
    return [Entry(Seq(number), float(number), update) for number, update in enumerate(updates, first)]


def submitted() -> Task:
    """Give a task of which nothing but its beginning is known."""
    (entry,) = entries([TaskSubmitted(ContextId("c1"), Principal("alice"), MESSAGE)])
    return Task.submitted(TaskId("t1"), entry)


def begun(session: SessionId = SESSION, prompt: MessageId = PROMPT) -> Task:
    """Give a task whose turn has begun."""
    task = submitted()
    tell(task, [TurnStarted(Session(session, Directory("/workspace")), prompt)])
    return task


def tell(task: Task, updates: Iterable[Update]) -> Task:
    """Append updates to the task's journal."""
    for entry in entries(updates, task.seq + 1):
        task.apply(entry)
    return task


def view(task: Task) -> dict[str, Any]:
    """Give what of a task does not depend on how its updates were cut: no numbers, no times."""
    return {
        "state": task.state.value,
        "said": [_part(part) for part in task.status.parts],
        "usage": task.usage,
        "failure": task.failure,
        "pending": list(task.pending),
        "artifacts": {artifact.id: _artifact(artifact) for artifact in task.artifacts.values()},
    }


def texts(task: Task) -> dict[str, str]:
    """Give the text of each artifact that has any."""
    return {artifact.id: artifact.text for artifact in task.artifacts.values() if artifact.text}


def _artifact(artifact: Artifact) -> tuple[Any, ...]:
    parts = [_part(part) for part in artifact.parts]
    return artifact.kind.value, artifact.name, artifact.lane, artifact.message, artifact.closed, parts


def _part(part: Part) -> Any:
    match part:
        case TextPart(text):
            return text
        case DataPart(data):
            return data
        case RawPart() | UrlPart():
            return part
