"""Messages and their parts, as events and answers alike tell them."""

from __future__ import annotations

from collections.abc import Mapping

from opencode_a2a_server.adapters.outbound.opencode import wire
from opencode_a2a_server.domain.events import (
    ContentSeen,
    Failure,
    FilesChanged,
    MessageSeen,
    StepFinished,
    Telling,
    TextKind,
    TextSeen,
    ToolSeen,
    ToolState,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, SessionId
from opencode_a2a_server.domain.message import Part, RawPart, Role, UrlPart
from opencode_a2a_server.domain.usage import Usage

from .data_urls import open_data_url


def read_message(info: wire.Info) -> MessageSeen:
    """Read who said something, and how it ended."""
    seen = MessageSeen(SessionId(info.session_id), MessageId(info.id), Role.USER, created=int(info.time.created))
    if isinstance(info, wire.UserInfo):
        return seen
    return MessageSeen(
        seen.session,
        seen.message,
        Role.AGENT,
        parent=None if info.parent_id is None else MessageId(info.parent_id),
        created=seen.created,
        completed=info.time.completed is not None,
        finish=info.finish,
        failure=None if info.error is None else read_failure(info.error),
        summary=info.summary,
    )


def read_failure(error: wire.Error) -> Failure:
    """Read why something ended."""
    text, _, _ = error.data.message.partition("\n    at ")  # a stack trace is nothing for a client
    return Failure(error.name, text, int(error.data.status_code))


def read_part(part: wire.Part) -> tuple[Telling, ...]:  # noqa: PLR0911 - one line for each kind of part
    """Read a part of a message; one we do not know tells nothing."""
    if isinstance(part, wire.OtherPart):
        return ()
    session, message, identifier = SessionId(part.session_id), MessageId(part.message_id), PartId(part.id)
    match part:
        case wire.TextPart():
            closed = part.time.end is not None
            return (TextSeen(session, message, identifier, TextKind.TEXT, part.text, closed, part.synthetic),)
        case wire.ReasoningPart():
            return (TextSeen(session, message, identifier, TextKind.REASONING, part.text, part.time.end is not None),)
        case wire.FilePart():
            return (ContentSeen(session, message, identifier, (_file(part),), part.filename),)
        case wire.ToolPart():
            return (_tool(part),)
        case wire.StepFinishPart():
            return (StepFinished(session, message, identifier, part.reason, _usage(part)),)
        case wire.PatchPart():
            return (FilesChanged(session, message, identifier, part.files),)


def _usage(step: wire.StepFinishPart) -> Usage:
    tokens = step.tokens
    return Usage(
        int(tokens.input),
        int(tokens.output),
        int(tokens.reasoning),
        int(tokens.cache.read),
        int(tokens.cache.write),
        float(step.cost),
    )


def _tool(part: wire.ToolPart) -> ToolSeen:
    state = part.state
    done = state if isinstance(state, wire.ToolCompleted) else None
    child = None if isinstance(state, wire.ToolPending) else state.metadata.get("sessionId")
    return ToolSeen(
        SessionId(part.session_id),
        MessageId(part.message_id),
        PartId(part.id),
        part.call_id,
        part.tool,
        _TOOL_STATES[type(state)],
        title=state.title if isinstance(state, wire.ToolRunning | wire.ToolCompleted) else "",
        input=None if isinstance(state, wire.ToolPending) else state.input,
        output=done.output if done else None,
        error=state.error if isinstance(state, wire.ToolError) else None,
        child=SessionId(child) if isinstance(child, str) and part.tool == "task" else None,
        files=tuple(_file(file) for file in done.attachments) if done else (),
    )


_TOOL_STATES: Mapping[type[wire.ToolState], ToolState] = {
    wire.ToolPending: ToolState.PENDING,
    wire.ToolRunning: ToolState.RUNNING,
    wire.ToolCompleted: ToolState.COMPLETED,
    wire.ToolError: ToolState.ERROR,
}


def _file(file: wire.FilePart) -> Part:
    try:
        media_type, raw = open_data_url(file.url)
    except ValueError:
        return UrlPart(file.url, file.mime, file.filename)
    return RawPart(raw, file.mime or media_type, file.filename)
