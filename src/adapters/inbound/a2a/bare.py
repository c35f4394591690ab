"""
Results without what was not asked for: for callers who have not activated the extensions that it is of.

0.2 told its metadata to everybody, and so do we unless the operator wants it as A2A 1.0, 4.6 has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from attrs import evolve

from .card.extensions import STREAM_HINTS
from .encode import Shape
from .shared import Told

_OURS = ("shared", "opencode")


@cache
def bare(shape: Shape) -> Shape:
    """Give the shape that tells the same without our metadata."""

    def response(told: Told) -> Told:
        ((name, payload),) = told.items()
        return shape.response({name: _RESPONSES.get(name, dict)(payload)})

    return evolve(
        shape,
        version=f"{shape.version}, bare",
        response=response,
        task=lambda told: shape.task(_task(told)),
        bare=True,
    )


def _task(told: Mapping[str, Any]) -> Told:
    artifacts = {"artifacts": [_artifact(one) for one in told["artifacts"]]} if "artifacts" in told else {}
    return _without({**told, **artifacts})


def _artifact(told: Mapping[str, Any]) -> Told:
    kept = [uri for uri in told.get("extensions", ()) if uri != STREAM_HINTS]
    rest = {name: value for name, value in told.items() if name != "extensions"}
    return _without({**rest, **({"extensions": kept} if kept else {})})


def _artifact_update(told: Mapping[str, Any]) -> Told:
    return _without({**told, "artifact": _artifact(told["artifact"])})


def _without(told: Mapping[str, Any]) -> Told:
    metadata = {name: value for name, value in told.get("metadata", {}).items() if name not in _OURS}
    rest = {name: value for name, value in told.items() if name != "metadata"}
    return {**rest, "metadata": metadata} if metadata else rest


_RESPONSES = {"task": _task, "statusUpdate": _without, "artifactUpdate": _artifact_update}
