"""Parameters of extension methods: read into typed structs, or refused with the name of the field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from opencode_a2a_server.app.usecases.choose_directory import HERE, Named, Place
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import SessionId
from opencode_a2a_server.domain.session import ModelChoice


class InvalidField(InvalidRequest):
    """A parameter that cannot be taken."""


class MissingField(InvalidRequest):
    """A parameter that is needed and not there."""


Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,128}\Z")]
"""What an id of the runtime's may be made of: nothing that means anything in a path."""
Words = Annotated[str, Meta(min_length=1, max_length=4096)]
"""A name or the like."""
MessageIdentifier = Annotated[str, Meta(pattern=r"^msg[A-Za-z0-9_-]{0,125}\Z")]
PartIdentifier = Annotated[str, Meta(pattern=r"^prt[A-Za-z0-9_-]{0,125}\Z")]


class OpenCodeMetadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`metadata.opencode`."""

    directory: Words | None = None


class Metadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`metadata`: what 0.2 knew of it."""

    opencode: OpenCodeMetadata | None = None
    shared: dict[str, Any] | None = None


class Params(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What any method takes."""

    metadata: Metadata | None = None


class Placed(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a method takes that works in a directory."""

    directory: Words | None = None

    @property
    def place(self) -> Place:
        """The directory that is meant: the parameter counts before the metadata."""
        if self.directory is not None:
            return Place(self.directory, "directory")
        if self.metadata is None or self.metadata.opencode is None:
            return HERE
        return Place(self.metadata.opencode.directory)


class OfSession(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a method takes that is about a session."""

    session_id: Identifier

    @property
    def named(self) -> Named:
        """The session that is meant."""
        return Named(SessionId(self.session_id), self.place)


class ModelNamed(Struct, frozen=True, kw_only=True):
    """A model, by the names OpenCode has for it."""

    providerID: Words  # noqa: N815 - OpenCode's
    modelID: Words  # noqa: N815 - OpenCode's

    @property
    def choice(self) -> ModelChoice:
        """The same in our words."""
        return ModelChoice(self.providerID.strip(), self.modelID.strip())


_P = TypeVar("_P", bound=Struct)

_PLACE: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_NAMED: Final = re.compile(r"Object (?P<how>missing required|contains unknown) field `(?P<name>[^`]*)`")
_PATTERN: Final = re.compile(r"^Expected `str` matching regex .*$")


def read(params: object, shape: type[_P]) -> _P:
    """
    Read the parameters of a method.

    Raises:
        MissingField, InvalidField: They are not what the method takes; the error names the field.

    """
    if not isinstance(params, dict):
        raise InvalidField("the parameters must be an object")
    try:
        return msgspec.convert(params, shape)
    except msgspec.ValidationError as broken:
        raise _located(str(broken)) from None


def _located(text: str) -> InvalidRequest:
    """Turn msgspec's sentence into ours, and its path into the dotted name of the field."""
    place = _PLACE.search(text)
    path = "" if place is None else place["path"].removeprefix(".")
    said = _PLACE.sub("", text)
    named = _NAMED.match(said)
    if named is None:
        said = _PATTERN.sub("an id has letters, digits, _ and - only, at most 128, and begins as OpenCode's do", said)
        return InvalidField(f"{path or 'the parameters'}: {said}", path)
    field = ".".join(part for part in (path, named["name"]) if part)
    if named["how"].startswith("missing"):
        return MissingField(f"{field} is needed", field)
    return InvalidField(f"{field} is not a parameter of this method", field)


def fields_of(shape: type[Struct], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Name the fields of a struct as the contracts do, `request.parts`, with whether each is needed."""
    for field in msgspec.structs.fields(shape):
        name = f"{prefix}{field.encode_name}"
        inner = _struct_in(field.type)
        if inner is not None and field.encode_name != "metadata":
            yield from ((one, needed and field.required) for one, needed in fields_of(inner, f"{name}."))
        elif field.encode_name == "metadata":
            continue
        else:
            yield name, field.required


def _struct_in(annotation: Any) -> type[Struct] | None:
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return annotation
    options = getattr(annotation, "__args__", ())
    structs = [one for one in options if isinstance(one, type) and issubclass(one, Struct)]
    return structs[0] if len(structs) == 1 and type(None) in options else None
