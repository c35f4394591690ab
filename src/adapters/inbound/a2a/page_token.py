"""The token by which a list of tasks goes on: where its last page ended, opaque to clients."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from math import isfinite
from typing import Final

import msgspec

from opencode_a2a_server.app.ports.tasks import Place
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import TaskId

_decode: Final = msgspec.json.Decoder(tuple[float, str]).decode


def token_out(place: Place | None) -> str:
    """Write where a list goes on; empty at its end."""
    if place is None:
        return ""
    return urlsafe_b64encode(msgspec.json.encode((place.at, place.task_id))).decode().rstrip("=")


def token_in(text: str) -> Place:
    """
    Read what `token_out` wrote.

    Raises:
        InvalidRequest: It did not.

    """
    foreign = InvalidRequest("the pageToken is none of ours; begin without one", "pageToken")
    try:
        at, task_id = _decode(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise foreign from None
    if not (isfinite(at) and task_id.isprintable()):
        raise foreign
    return Place(at, TaskId(task_id))
