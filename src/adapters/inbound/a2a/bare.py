"""
Results without what was not asked for: for callers who have not activated the extensions that it is of.

A2A 1.0 has extensions inactive unless a client names them (4.6). 0.2, which spoke 0.3, told its metadata to everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any, Final

from attrs import evolve, frozen

from .card.extensions import STREAM_HINTS
from .encode import Shape
from .shared import Telling, Told

_OURS: Final = ("shared", "opencode")
_PLACE: Final = ("source", "event_id", "sequence")
"""What says where an update is in its stream, and nothing of the block it is of."""
_HINTS: Final = frozenset({"usage", "progress"})
"""What else the extension is about."""
_LAST: Final = ("source", "sequence")
"""The same of a polled artifact; where to read on, its task says."""


@cache
def telling(shape: Shape, how_much: Telling) -> Shape:
    """Give the shape that tells the same with so much of our metadata."""
    if how_much is Telling.ALL:
        return shape
    less = _LESS[how_much]

    def response(told: Told) -> Told:
        ((name, payload),) = told.items()
        return shape.response({name: less.of(name)(payload)})

    return evolve(
        shape,
        version=f"{shape.version}, {how_much.value}",
        response=response,
        task=lambda told: shape.task(less.task(told)),
        telling=how_much,
    )


_Part = Mapping[str, Any]
_Lessen = Callable[[_Part], Told]


@frozen
class _Less:
    """What becomes of each payload of a response."""

    task: _Lessen
    status_update: _Lessen
    artifact_update: _Lessen

    def of(self, name: str) -> _Lessen:
        """Give what becomes of a payload; a Message tells nothing of ours."""
        known = {"task": self.task, "statusUpdate": self.status_update, "artifactUpdate": self.artifact_update}
        return known.get(name, dict)


def _with_artifacts(told: _Part, of_each: _Lessen) -> Told:
    return {**told, "artifacts": [of_each(one) for one in told["artifacts"]]} if "artifacts" in told else {**told}


def _unhinted(told: _Part, kept: Collection[str]) -> Told:
    stream = told["metadata"]["shared"]["stream"]
    place = {name: value for name, value in stream.items() if name in kept}
    return {**_unextended(told), "metadata": {"shared": {"stream": place}}}


def _unspent(told: _Part) -> Told:
    shared = told["metadata"]["shared"]
    if _HINTS.isdisjoint(shared):
        return {**told}
    kept = {name: value for name, value in shared.items() if name not in _HINTS}
    return {**told, "metadata": {**told["metadata"], "shared": kept}}


def _without(told: _Part) -> Told:
    metadata = {name: value for name, value in told.get("metadata", {}).items() if name not in _OURS}
    rest = {name: value for name, value in told.items() if name != "metadata"}
    return {**rest, "metadata": metadata} if metadata else rest


def _unextended(told: _Part) -> Told:
    kept = [uri for uri in told.get("extensions", ()) if uri != STREAM_HINTS]
    rest = {name: value for name, value in told.items() if name != "extensions"}
    return {**rest, **({"extensions": kept} if kept else {})}


def _bare(told: _Part) -> Told:
    return _without(_unextended(told))


_LESS: Final[Mapping[Telling, _Less]] = {
    Telling.UNHINTED: _Less(
        task=lambda told: _with_artifacts(_unspent(told), lambda one: _unhinted(one, _LAST)),
        status_update=_unspent,
        artifact_update=lambda told: {**told, "artifact": _unhinted(told["artifact"], _PLACE)},
    ),
    Telling.NOTHING: _Less(
        task=lambda told: _without(_with_artifacts(told, _bare)),
        status_update=_without,
        artifact_update=lambda told: _without({**told, "artifact": _bare(told["artifact"])}),
    ),
}
