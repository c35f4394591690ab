"""What push notifications say: to a receiver of 1.0 what its streams say, to one of 0.3 the task."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from attrs import field, frozen

from opencode_a2a_server.app.ports.notifier import Encode
from opencode_a2a_server.domain.task import Task

from .encode import Encoders, task_result, to_json
from .v03.shape import JSON

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@frozen
class Notifications:
    """The port `Wording`."""

    _encoders: Encoders = field(factory=Encoders)

    def updates(self, task: Task) -> Encode:
        """Encode updates as the streams of 1.0 have them."""
        return self._encoders.of(task)

    def standing(self, task: Task) -> bytes:
        """Encode a Task of 0.3, as its SDKs post it."""
        return task_result(task, shape=JSON)

    def brief(self, body: bytes) -> bytes:
        """
        Leave out parts, history and artifacts; `metadata.shared.stream.omitted` says so.

        An artifact keeps one empty text: none may be without parts.
        """
        match told := _decode(body):
            case {"artifactUpdate": {"artifact": dict() as artifact}}:
                artifact["parts"] = [{"text": ""}]
                _mark(artifact)
            case {"statusUpdate": {"status": dict() as status} as update}:
                status.pop("message", None)
                _mark(update)
            case _:
                told = {name: value for name, value in told.items() if name not in ("artifacts", "history")}
                _mark(told)
        return to_json(told)


def _mark(told: dict[str, Any]) -> None:
    metadata = told.setdefault("metadata", {})
    metadata.setdefault("shared", {}).setdefault("stream", {})["omitted"] = True
