"""
OpenCode's JSON (1.18), as it is and as far as we use it.

Names are theirs in our spelling: `session_id` is `sessionID`, `status_code` is `statusCode`. Fields we do not know are
ignored, fields they may leave out (or null, which is what JavaScript makes of a NaN) have defaults, and nothing is
coerced: a number where a string is due is malformed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias, TypeVar, get_args, get_origin

import cattrs
import msgspec
from attrs import field, fields, frozen, has
from cattrs.gen import make_dict_structure_fn, override

from opencode_a2a_server.domain.errors import AgentFault

_T = TypeVar("_T")
_QUOTED = 200
"""Characters of what is malformed that the error quotes."""

Object: TypeAlias = dict[str, Any]
"""JSON that we pass on without a look inside."""


class Malformed(AgentFault):
    """What OpenCode said is not what it says: no JSON, or not of the shape we know."""


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


# Reading


def parse(data: bytes) -> Any:
    """
    Read JSON.

    Raises:
        Malformed: It is none.

    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_halves(data)


def structure(value: object, shape: type[_T]) -> _T:
    """
    Read one of the classes above out of parsed JSON.

    Raises:
        Malformed: It is something else.

    """
    try:
        return _converter.structure(value, shape)
    except (ValueError, TypeError, LookupError) as error:
        what = getattr(shape, "__name__", str(shape))
        raise Malformed(f"OpenCode's JSON is no {what} ({error!r}): {_quote(repr(value))}") from error


def read(data: bytes, shape: type[_T]) -> _T:
    """
    Read one of the classes above out of JSON.

    Raises:
        Malformed: It is no JSON, or something else.

    """
    return structure(parse(data), shape)


def _parse_halves(data: bytes) -> Any:
    """
    Read JSON that cuts characters in halves.

    JavaScript's strings are UTF-16, and whoever cuts one at some length (a tool its output, a provider its chunks) may
    leave half a surrogate pair, which `JSON.stringify` passes on as an escape and strict readers refuse.
    """
    try:
        return _mend(json.loads(data, parse_constant=_refuse))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"OpenCode's answer is no JSON ({error}): {_quote(data)}") from error


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _quote(what: bytes | str) -> str:
    text = what.decode(errors="replace") if isinstance(what, bytes) else what
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


def _exactly(kind: type[_T]) -> Callable[[object, object], _T]:
    def structure_exactly(value: object, _: object) -> _T:
        if type(value) is not kind:
            raise TypeError(f"{value!r:.80} is no {kind.__name__}")
        return value

    return structure_exactly


def _number(value: object, _: object) -> float:
    """JavaScript has one kind of number."""
    if type(value) is int or type(value) is float:
        return value
    raise TypeError(f"{value!r:.80} is no number")


def _is_tuple(shape: Any) -> bool:
    return get_origin(shape) is tuple


def _tuple(shape: Any) -> Callable[[object, object], Any]:
    item = get_args(shape)[0]

    def structure_tuple(value: object, _: object) -> Any:
        if type(value) is not list:
            raise TypeError(f"{value!r:.80} is no array")
        return tuple([_converter.structure(each, item) for each in value])

    return structure_tuple


def _tagged(tag: str, shapes: Mapping[str, type], other: type | None = None) -> Callable[[object, object], Any]:
    """Read a union whose members name themselves in a field."""

    def structure_tagged(value: object, _: object) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"{value!r:.80} is no object")
        shape = shapes.get(value.get(tag, ""), other)
        if shape is None:
            raise ValueError(f"{tag} {value.get(tag)!r} is none of {', '.join(shapes)}")
        return _converter.structure(value, shape)

    return structure_tagged


def _theirs(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join("ID" if word == "id" else word.capitalize() for word in others)


def _class(shape: Any) -> Callable[[object, object], Any]:
    names: dict[str, Any] = {attribute.name: override(rename=_theirs(attribute.name)) for attribute in fields(shape)}
    reader = make_dict_structure_fn(shape, _converter, **names)

    def structure_class(value: object, _: object) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"{value!r:.80} is no object")
        return reader({key: item for key, item in value.items() if item is not None}, shape)

    return structure_class


_converter = cattrs.Converter(detailed_validation=False)
_converter.register_structure_hook_factory(has, _class)
_converter.register_structure_hook_factory(_is_tuple, _tuple)
_converter.register_structure_hook_func(lambda shape: shape == Object, _exactly(dict))
_converter.register_structure_hook(str, _exactly(str))
_converter.register_structure_hook(bool, _exactly(bool))
_converter.register_structure_hook(float, _number)
_converter.register_structure_hook(Info, _tagged("role", {"user": UserInfo, "assistant": AssistantInfo}))
_converter.register_structure_hook(
    Part,
    _tagged(
        "type",
        {
            "text": TextPart,
            "reasoning": ReasoningPart,
            "file": FilePart,
            "tool": ToolPart,
            "step-finish": StepFinishPart,
            "patch": PatchPart,
        },
        OtherPart,
    ),
)
_converter.register_structure_hook(
    ToolState,
    _tagged("status", {"pending": ToolPending, "running": ToolRunning, "completed": ToolCompleted, "error": ToolError}),
)
