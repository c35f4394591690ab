"""The token by which a list goes on: where its last page ended, opaque to clients."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from math import isfinite
from typing import Final

import msgspec

from opencode_a2a_server.app.ports.tasks import Place
from opencode_a2a_server.app.usecases.list_push_configs import PushPlace
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import PushConfigId, TaskId

_decode: Final = msgspec.json.Decoder(tuple[float, str]).decode


def token_out(place: Place | None) -> str:
    """Write where a list of tasks goes on; empty at its end."""
    return "" if place is None else _written(place.at, place.task_id)


def token_in(text: str) -> Place:
    """
    Read what `token_out` wrote.

    Raises:
        InvalidRequest: It did not.

    """
    at, task_id = _read(text)
    return Place(at, TaskId(task_id))


def push_token_out(place: PushPlace | None) -> str:
    """Write where a list of push notification configurations goes on; empty at its end."""
    return "" if place is None else _written(place.at, place.id)


def push_token_in(text: str) -> PushPlace:
    """
    Read what `push_token_out` wrote.

    Raises:
        InvalidRequest: It did not.

    """
    at, config_id = _read(text)
    return PushPlace(at, PushConfigId(config_id))


def _written(at: float, name: str) -> str:
    return urlsafe_b64encode(msgspec.json.encode((at, name))).decode().rstrip("=")


def _read(text: str) -> tuple[float, str]:
    foreign = InvalidRequest("the pageToken is none of ours; begin without one", "pageToken")
    try:
        at, name = _decode(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise foreign from None
    if not (isfinite(at) and name.isprintable()):
        raise foreign
    return at, name
