"""
Domain to A2A 1.0 and back.

What comes in comes as the SDK's types. What goes out goes as ProtoJSON objects, made by hand: a Task is the first
frame of every stream and the answer to every poll, and by way of the SDK's types it costs ten times as much and turns
each integer of a data part into a float. Tests hold every shape equal to what the SDK reads and writes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, assert_never

from a2a import types as a2a
from attrs import evolve
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from opencode_a2a_server.domain.ids import ContextId, MessageId, Seq, TaskId
from opencode_a2a_server.domain.message import DataPart, Json, Message, Part, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Artifact, Status, Task, status_message
from opencode_a2a_server.domain.updates import ArtifactTold

from . import shared
from .card.extensions import INTERACTIVE_INTERRUPT, STREAM_HINTS
from .shared import Told

ARTIFACT_EXTENSIONS: Final = (STREAM_HINTS,)
"""What the metadata of each artifact is about (A2A 1.0, 4.6)."""
_ASKING: Final = (INTERACTIVE_INTERRUPT,)

_EXACT: Final = 2**53
"""Up to here a double, which is what protobuf keeps of a JSON number, is exact."""

ROLES_IN: Final[Mapping[int, Role]] = {a2a.Role.ROLE_USER: Role.USER, a2a.Role.ROLE_AGENT: Role.AGENT}
_ROLES_OUT: Final[Mapping[Role, str]] = {Role.USER: "ROLE_USER", Role.AGENT: "ROLE_AGENT"}
_STATES_OUT: Final[Mapping[TaskState, str]] = {state: f"TASK_STATE_{state.name}" for state in TaskState}


# Parts and messages


def part_in(part: a2a.Part) -> Part:
    """Read a part (A2A 1.0, 4.1.6)."""
    metadata = object_in(part.metadata)
    match part.WhichOneof("content"):
        case "text":
            return TextPart(part.text, metadata, part.media_type, part.filename)
        case "raw":
            return RawPart(part.raw, part.media_type, part.filename, metadata)
        case "url":
            return UrlPart(part.url, part.media_type, part.filename, metadata)
    return DataPart(_exact(MessageToDict(part.data)), part.media_type, part.filename, metadata)


def part_out(part: Part) -> Told:
    """Tell a part."""
    match part:
        case TextPart():
            content: Told = {"text": part.text}
        case RawPart():
            content = {"raw": base64.b64encode(part.raw).decode("ascii")}
        case UrlPart():
            content = {"url": part.url}
        case DataPart():
            content = {"data": part.data}
        case _:
            assert_never(part)
    return {**content, **_filled(mediaType=part.media_type, filename=part.filename, metadata=part.metadata)}


def message_in(message: a2a.Message) -> Message:
    """Read a message (A2A 1.0, 4.1.4) that was found whole."""
    return Message(
        message_id=MessageId(message.message_id),
        role=ROLES_IN[message.role],
        parts=tuple(map(part_in, message.parts)),
        context_id=ContextId(message.context_id) if message.context_id else None,
        task_id=TaskId(message.task_id) if message.task_id else None,
        reference_task_ids=tuple(TaskId(reference) for reference in message.reference_task_ids),
        extensions=tuple(message.extensions),
        metadata=object_in(message.metadata),
    )


def message_out(message: Message) -> Told:
    """Tell a message."""
    return {
        "messageId": message.message_id,
        "role": _ROLES_OUT[message.role],
        "parts": [part_out(part) for part in message.parts],
        **_filled(
            contextId=message.context_id,
            taskId=message.task_id,
            referenceTaskIds=message.reference_task_ids,
            extensions=message.extensions,
            metadata=message.metadata,
        ),
    }


# Tasks


def task_out(task: Task, history_length: int | None = None, *, gap: bool = False, with_artifacts: bool = True) -> Told:
    """
    Tell a task (A2A 1.0, 4.1.1).

    Args:
        task: As it stands; read at once.
        history_length: How many of the last messages to tell, None for all (A2A 1.0, 3.2.4).
        gap: The task stands in for updates which the reader has missed.
        with_artifacts: Whether to tell the output.

    """
    artifacts = task.artifacts.values() if with_artifacts else ()
    skipped = 0 if history_length is None else max(len(task.history) - history_length, 0)
    return {
        "id": task.id,
        "contextId": task.context_id,
        "status": status_out(task, status_now(task), asks=shared.asked_now(task) is not None),
        **_filled(
            artifacts=[artifact_out(task, artifact, artifact.seq) for artifact in artifacts],
            history=[message_out(_tailored(task, message)) for message in task.history[skipped:]],
        ),
        "metadata": _task_metadata(task, gap=gap),
    }


def status_out(task: Task, status: Status, *, asks: bool = False) -> Told:
    """Tell a status (A2A 1.0, 4.1.2), now or as it was; one that `asks` has an interrupt as data."""
    told: Told = {"state": _STATES_OUT[status.state], "timestamp": timestamp(status.at)}
    if not status.parts:
        return told
    message = _tailored(task, status_message(task, status))
    return {**told, "message": message_out(evolve(message, extensions=_ASKING) if asks else message)}


def artifact_out(task: Task, artifact: Artifact | ArtifactTold, seq: Seq) -> Told:
    """Tell an artifact (A2A 1.0, 4.1.7) as of update `seq`; it has at least one part."""
    return {
        "artifactId": artifact.id if isinstance(artifact, Artifact) else artifact.artifact,
        **_filled(name=artifact.name),
        "extensions": ARTIFACT_EXTENSIONS,
        "parts": [part_out(part) for part in _for_client(task, artifact.parts) or (TextPart(""),)],
        "metadata": shared.block(task, artifact, seq),
    }


def _tailored(task: Task, message: Message) -> Message:
    """Give what the agent said in the form the client takes; what the client said stays as it was."""
    if message.role is Role.USER or not task.text_only:
        return message
    return evolve(message, parts=_for_client(task, message.parts))


def _for_client(task: Task, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Give data as JSON text to a client that takes text only (A2A 1.0, 3.2.2)."""
    if not task.text_only:
        return parts
    return tuple(TextPart(_as_text(part.data), part.metadata) if isinstance(part, DataPart) else part for part in parts)


