"""A stream folded as the Python SDK folds it, and a task in a form that can be compared with that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from a2a import types as a2a
from a2a.server.tasks.task_manager import append_artifact_to_task
from google.protobuf.json_format import MessageToDict, ParseDict

from opencode_a2a_server.adapters.inbound.a2a.codec import task_out
from opencode_a2a_server.domain.task import Task


def parsed(told: Mapping[str, Any]) -> a2a.StreamResponse:
    """Read a StreamResponse as the SDK does, strictly."""
    return ParseDict(dict(told), a2a.StreamResponse())


def folded(opening: a2a.Task, updates: Iterable[a2a.StreamResponse]) -> Mapping[str, Any]:
    """Apply updates to the task that a stream opened with."""
    task = a2a.Task()
    task.CopyFrom(opening)
    for update in updates:
        if update.HasField("artifact_update"):
            append_artifact_to_task(task, update.artifact_update)
        elif update.HasField("status_update"):
            task.status.CopyFrom(update.status_update.status)
    return _compared(task)


def snapshot(task: Task) -> Mapping[str, Any]:
    """Give a task as a poll gives it."""
    return _compared(ParseDict(dict(task_out(task)), a2a.Task()))


def _compared(task: a2a.Task) -> Mapping[str, Any]:
    """Give what both must agree on; text is one text however many parts tell it."""
    return {
        "status": MessageToDict(task.status),
        "artifacts": {
            artifact.artifact_id: {
                "name": artifact.name,
                "text": "".join(part.text for part in artifact.parts),
                "other": [MessageToDict(part) for part in artifact.parts if part.WhichOneof("content") != "text"],
                "metadata": MessageToDict(artifact.metadata),
            }
            for artifact in task.artifacts
        },
    }
