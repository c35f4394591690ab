"""
What a message asks for besides its text, in its metadata or in the request's; the message's own counts first.

The names under `shared` are those of opencode-a2a-server 0.2, those under `opencode` are of this runtime. What has the
right name and is of the wrong kind is refused: silence would have another session, model or directory at work than the
client believes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import SessionId
from opencode_a2a_server.domain.message import Json
from opencode_a2a_server.domain.session import NO_WISHES, Directory, ModelChoice, Wishes

Metadata = Mapping[str, Json]
Found = tuple[str, Json]
"""Where something stands, and what it is."""

_LONGEST: Final = 4096


def wishes_in(message: Metadata, request: Metadata) -> Wishes:
    """
    Read the wishes.

    Raises:
        InvalidRequest: One is of the wrong kind; the error names the field.

    """
    if not message and not request:
        return NO_WISHES
    places = (("message.metadata", message), ("metadata", request))
    shared, private = _objects(places, "shared"), _objects(places, "opencode")
    directory = _text(_first(private, "directory"))
    if (workspace := _first(private, "workspace")) is not None:
        field, _ = workspace
        raise InvalidRequest("a workspace cannot be chosen by its id; name its directory in opencode.directory", field)
    return Wishes(
        session=_session(_first(shared, "session")),
        directory=None if directory is None else Directory(directory),
        model=_model(_first(shared, "model")),
        agent=_text(_first(private, "agent")),
        variant=_text(_first(private, "variant")),
    )


def _objects(places: Iterable[tuple[str, Metadata]], name: str) -> Sequence[tuple[str, Metadata]]:
    """Give the objects of this name, as far as they are there."""
    found = ((f"{place}.{name}", metadata.get(name)) for place, metadata in places)
    return [(field, _object((field, value))) for field, value in found if value is not None]


def _first(objects: Iterable[tuple[str, Metadata]], name: str) -> Found | None:
    found = ((f"{field}.{name}", value.get(name)) for field, value in objects)
    return next(((field, value) for field, value in found if value is not None), None)


def _session(found: Found | None) -> SessionId | None:
    return None if found is None else SessionId(_needed(found, "id"))


def _model(found: Found | None) -> ModelChoice | None:
    if found is None:
        return None
    return ModelChoice(_needed(found, "providerID"), _needed(found, "modelID"))


def _needed(found: Found, name: str) -> str:
    """Give a text of an object that is worth nothing without it."""
    return _checked(f"{found[0]}.{name}", _object(found).get(name))


def _object(found: Found) -> Metadata:
    field, value = found
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{field} must be an object", field)
    return value


def _text(found: Found | None) -> str | None:
    return None if found is None else _checked(*found)


def _checked(field: str, value: Json) -> str:
    if not isinstance(value, str) or not value or len(value) > _LONGEST or not value.isprintable():
        raise InvalidRequest(f"{field} must be a text of printable characters", field)
    return value
