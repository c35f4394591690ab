"""The shapes of OpenCode's JSON, as far as we use it."""

from __future__ import annotations

from typing import Any, TypeAlias

from attrs import field, frozen

Object: TypeAlias = dict[str, Any]
"""JSON that we pass on without a look inside."""

# Sessions


@frozen
class Session:
    """A session."""

    id: str
    directory: str
    parent_id: str | None = None


@frozen
class Path:
    """`GET /path`: where OpenCode works by itself."""

    directory: str


@frozen
class Status:
    """Whether a session works; `attempt` and `message` come with `retry`."""

    type: str
    attempt: float = 0
    message: str = ""


@frozen
class ErrorData:
    """What an error says about itself."""

    message: str = ""
    status_code: float = 0


@frozen
class Error:
    """Why a message or a session failed."""

    name: str
    data: ErrorData = field(factory=ErrorData)


# Messages


@frozen
class MessageTime:
    """When a message was begun and ended, in ms."""

    created: float
    completed: float | None = None


@frozen
class UserInfo:
    """A user's message."""

    id: str
    session_id: str
    time: MessageTime


@frozen
class AssistantInfo:
    """A model's message: one call of the model."""

    id: str
    session_id: str
    time: MessageTime
    parent_id: str | None = None
    finish: str = ""
    error: Error | None = None
    summary: bool = False


Info: TypeAlias = UserInfo | AssistantInfo


# Parts of messages


@frozen
class PartTime:
    """When a part was begun and ended, in ms."""

    start: float = 0
    end: float | None = None


@frozen
class TextPart:
    """Text."""

    id: str
    session_id: str
    message_id: str
    text: str
    synthetic: bool = False
    time: PartTime = field(factory=PartTime)


@frozen
class ReasoningPart:
    """The model's reasoning."""

    id: str
    session_id: str
    message_id: str
    text: str
    time: PartTime = field(factory=PartTime)


@frozen
class FilePart:
    """A file. As an attachment of a tool call it may have no identifiers."""

    mime: str
    url: str
    id: str = ""
    session_id: str = ""
    message_id: str = ""
    filename: str = ""


@frozen
class ToolPending:
    """A tool call whose input is not known yet."""

    input: Object = field(factory=dict)


@frozen
class ToolRunning:
    """A tool call at work."""

    input: Object
    title: str = ""
    metadata: Object = field(factory=dict)


@frozen
class ToolCompleted:
    """A tool call that did what it does; a command's exit status may still be an error's."""

    input: Object
    output: str
    title: str = ""
    metadata: Object = field(factory=dict)
    attachments: tuple[FilePart, ...] = ()


@frozen
class ToolError:
    """A tool call that failed."""

    input: Object
    error: str
    metadata: Object = field(factory=dict)


ToolState: TypeAlias = ToolPending | ToolRunning | ToolCompleted | ToolError


@frozen
class ToolPart:
    """A tool call."""

    id: str
    session_id: str
    message_id: str
    call_id: str
    tool: str
    state: ToolState


@frozen
class CacheTokens:
    """Tokens read from and written to the provider's cache."""

    read: float = 0
    write: float = 0


@frozen
class Tokens:
    """Tokens of one call of the model."""

    input: float = 0
    output: float = 0
    reasoning: float = 0
    cache: CacheTokens = field(factory=CacheTokens)


@frozen
class StepFinishPart:
    """The end of one call of the model."""

    id: str
    session_id: str
    message_id: str
    reason: str = ""
    cost: float = 0
    tokens: Tokens = field(factory=Tokens)


@frozen
class PatchPart:
    """Files that a step has changed, by absolute paths."""

    id: str
    session_id: str
    message_id: str
    files: tuple[str, ...] = ()


@frozen
class OtherPart:
    """A part that is no output: step-start, snapshot, agent, subtask, compaction, retry, and what is to come."""


Part: TypeAlias = TextPart | ReasoningPart | FilePart | ToolPart | StepFinishPart | PatchPart | OtherPart


@frozen
class FullMessage:
    """A message with its parts."""

    info: Info
    parts: tuple[Part, ...]


@frozen
class FileDiff:
    """What a turn made of a file; `patch` is a unified diff below two lines that name it."""

    file: str
    patch: str = ""
    additions: float = 0
    deletions: float = 0
    status: str = ""


# Interrupts


@frozen
class ToolCall:
    """Which tool call of which message asks."""

    message_id: str
    call_id: str = ""


@frozen
class Permission:
    """A permission asked for."""

    id: str
    session_id: str
    permission: str
    patterns: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    metadata: Object = field(factory=dict)
    tool: ToolCall | None = None


@frozen
class QuestionOption:
    """One choice."""

    label: str
    description: str = ""


@frozen
class QuestionInfo:
    """One question."""

    question: str
    header: str = ""
    options: tuple[QuestionOption, ...] = ()
    multiple: bool = False
    custom: bool = True


@frozen
class Question:
    """Questions asked together."""

    id: str
    session_id: str
    questions: tuple[QuestionInfo, ...]
    tool: ToolCall | None = None


# Events: their `properties`


@frozen
class SessionEvent:
    """`session.created`, `session.deleted`."""

    info: Session


@frozen
class StatusEvent:
    """`session.status`."""

    session_id: str
    status: Status


@frozen
class IdleEvent:
    """`session.idle`."""

    session_id: str


@frozen
class ErrorEvent:
    """`session.error`. Not every error is a session's."""

    session_id: str | None = None
    error: Error | None = None


@frozen
class MessageEvent:
    """`message.updated`."""

    info: Info


@frozen
class MessageRemovedEvent:
    """`message.removed`."""

    session_id: str
    message_id: str


@frozen
class PartEvent:
    """`message.part.updated`."""

    part: Part


@frozen
class DeltaEvent:
    """`message.part.delta`: more of one field of a part."""

    session_id: str
    message_id: str
    part_id: str
    field: str
    delta: str


@frozen
class PartRemovedEvent:
    """`message.part.removed`."""

    session_id: str
    message_id: str
    part_id: str


@frozen
class RepliedEvent:
    """`permission.replied`, `question.replied`, `question.rejected`."""

    session_id: str
    request_id: str
    reply: str = ""


@frozen
class Payload:
    """What happened."""

    type: str
    properties: Object = field(factory=dict)
    id: str = ""


@frozen
class GlobalEvent:
    """What `/global/event` wraps around each event; the server's own have no directory."""

    payload: Payload
    directory: str = ""
