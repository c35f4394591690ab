"""ListTasks of A2A 1.0 (3.1.4): which tasks, and the token by which a list goes on."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Final

import msgspec
from a2a import types as a2a
from attrs import frozen

from opencode_a2a_server.app.ports.tasks import BEGIN, Place, Wanted
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import ContextId, TaskId
from opencode_a2a_server.domain.state import TaskState

from .requests import checked_length, may_be_id, parsed

_SIZE: Final = 50
_SIZE_MOST: Final = 100
_STATES: Final[Mapping[int, TaskState]] = {
    a2a.TaskState.Value(f"TASK_STATE_{state.name}"): state for state in TaskState
}
_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_token: Final = msgspec.json.Decoder(tuple[float, str])


@frozen
class ListRequest:
    """Which tasks to list, how many, and what of each."""

    wanted: Wanted
    size: int = _SIZE
    after: Place = BEGIN
    history_length: int | None = None
    with_artifacts: bool = False


def read_list(params: object) -> ListRequest:
    """
    Read a ListTasksRequest.

    Raises:
        InvalidRequest: Something is of the wrong kind or out of range; the error names the field.

    """
    _check_status(params)
    request = parsed(params, a2a.ListTasksRequest())
    size = request.page_size if request.HasField("page_size") else _SIZE
    if not 1 <= size <= _SIZE_MOST:
        raise InvalidRequest(f"pageSize must be from 1 to {_SIZE_MOST}", "pageSize")
    if not may_be_id(request.context_id):
        raise InvalidRequest("no context has such an id", "contextId")
    length = request.history_length if request.HasField("history_length") else None
    return ListRequest(
        wanted=Wanted(ContextId(request.context_id) or None, _STATES.get(request.status), _since(request)),
        size=size,
        after=token_in(request.page_token) if request.page_token else BEGIN,
        history_length=checked_length(length),
        with_artifacts=request.include_artifacts,
    )


def read_list_query(given: Iterable[tuple[str, Any]]) -> ListRequest:
    """Read the query of `GET /tasks` (A2A 1.0, 11.5); of what is given twice the last counts."""
    asked = dict(given)
    flag = asked.get("includeArtifacts")
    if flag is not None:
        asked["includeArtifacts"] = _BOOLEANS.get(flag.lower(), flag)
    return read_list(asked)


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
        at, task_id = _token.decode(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise foreign from None
    if not (isfinite(at) and may_be_id(task_id)):
        raise foreign
    return Place(at, TaskId(task_id))


def _check_status(params: object) -> None:
    """Refuse a state that A2A does not know: protobuf would read it as none, and list everything."""
    given = params.get("status") if isinstance(params, Mapping) else None
    known = {*a2a.TaskState.keys(), *a2a.TaskState.values()}
    if given is not None and (isinstance(given, bool) or not isinstance(given, (str, int)) or given not in known):
        raise InvalidRequest("the status is no TASK_STATE_*", "status")


def _since(request: a2a.ListTasksRequest) -> float | None:
    if not request.HasField("status_timestamp_after"):
        return None
    moment = request.status_timestamp_after
    return float(moment.seconds + moment.nanos / 1e9)