def _as_text(data: Json) -> str:
    return json.dumps(
        data, ensure_ascii=False, default=lambda value: dict(value) if isinstance(value, Mapping) else list(value)
    )


def timestamp(at: float) -> str:
    """Tell a moment, to the millisecond (A2A 1.0, 5.6.1)."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def status_now(task: Task) -> Status:
    """Give the status; one that asks asks programs as well."""
    asked = shared.asked_now(task)
    return task.status if asked is None else evolve(task.status, parts=shared.asking(asked))


def _task_metadata(task: Task, *, gap: bool) -> Told:
    place: Told = {"cursor": shared.cursor(task.id, task.seq)}
    waiting = [shared.asked(interrupt) for interrupt in task.pending.values()]
    asked = shared.asked_now(task)
    return {
        "shared": {
            "stream": {**place, "gap": True} if gap else place,
            **shared.session(task.session),
            **shared.usage(task.usage),
            **({} if asked is None else {"interrupt": shared.asked(asked)}),
            **({"interrupts": waiting} if len(waiting) > 1 else {}),
        },
        **shared.error(task.failure),
    }


def _filled(**fields: object) -> Told:
    """Leave out what is empty, as ProtoJSON does."""
    return {name: value for name, value in fields.items() if value}


def object_in(struct: Struct) -> Mapping[str, Json]:
    """Read metadata."""
    return {name: _exact(value) for name, value in MessageToDict(struct).items()} if struct.fields else {}


def _exact(value: Any) -> Json:
    """Give back the integers among the doubles that protobuf made of all numbers."""
    match value:
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return int(value)
        case list():
            return [_exact(item) for item in value]
        case dict():
            return {name: _exact(item) for name, item in value.items()}
    return value  # type: ignore[no-any-return]
