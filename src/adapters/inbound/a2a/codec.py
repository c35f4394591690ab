"""
Domain to A2A 1.0 and back.

What comes in comes as the SDK's types. What goes out goes as ProtoJSON objects, made by hand: a Task is the first
frame of every stream and the answer to every poll, and by way of the SDK's types it costs ten times as much and turns
each integer of a data part into a float. Tests hold every shape equal to what the SDK reads and writes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from a2a import types as a2a
from google.protobuf.json_format import MessageToDict

from opencode_a2a_server.domain.ids import ContextId, MessageId, TaskId
from opencode_a2a_server.domain.message import DataPart, Json, Message, Part, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Artifact, Task, status_message

from . import shared
from .shared import Told

_EXACT: Final = 2**53
"""Up to here a double, which is what protobuf keeps of a JSON number, is exact."""

_ROLES_IN: Final[Mapping[int, Role]] = {a2a.Role.ROLE_USER: Role.USER, a2a.Role.ROLE_AGENT: Role.AGENT}
_ROLES_OUT: Final[Mapping[Role, str]] = {Role.USER: "ROLE_USER", Role.AGENT: "ROLE_AGENT"}
_STATES_OUT: Final[Mapping[TaskState, str]] = {
    state: "TASK_STATE_" + state.name for state in TaskState
}


# Parts and messages


def part_in(part: a2a.Part) -> Part | None:
    """Read a part (A2A 1.0, 4.1.6); None if it has no content."""
    metadata = _object_in(part.metadata)
    match part.WhichOneof("content"):
        case "text":
            return TextPart(part.text, metadata)
        case "raw":
            return RawPart(part.raw, part.media_type, part.filename, metadata)
        case "url":
            return UrlPart(part.url, part.media_type, part.filename, metadata)
        case "data":
            return DataPart(_exact(MessageToDict(part.data)), part.media_type, part.filename, metadata)
    return None


def part_out(part: Part) -> Told:
    """Tell a part."""
    match part:
        case TextPart():
            return _without_blanks(text=part.text, metadata=part.metadata)
        case RawPart():
            content: Told = {"raw": base64.b64encode(part.raw).decode("ascii")}
        case UrlPart():
            content = {"url": part.url}
        case DataPart():
            content = {"data": part.data}
    return content | _filled(mediaType=part.media_type, filename=part.filename, metadata=part.metadata)


def message_in(message: a2a.Message) -> Message:
    """Read a message (A2A 1.0, 4.1.4); parts without content are left out."""
    parts = (part_in(part) for part in message.parts)
    return Message(
        message_id=MessageId(message.message_id),
        role=_ROLES_IN.get(message.role, Role.USER),
        parts=tuple(part for part in parts if part is not None),
        context_id=ContextId(message.context_id) if message.context_id else None,
        task_id=TaskId(message.task_id) if message.task_id else None,
        reference_task_ids=tuple(TaskId(reference) for reference in message.reference_task_ids),
        extensions=tuple(message.extensions),
        metadata=_object_in(message.metadata),
    )


def message_out(message: Message) -> Told:
    """Tell a message."""
    return {
        "messageId": message.message_id,
        "role": _ROLES_OUT[message.role],
        "parts": [part_out(part) for part in message.parts],
    } | _filled(
        contextId=message.context_id,
        taskId=message.task_id,
        referenceTaskIds=message.reference_task_ids,
        extensions=message.extensions,
        metadata=message.metadata,
    )


# Tasks


def task_out(task: Task, history_length: int | None = None, *, gap: bool = False) -> Told:
    """
    Tell a task (A2A 1.0, 4.1.1).

    Args:
        task: As it stands; read at once.
        history_length: How many of the last messages to tell, None for all (A2A 1.0, 3.2.4).
        gap: The task stands in for updates that the reader has missed for good.

    """
    history = task.history if history_length is None else task.history[len(task.history) - history_length :]
    return {
        "id": task.id,
        "contextId": task.context_id,
        "status": _status_now(task),
        "metadata": _task_metadata(task, gap=gap),
    } | _filled(
        artifacts=[_artifact_out(task, artifact) for artifact in task.artifacts.values()],
        history=[message_out(message) for message in history],
    )


def status_out(task: Task, state: TaskState, at: float, message: Message | None) -> Told:
    """Tell a status (A2A 1.0, 4.1.2)."""
    told: Told = {"state": _STATES_OUT[state], "timestamp": timestamp(at)}
    return told if message is None else {**told, "message": message_out(message)}


def timestamp(at: float) -> str:
    """Tell a moment, to the millisecond (A2A 1.0, 5.6.1)."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
