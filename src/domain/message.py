"""What was said: messages and their parts, A2A's content model without its encodings."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import field, frozen

from .ids import ContextId, MessageId, TaskId
from .session import NO_WISHES, Wishes

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A value that any encoding can carry."""


@frozen
class TextPart:
    """Text; a media type says of what kind, a filename that it is a file's."""

    text: str
    metadata: Mapping[str, Json] = field(factory=dict)
    media_type: str = ""
    filename: str = ""


@frozen
class RawPart:
    """A file, inline."""

    raw: bytes = field(repr=lambda raw: f"<{len(raw)} bytes>")
    media_type: str = ""
    filename: str = ""
    metadata: Mapping[str, Json] = field(factory=dict)


@frozen
class UrlPart:
    """A file, by reference."""

    url: str
    media_type: str = ""
    filename: str = ""
    metadata: Mapping[str, Json] = field(factory=dict)


@frozen
class DataPart:
    """Structured data."""

    data: Json
    media_type: str = ""
    filename: str = ""
    metadata: Mapping[str, Json] = field(factory=dict)


Part: TypeAlias = TextPart | RawPart | UrlPart | DataPart


class Role(enum.Enum):
    """Who said it."""

    USER = "user"
    AGENT = "agent"


@frozen
class Message:
    """One communication between a client and the agent (A2A 1.0, 4.1.4)."""

    message_id: MessageId
    role: Role
    parts: tuple[Part, ...]
    context_id: ContextId | None = None
    task_id: TaskId | None = None
    reference_task_ids: tuple[TaskId, ...] = ()
    extensions: tuple[str, ...] = ()
    metadata: Mapping[str, Json] = field(factory=dict)
    accepts: tuple[str, ...] = ()
    """Media types in which its sender takes output; none if nothing was said of that."""
    wishes: Wishes = NO_WISHES
    trace: str = ""
    """What its sending is part of, as a W3C traceparent; what is done about it, however much later, is so too."""

    @property
    def text(self) -> str:
        """The text parts, one a line."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))
