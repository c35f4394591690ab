"""What extension methods tell: sessions as tasks, their history as messages, all else by the names of its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from opencode_a2a_server.adapters.inbound.a2a import shared
from opencode_a2a_server.adapters.inbound.a2a.codec import message_out, timestamp
from opencode_a2a_server.adapters.inbound.a2a.encode import Shape
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.ports.sessions import SessionDetails, Spoken
from opencode_a2a_server.domain.ids import ContextId, SessionId
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.session import ModelChoice

CONTEXT_PREFIX: Final = "ctx:opencode-session:"
"""Before a session's id: what a session that is listed calls its context."""


def plain(value: Any) -> Any:
    """Tell a value by the names of its fields; what is None is left out."""
    if attrs.has(type(value)):
        told = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
        return {name: plain(item) for name, item in told.items() if item is not None}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def session_task(details: SessionDetails, shape: Shape) -> Told:
    """Tell a session as a task that has ended: it is nothing that works, but something to go on with."""
    told: Told = {
        "id": details.id,
        "contextId": _context(details.id),
        "status": {"state": "TASK_STATE_COMPLETED", **_at("timestamp", details.updated)},
        "metadata": {
            "shared": {"session": {"id": details.id, "title": details.title}},
            "opencode": {"session": session_summary(details)},
        },
    }
    return shape.task(told)


def session_summary(details: SessionDetails) -> Told:
    """Tell all there is to know of a session."""
    told: Told = {"id": details.id, "title": details.title, "directory": details.directory}
    named = {
        "project_id": details.project_id,
        "parent_id": details.parent_id,
        "version": details.version,
        "agent": details.agent,
        "share_url": details.share_url,
        "cost": details.cost,
    }
    times = {
        **_at("created_at", details.created),
        **_at("updated_at", details.updated),
        **_at("archived_at", details.archived),
    }
    model = {} if details.model is None else {"model": _model(details.model)}
    revert = {} if details.revert is None else {"revert": plain(details.revert)}
    return {**told, **{name: value for name, value in named.items() if value is not None}, **model, **times, **revert}


def history_message(spoken: Spoken, shape: Shape) -> Told:
    """Tell a message of a session."""
    metadata: Mapping[str, Any] = {
        "shared": {"session": {"id": spoken.session_id}, **shared.usage(spoken.usage)},
        "opencode": {"message": _about(spoken)},
    }
    message = Message(
        spoken.id, spoken.role, spoken.parts, context_id=ContextId(_context(spoken.session_id)), metadata=metadata
    )
    return shape.message(message_out(message))


def _about(spoken: Spoken) -> Told:
    named = {
        "parent_id": spoken.parent_id,
        "agent": spoken.agent,
        "model": None if spoken.model is None else _model(spoken.model),
        "finish": spoken.finish,
        "error": None if spoken.error is None else dict(spoken.error),
    }
    told = {name: value for name, value in named.items() if value is not None}
    return {**told, **_at("created_at", spoken.created), **_at("completed_at", spoken.completed)}


def _context(session: SessionId) -> str:
    return CONTEXT_PREFIX + session


def _model(model: ModelChoice) -> Told:
    return {"provider_id": model.provider_id, "model_id": model.model_id}


def _at(name: str, moment: float | None) -> Told:
    return {} if moment is None else {name: timestamp(moment)}
