"""
OpenCode's JSON to domain values and back. The only place that knows the names of its events.

Each event comes twice on `/global/event`, plain and as a `sync` twin; twins and whatever does not concern a turn are
passed over without being parsed. The new dialect (`session.next.*`, `permission.v2.*`) belongs to sessions which are
not ours.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote, unquote_to_bytes

import msgspec

from opencode_a2a_server.domain.changes import FileChange, FileStatus
from opencode_a2a_server.domain.errors import ContentTypeNotSupported, InvalidRequest
from opencode_a2a_server.domain.events import (
    Answered,
    Asked,
    ContentSeen,
    Failure,
    FilesChanged,
    MessageRemoved,
    MessageSeen,
    PartRemoved,
    SessionBusy,
    SessionFailed,
    SessionGone,
    SessionIdle,
    SessionOpened,
    SessionRetrying,
    StepFinished,
    Telling,
    TextDelta,
    TextKind,
    TextSeen,
    ToolSeen,
    ToolState,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Answer,
    Inquiry,
    Interrupt,
    Option,
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.message import DataPart, Json, Message, Part, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.session import Directory, FoundSession, Session
from opencode_a2a_server.domain.usage import Usage

from . import wire
from .wire import Malformed

# The feed


class Frame(NamedTuple):
    """
    What one frame of the feed says: what happened in a session.

    `connected` marks the feed's first frame. That one, and the heartbeats, are nobody's and tell nothing. `event` is what
    OpenCode calls it, on all feeds alike.
    """

    session: SessionId | None = None
    tellings: tuple[Telling, ...] = ()
    directory: Directory | None = None
    connected: bool = False
    event: str = ""


def decode_frame(data: bytes) -> Frame | None:
    """
    Read one frame of `/global/event`; None if it does not concern us.

    Raises:
        Malformed: It should concern us, but it is not what we know.

    """
    if _DELTA in data and (frame := _decode_delta(data)) is not None:
        return frame
    # Before the envelope's payload there are only strings, in which its quotes would be escaped: no text can fake it.
    head = _HEAD.search(data)
    if head is not None and (head[1] not in _EVENTS or (head[1] == b"session.status" and _BUSY in data)):
        return None
    return _decode_event(data)


_HEAD = re.compile(rb'"payload":\{(?:"id":"[^"]*",)?"type":"([^"]*)"')
_DELTA = b'"type":"message.part.delta"'
_BUSY = b'"status":{"type":"busy"}'
"""Each step says it twice, and nobody needs to hear it: work shows in what it tells."""


class _DeltaProperties(msgspec.Struct, gc=False):
    sessionID: str  # noqa: N815 - theirs
    messageID: str  # noqa: N815 - theirs
    partID: str  # noqa: N815 - theirs
    field: str
    delta: str


class _DeltaPayload(msgspec.Struct, gc=False):
    type: str
    properties: _DeltaProperties
    id: str = ""


class _DeltaFrame(msgspec.Struct, gc=False):
    payload: _DeltaPayload
    directory: str = ""


_read_delta = msgspec.json.Decoder(_DeltaFrame).decode


def _decode_delta(data: bytes) -> Frame | None:
    """Read the event that there is one of for each word, at a fifth of the others' cost; None if it is another."""
    try:
        frame = _read_delta(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    delta = frame.payload.properties
    if frame.payload.type != "message.part.delta" or delta.field != "text":
        return None
    session = SessionId(delta.sessionID)
    told = TextDelta(session, MessageId(delta.messageID), PartId(delta.partID), delta.delta)
    return Frame(session, (told,), Directory(frame.directory), event=frame.payload.id)


def _decode_event(data: bytes) -> Frame | None:
    event = wire.read(data, wire.GlobalEvent)
    payload = event.payload
    decode = _EVENTS.get(payload.type.encode())
    if decode is None:
        return None
    if (told := decode(payload.properties)) is None:
        return Frame(connected=payload.type == "server.connected")
    session, tellings = told
    return Frame(session, tellings, Directory(event.directory), event=payload.id) if tellings else None


# Events

_Told: TypeAlias = tuple[SessionId, tuple[Telling, ...]]


def _server_lives(_: wire.Object) -> None:
    return None


def _session_created(properties: wire.Object) -> _Told:
    info = wire.structure(properties, wire.SessionEvent).info
    session, parent = SessionId(info.id), None if info.parent_id is None else SessionId(info.parent_id)
    return session, (SessionOpened(session, parent),)


def _session_deleted(properties: wire.Object) -> _Told:
    session = SessionId(wire.structure(properties, wire.SessionEvent).info.id)
    return session, (SessionGone(session),)


def _session_status(properties: wire.Object) -> _Told:
    event = wire.structure(properties, wire.StatusEvent)
    session, status = SessionId(event.session_id), event.status
    match status.type:
        case "busy":
            return session, (SessionBusy(session),)
        case "retry":
            return session, (SessionRetrying(session, int(status.attempt), status.message),)
        case "idle":
            return session, (SessionIdle(session),)
    return session, ()


def _session_idle(properties: wire.Object) -> _Told:
    session = SessionId(wire.structure(properties, wire.IdleEvent).session_id)
    return session, (SessionIdle(session),)


def _session_error(properties: wire.Object) -> _Told:
    event = wire.structure(properties, wire.ErrorEvent)
    session = SessionId(event.session_id or "")
    failure = Failure("UnknownError", "") if event.error is None else _failure(event.error)
    return session, (SessionFailed(session, failure),) if session else ()


def _message_updated(properties: wire.Object) -> _Told:
    told = _message(wire.structure(properties, wire.MessageEvent).info)
    return told.session, (told,)


def _message_removed(properties: wire.Object) -> _Told:
    event = wire.structure(properties, wire.MessageRemovedEvent)
    session = SessionId(event.session_id)
    return session, (MessageRemoved(session, MessageId(event.message_id)),)


def _part_updated(properties: wire.Object) -> _Told:
    part = wire.structure(properties, wire.PartEvent).part
    if isinstance(part, wire.OtherPart):
        return SessionId(""), ()
    return SessionId(part.session_id), _part(part)


def _part_delta(properties: wire.Object) -> _Told:
    event = wire.structure(properties, wire.DeltaEvent)
    session = SessionId(event.session_id)
    told = TextDelta(session, MessageId(event.message_id), PartId(event.part_id), event.delta)
    return session, (told,) if event.field == "text" else ()


def _part_removed(properties: wire.Object) -> _Told:
    event = wire.structure(properties, wire.PartRemovedEvent)
    session = SessionId(event.session_id)
    return session, (PartRemoved(session, MessageId(event.message_id), PartId(event.part_id)),)


def _permission_asked(properties: wire.Object) -> _Told:
    return _asked(_permission(wire.structure(properties, wire.Permission)))


def _question_asked(properties: wire.Object) -> _Told:
    return _asked(_question(wire.structure(properties, wire.Question)))


def _asked(interrupt: Interrupt) -> _Told:
    return interrupt.session, (Asked(interrupt),)


def _permission_replied(properties: wire.Object) -> _Told:
    return _answered(properties, None)


def _question_replied(properties: wire.Object) -> _Told:
    return _answered(properties, "replied")


def _question_rejected(properties: wire.Object) -> _Told:
    return _answered(properties, "rejected")


def _answered(properties: wire.Object, resolution: str | None) -> _Told:
    event = wire.structure(properties, wire.RepliedEvent)
    session = SessionId(event.session_id)
    return session, (Answered(session, RequestId(event.request_id), resolution or event.reply),)


_EVENTS: Mapping[bytes, Callable[[wire.Object], _Told | None]] = {
    b"server.connected": _server_lives,
    b"server.heartbeat": _server_lives,
    b"session.created": _session_created,
    b"session.deleted": _session_deleted,
    b"session.status": _session_status,
    b"session.idle": _session_idle,
    b"session.error": _session_error,
    b"message.updated": _message_updated,
    b"message.removed": _message_removed,
    b"message.part.updated": _part_updated,
    b"message.part.delta": _part_delta,
    b"message.part.removed": _part_removed,
    b"permission.asked": _permission_asked,
    b"permission.replied": _permission_replied,
    b"question.asked": _question_asked,
    b"question.replied": _question_replied,
    b"question.rejected": _question_rejected,
}
"""What we listen to; all other events are noise."""


# Answers


def decode_json(data: bytes) -> Json:
    """
    Read any JSON.

    Raises:
        Malformed: It is none.

    """
    parsed: Json = wire.parse(data)
    return parsed


def split_array(data: bytes) -> list[bytes]:
    """
    Give the elements of a JSON array, each as the JSON it is.

    Raises:
        Malformed: It is no array.

    """
    try:
        return [bytes(element) for element in msgspec.json.decode(data, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [msgspec.json.encode(element) for element in wire.read(data, tuple[wire.Object, ...])]


def decode_session(data: bytes) -> Session:
    """
    Read `POST /session`, `GET /session/{id}`.

    Raises:
        Malformed: It is no session.

    """
    session = wire.read(data, wire.Session)
    return Session(SessionId(session.id), Directory(session.directory))


def decode_found(data: bytes) -> FoundSession:
    """
    Read `GET /session/{id}`.

    Raises:
        Malformed: It is no session.

    """
    session = wire.read(data, wire.Session)
    parent = None if session.parent_id is None else SessionId(session.parent_id)
    return FoundSession(Session(SessionId(session.id), Directory(session.directory)), parent)


def decode_path(data: bytes) -> Directory:
    """
    Read `GET /path`.

    Raises:
        Malformed: It names no directory.

    """
    return Directory(wire.read(data, wire.Path).directory)


def decode_children(data: bytes) -> Sequence[SessionId]:
    """
    Read `GET /session/{id}/children`.

    Raises:
        Malformed: It is no list of sessions.

    """
    return [SessionId(session.id) for session in wire.read(data, tuple[wire.Session, ...])]


def decode_messages(data: bytes) -> list[Telling]:
    """
    Read `GET /session/{id}/message`: each message, then its parts. What the user said is not retold.

    Raises:
        Malformed: It is no list of messages.

    """
    told: list[Telling] = []
    for message in wire.read(data, tuple[wire.FullMessage, ...]):
        told.append(_message(message.info))
        if isinstance(message.info, wire.AssistantInfo):
            for part in message.parts:
                told += _part(part)
    return told


def decode_permissions(data: bytes) -> list[Interrupt]:
    """
    Read `GET /permission`.

    Raises:
        Malformed: It is no list of permissions.

    """
    return [_permission(permission) for permission in wire.read(data, tuple[wire.Permission, ...])]


def decode_questions(data: bytes) -> list[Interrupt]:
    """
    Read `GET /question`.

    Raises:
        Malformed: It is no list of questions.

    """
    return [_question(question) for question in wire.read(data, tuple[wire.Question, ...])]


def decode_statuses(data: bytes) -> frozenset[SessionId]:
    """
    Read `GET /session/status`: the sessions that work, or wait to try again.

    Raises:
        Malformed: It is no map of statuses.

    """
    statuses = {session: wire.structure(value, wire.Status) for session, value in wire.read(data, wire.Object).items()}
    return frozenset(SessionId(session) for session, status in statuses.items() if status.type in ("busy", "retry"))


def decode_changes(data: bytes) -> list[FileChange]:
    """
    Read `GET /session/{id}/diff`.

    Raises:
        Malformed: It is no list of files.

    """
    return [_change(diff) for diff in wire.read(data, tuple[wire.FileDiff, ...])]


_STATUSES: Mapping[str, FileStatus] = {status.value: status for status in FileStatus}


def _change(diff: wire.FileDiff) -> FileChange:
    """Take the hunks out of a diff; a file that is no text has no diff at all, an empty one has no hunks."""
    start = diff.patch.find("\n@@ ") + 1
    return FileChange(
        diff.file,
        _STATUSES.get(diff.status, FileStatus.CHANGED),
        int(diff.additions),
        int(diff.deletions),
        hunks=diff.patch[start:] if start else "",
        text=bool(diff.patch),
    )


# Messages and their parts


def _message(info: wire.Info) -> MessageSeen:
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
        failure=None if info.error is None else _failure(info.error),
        summary=info.summary,
    )


def _failure(error: wire.Error) -> Failure:
    text, _, _ = error.data.message.partition("\n    at ")  # a stack trace is nothing for a client
    return Failure(error.name, text, int(error.data.status_code))


def _part(part: wire.Part) -> tuple[Telling, ...]:  # noqa: PLR0911 - one line for each kind of part
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


# Interrupts


def _permission(asked: wire.Permission) -> Permission:
    return Permission(
        RequestId(asked.id),
        SessionId(asked.session_id),
        asked.permission,
        asked.patterns,
        asked.always,
        asked.metadata,
        _asking(asked.tool),
    )


def _question(asked: wire.Question) -> Question:
    inquiries = tuple(
        Inquiry(
            inquiry.question,
            inquiry.header,
            tuple(Option(option.label, option.description) for option in inquiry.options),
            inquiry.multiple,
            inquiry.custom,
        )
        for inquiry in asked.questions
    )
    return Question(RequestId(asked.id), SessionId(asked.session_id), inquiries, _asking(asked.tool))


def _asking(call: wire.ToolCall | None) -> MessageId | None:
    return None if call is None else MessageId(call.message_id)


def encode_answer(answer: Answer) -> tuple[str, Mapping[str, Json]]:
    """Give the verb, which is the path's last part, and the body that tell an answer."""
    match answer:
        case PermissionAnswer(Verdict.REJECT, reason) if reason:
            return "reply", {"reply": "reject", "message": reason}
        case PermissionAnswer(verdict):
            return "reply", {"reply": verdict.value}
        case QuestionAnswer(answers):
            return "reply", {"answers": [list(labels) for labels in answers]}
        case QuestionDismissed():
            return "reject", {}


# Prompts

_Body: TypeAlias = Mapping[str, Json]

_TAKEN = "text, JSON and other textual data, images and PDF"
_UNKNOWN = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""Media types which say nothing."""
_TEXTUAL = re.compile(
    r"text/.*|.*\+(json|xml|yaml)|application/(x-)?(json|jsonl|json-lines|ndjson|json-seq|xml|xml-dtd|yaml|toml|csv|sql"
    r"|graphql|javascript|ecmascript|typescript|sh|shellscript|httpd-php|python|perl|ruby|tex|latex|patch|diff|subrip"
    r"|www-form-urlencoded)"
)
_PASSED = re.compile(r"image/.+|application/pdf")
_GUESSES = mimetypes.MimeTypes()  # its own tables only, not those of the machine


def encode_parts(message: Message) -> Sequence[_Body]:
    """
    Give the parts of a prompt.

    OpenCode's sessions are poisoned for ever by a file of a type its model library does not know: files are passed as
    images, PDF or plain text, or not at all. Its server reads any `file:` URL for whoever asks: which ones may be named
    is not decided here (see `CheckPlace.files`).

    Raises:
        ContentTypeNotSupported: A part is nothing of that.
        InvalidRequest: A `data:` URL is none.

    """
    return [encode_part(part, f"parts[{index}]") for index, part in enumerate(message.parts)]


def encode_part(part: Part, where: str) -> _Body:
    """Give one part of a prompt, as `encode_parts` does; `where` is what an error calls its place."""
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case RawPart(raw, media_type, filename):
            return _encode_file(raw, media_type, filename)
        case DataPart(data, _, filename):
            readable = msgspec.json.format(msgspec.json.encode(data), indent=2)
            return _inline("text/plain", readable, filename or "data.json")
        case UrlPart():
            return _encode_reference(part, where)


def _encode_reference(part: UrlPart, where: str) -> _Body:
    scheme = part.url.partition(":")[0].lower()
    if scheme == "data":
        try:
            media_type, raw = open_data_url(part.url)
        except ValueError as error:
            raise InvalidRequest(f"this data: URL cannot be read ({error})", where) from error
        return _encode_file(raw, part.media_type or media_type, part.filename)
    if scheme == "https":
        about = ", ".join(word for word in (part.filename, part.media_type) if word)
        return {"type": "text", "text": f"Attached by reference{f' ({about})' if about else ''}: {part.url}"}
    if scheme == "file":
        return _encode_own_file(part)
    raise ContentTypeNotSupported(f"a file by a {scheme}: URL is not taken; send it inline, or by an https: URL")


def _encode_own_file(part: UrlPart) -> _Body:
    """Name a file of OpenCode's disk: what is no picture or PDF is read as text, since no other type is taken."""
    name = part.url.partition("?")[0].rpartition("/")[2]
    media_type = part.media_type.partition(";")[0].strip().lower()
    if media_type in _UNKNOWN:
        media_type = _GUESSES.guess_type(name)[0] or ""
    mime = media_type if _PASSED.fullmatch(media_type) else "text/plain"
    return {"type": "file", "mime": mime, "filename": part.filename or unquote(name) or "workspace", "url": part.url}


def _encode_file(raw: bytes, declared: str, filename: str) -> _Body:
    media_type = declared.partition(";")[0].strip().lower()
    if media_type in _UNKNOWN:
        media_type = _guess(raw, filename)
    if _TEXTUAL.fullmatch(media_type):
        return _inline("text/plain", raw, filename)  # no other type of text is read for the model
    if _PASSED.fullmatch(media_type):
        return _inline(media_type, raw, filename)
    what = " ".join(word for word in (declared or "a file of unknown type", filename and f"({filename})") if word)
    raise ContentTypeNotSupported(f"{what} is not taken; what is: {_TAKEN}")


def _inline(media_type: str, raw: bytes, filename: str) -> _Body:
    url = f"data:{media_type};base64,{base64.b64encode(raw).decode()}"
    return {"type": "file", "mime": media_type, "filename": filename or "attachment", "url": url}


def _guess(raw: bytes, filename: str) -> str:
    """Tell the type of a file of which only name and content are known: what is not named a picture may be text."""
    by_name = _GUESSES.guess_type(filename)[0] or ""
    if _PASSED.fullmatch(by_name):
        return by_name
    try:
        return by_name if "\0" in raw.decode() else "text/plain"
    except UnicodeDecodeError:
        return by_name


def open_data_url(url: str) -> tuple[str, bytes]:
    """
    Take a `data:` URL apart (RFC 2397).

    Raises:
        ValueError: It is none.

    """
    head, comma, data = url.partition(",")
    if not comma or head[:5].lower() != "data:":
        raise ValueError("it has no data")
    media_type, _, parameters = head[5:].partition(";")
    raw = unquote_to_bytes(data)
    if parameters.rpartition(";")[2].strip().lower() == "base64":
        try:
            raw = base64.b64decode(b"".join(raw.split()), validate=True)
        except binascii.Error as error:
            raise ValueError(f"its base64 is broken: {error}") from error
    return media_type or "text/plain", raw


__all__ = [
    "Frame",
    "Malformed",
    "decode_changes",
    "decode_children",
    "decode_found",
    "decode_frame",
    "decode_json",
    "decode_messages",
    "decode_path",
    "decode_permissions",
    "decode_questions",
    "decode_session",
    "decode_statuses",
    "encode_answer",
    "encode_parts",
    "split_array",
]
