"""
Results of 1.0 in the words of 0.3, which has two of them: JSON with `kind`s over JSON-RPC, ProtoJSON over HTTP.

Whatever 1.0 tells is renamed just before it is encoded; tests hold both shapes equal to what the SDK reads and makes.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from opencode_a2a_server.adapters.inbound.a2a.encode import Shape
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.domain.push import Words
from opencode_a2a_server.domain.state import TaskState

VERSION: Final = "0.3"

_Wire = Mapping[str, Any]

_STATES: Final[Mapping[str, TaskState]] = {f"TASK_STATE_{state.name}": state for state in TaskState}
_ROLES: Final[Mapping[str, str]] = {"ROLE_USER": "user", "ROLE_AGENT": "agent"}


class _Renaming(ABC):
    """What both shapes have in common; each method renames an object of 1.0."""

    def task(self, told: _Wire) -> Told:
        """Rename a Task."""
        renamed: Told = {**told, "status": self.status(told["status"])}
        if "artifacts" in told:
            renamed["artifacts"] = [self.artifact(artifact) for artifact in told["artifacts"]]
        if "history" in told:
            renamed["history"] = [self.message(message) for message in told["history"]]
        return renamed

    def status(self, told: _Wire) -> Told:
        """Rename a TaskStatus."""
        renamed: Told = {**told, "state": self.state(_STATES[told["state"]])}
        return {**renamed, "message": self.message(told["message"])} if "message" in told else renamed

    def artifact(self, told: _Wire) -> Told:
        """Rename an Artifact."""
        return {**told, "parts": [self.part(part) for part in told["parts"]]}

    def status_update(self, told: _Wire) -> Told:
        """
        Rename a TaskStatusUpdateEvent.

        It is the `final` one (A2A 0.3, 7.2.2) where streams end: also when the task waits for somebody.
        """
        state = _STATES[told["status"]["state"]]
        return {**told, "status": self.status(told["status"]), "final": state.terminal or state.interrupted}

    def artifact_update(self, told: _Wire) -> Told:
        """Rename a TaskArtifactUpdateEvent; the artifact stays the last of those fields that are always there."""
        return {**told, "artifact": self.artifact(told["artifact"])}

    def response(self, told: _Wire) -> Told:
        """Rename a StreamResponse or SendMessageResponse."""
        ((name, payload),) = told.items()
        rename = {
            "task": self.task,
            "message": self.message,
            "statusUpdate": self.status_update,
            "artifactUpdate": self.artifact_update,
        }
        return self.wrapped(name, rename[name](payload))

    @abstractmethod
    def wrapped(self, name: str, renamed: Told) -> Told:
        """Say which payload a response has."""

    @abstractmethod
    def state(self, state: TaskState) -> str:
        """Name a state."""

    @abstractmethod
    def message(self, told: _Wire) -> Told:
        """Rename a Message."""

    @abstractmethod
    def part(self, told: _Wire) -> Told:
        """Rename a Part."""


class _Json(_Renaming):
    """A2A 0.3, 6: every object says its kind."""

    def task(self, told: _Wire) -> Told:
        return {"kind": "task", **super().task(told)}

    def status_update(self, told: _Wire) -> Told:
        return {"kind": "status-update", **super().status_update(told)}

    def artifact_update(self, told: _Wire) -> Told:
        return {"kind": "artifact-update", **super().artifact_update(told)}

    def wrapped(self, name: str, renamed: Told) -> Told:  # noqa: ARG002 - its kind names it
        return renamed

    def state(self, state: TaskState) -> str:
        return state.value

    def message(self, told: _Wire) -> Told:
        parts = [self.part(part) for part in told["parts"]]
        return {"kind": "message", **told, "role": _ROLES[told["role"]], "parts": parts}

    def part(self, told: _Wire) -> Told:
        match told:
            case {"text": text}:
                part: Told = {"kind": "text", "text": text}
            case {"data": data}:
                return {"kind": "data", **_data(data, told.get("metadata", {}))}
            case {"raw": raw}:
                part = {"kind": "file", "file": {"bytes": raw, **_named(told)}}
            case _:
                part = {"kind": "file", "file": {"uri": told["url"], **_named(told)}}
        return {**part, **_metadata(told)}


class _Proto(_Renaming):
    """The proto of A2A 0.3, package `a2a.v1`, which clients read strictly: nothing may be told that it has not."""

    def wrapped(self, name: str, renamed: Told) -> Told:
        return {name: renamed}

    def state(self, state: TaskState) -> str:
        return "TASK_STATE_CANCELLED" if state is TaskState.CANCELED else f"TASK_STATE_{state.name}"

    def message(self, told: _Wire) -> Told:
        kept = {name: value for name, value in told.items() if name not in ("parts", "referenceTaskIds")}
        return {**kept, "content": [self.part(part) for part in told["parts"]]}

    def part(self, told: _Wire) -> Told:
        match told:
            case {"text": text}:
                part: Told = {"text": text}
            case {"data": data}:
                renamed = _data(data, told.get("metadata", {}))
                return {**renamed, "data": {"data": renamed["data"]}}
            case {"raw": raw}:
                part = {"file": {"fileWithBytes": _twice(raw), **_named(told)}}
            case _:
                part = {"file": {"fileWithUri": told["url"], **_named(told)}}
        return {**part, **_metadata(told)}


def _data(data: object, metadata: _Wire) -> Told:
    """Tell data, which is an object in 0.3; the SDK's 1.0 clients look for the mark on what is none."""
    if isinstance(data, Mapping):
        return {"data": data, **({"metadata": metadata} if metadata else {})}
    return {"data": {"value": data}, "metadata": {**metadata, "data_part_compat": True}}


def _named(told: _Wire) -> Told:
    names = {"mediaType": "mimeType", "filename": "name"}
    return {ours: told[theirs] for theirs, ours in names.items() if theirs in told}


def _metadata(told: _Wire) -> Told:
    return {"metadata": told["metadata"]} if "metadata" in told else {}


def _twice(encoded: str) -> str:
    """Encode again: to the Python SDK of 0.3 the bytes of a file are its Base64 text, and others it cannot read."""
    return base64.b64encode(encoded.encode("ascii")).decode("ascii")


_json: Final = _Json()
_proto: Final = _Proto()

JSON: Final = Shape(VERSION, _json.response, _json.task, _json.message, Words.V0_3)
PROTO: Final = Shape(f"{VERSION}, ProtoJSON", _proto.response, _proto.task, _proto.message, Words.V0_3)
