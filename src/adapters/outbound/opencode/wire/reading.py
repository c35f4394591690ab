"""How OpenCode's JSON is read: leniently where it has more than we know, strictly where it has something else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, get_args, get_origin

import cattrs
import msgspec
from attrs import fields, has
from cattrs.gen import make_dict_structure_fn, override

from opencode_a2a_server.domain.errors import AgentFault

from .shapes import (
    AssistantInfo,
    FilePart,
    Info,
    Object,
    OtherPart,
    Part,
    PatchPart,
    ReasoningPart,
    StepFinishPart,
    TextPart,
    ToolCompleted,
    ToolError,
    ToolPart,
    ToolPending,
    ToolRunning,
    ToolState,
    UserInfo,
)

_T = TypeVar("_T")
_QUOTED = 200
"""Characters of what is malformed that the error quotes."""


class Malformed(AgentFault):
    """What OpenCode said is not what it says: no JSON, or not of the shape we know."""


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
        if None in value.values():
            value = {key: item for key, item in value.items() if item is not None}
        return reader(value, shape)

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
