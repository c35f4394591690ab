"""OpenCode's messages as a history that is read, with everything they hold."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from opencode_a2a_server.app.ports.sessions import Spoken
from opencode_a2a_server.domain.ids import MessageId, SessionId
from opencode_a2a_server.domain.message import DataPart, Part, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.session import ModelChoice
from opencode_a2a_server.domain.usage import Usage

from . import wire
from .codec import open_data_url

_OURS: Final = ("id", "sessionID", "messageID")
"""Of each part: they say where it is, which the message says already."""


@frozen
class _UserModel:
    provider_id: str = ""
    model_id: str = ""


@frozen
class _Info:
    """A message of either role."""

    id: str
    session_id: str
    role: str
    time: wire.MessageTime
    parent_id: str | None = None
    agent: str | None = None
    model: _UserModel | None = None
    provider_id: str | None = None
    model_id: str | None = None
    finish: str | None = None
    error: wire.Object | None = None
    cost: float = 0
    tokens: wire.Tokens | None = None
    structured: Any = None


@frozen
class _Message:
    info: _Info
    parts: tuple[wire.Object, ...] = field(factory=tuple)


def decode_history(data: bytes) -> tuple[Spoken, ...]:
    """
    Read an array of messages.

    Raises:
        Malformed: It is none.

    """
    return tuple(_spoken(message) for message in wire.read(data, tuple[_Message, ...]))


def decode_spoken(data: bytes) -> Spoken:
    """Read one message."""
    return _spoken(wire.read(data, _Message))


def _spoken(message: _Message) -> Spoken:
    info = message.info
    parts = tuple(_part(part) for part in message.parts)
    if info.structured is not None:
        parts = (*parts, DataPart(info.structured, "application/json", metadata=_mark("structured", "")))
    return Spoken(
        MessageId(info.id),
        SessionId(info.session_id),
        Role.USER if info.role == "user" else Role.AGENT,
        parts,
        created=info.time.created / 1000,
        completed=None if info.time.completed is None else info.time.completed / 1000,
        parent_id=info.parent_id,
        agent=info.agent,
        model=_model(info),
        finish=info.finish,
        error=info.error,
        usage=None if info.tokens is None else _usage(info.tokens, info.cost),
        structured=info.structured,
    )


def _model(info: _Info) -> ModelChoice | None:
    if info.model is not None:
        return ModelChoice(info.model.provider_id, info.model.model_id)
    return ModelChoice(info.provider_id, info.model_id or "") if info.provider_id else None


def _usage(tokens: wire.Tokens, cost: float) -> Usage:
    cached = tokens.cache
    return Usage(
        int(tokens.input), int(tokens.output), int(tokens.reasoning), int(cached.read), int(cached.write), float(cost)
    )


def _part(part: wire.Object) -> Part:
    """
    Read a part.

    Text is what was said. What OpenCode put into a user's mouth (a file it read for the model), and all that is neither
    text nor a file, is data that keeps OpenCode's own names.
    """
    match part:
        case {"type": "text", "text": str() as text} if not part.get("synthetic"):
            return TextPart(text, _marked(part))
        case {"type": "file", "url": str() as url}:
            return _file(part, url)
        case {"type": "tool", "state": Mapping() as state}:
            told = {"type": "tool", "call_id": part.get("callID"), "tool": part.get("tool"), **state}
            return DataPart(told, "application/json", metadata=_marked(part))
    told = {name: value for name, value in part.items() if name not in _OURS}
    return DataPart(told, "application/json", metadata=_marked(part))


def _file(part: wire.Object, url: str) -> Part:
    media_type, filename = _text(part, "mime"), _text(part, "filename")
    if url.startswith("data:"):
        try:
            found, raw = open_data_url(url)
            return RawPart(raw, media_type or found, filename, _marked(part))
        except (ValueError, binascii.Error):
            pass  # as it is, then: whoever reads it sees what OpenCode has
    return UrlPart(url, media_type, filename, _marked(part))


def _marked(part: wire.Object) -> dict[str, Any]:
    return _mark(_text(part, "type"), _text(part, "id"))


def _mark(kind: str, identifier: str) -> dict[str, Any]:
    """Say what kind of part it is, and which."""
    return {"opencode": {"part_type": kind, **({"part_id": identifier} if identifier else {})}}


def _text(part: wire.Object, name: str) -> str:
    value = part.get(name)
    return value if isinstance(value, str) else ""
