"""Requests of A2A 1.0: JSON read by way of the SDK's types, and refused where the contract is broken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from a2a import types as a2a
from attrs import evolve, frozen
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message as ProtobufMessage

from opencode_a2a_server.app.ports.tasks import BEGIN, Place, Wanted
from opencode_a2a_server.domain.errors import ContentTypeNotSupported, InvalidRequest, TaskNotFound
from opencode_a2a_server.domain.ids import ContextId, PushConfigId, TaskId
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.push import PushConfig
from opencode_a2a_server.domain.state import TaskState

from .codec import ROLES_IN, message_in, object_in
from .errors import MalformedJson
from .page_token import token_in
from .wishes import wishes_in

_M = TypeVar("_M", bound=ProtobufMessage)

_decode: Final = msgspec.json.Decoder().decode
_ID_LENGTH: Final = 256
_OUTPUT_MODES: Final = frozenset({"text/plain", "application/json", "text/*", "application/*", "*/*", "*", "text"})
_SAID: Final = 500
"""Characters of what protobuf says; it may name the value, however long that is."""
_SIZE: Final = 50
_SIZE_MOST: Final = 100
_STATES: Final[Mapping[int, TaskState]] = {
    a2a.TaskState.Value(f"TASK_STATE_{state.name}"): state for state in TaskState
}
_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "false": False}


@frozen
class SendRequest:
    """A message to send, and how to answer (A2A 1.0, 3.2.1 and 3.2.2)."""

    message: Message
    history_length: int | None = None
    return_immediately: bool = False
    push: PushConfig | None = None
    """Who else wants to be told; its task is the message's."""


@frozen
class TaskRequest:
    """A task to get, cancel or follow."""

    task_id: TaskId
    history_length: int | None = None


@frozen
class ListRequest:
    """Which tasks to list, how many, and what of each."""

    wanted: Wanted
    size: int = _SIZE
    after: Place = BEGIN
    history_length: int | None = None
    with_artifacts: bool = False


def read_json(body: bytes) -> object:
    """
    Read a body.

    Raises:
        MalformedJson: It is none.

    """
    if not body:
        raise MalformedJson("there is no body; send a JSON object")
    try:
        return _decode(body)
    except (ValueError, RecursionError) as broken:  # of msgspec's, UTF-8's and whole numbers' of too many digits
        raise MalformedJson(f"the body is not JSON: {broken}") from broken


def read_send(params: object) -> SendRequest:
    """
    Read a SendMessageRequest.

    Raises:
        InvalidRequest: Something is missing or of the wrong kind; the error names the field.
        ContentTypeNotSupported: The client would accept none of our output modes.

    """
    request = parsed(params, a2a.SendMessageRequest())
    _check_message(request.message)
    asked = request.configuration
    if asked.accepted_output_modes and _OUTPUT_MODES.isdisjoint(map(_mode, asked.accepted_output_modes)):
        raise ContentTypeNotSupported("the output is text/plain and application/json; accept at least one of them")
    length = asked.history_length if asked.HasField("history_length") else None
    message = message_in(request.message)
    wishes = wishes_in(message.metadata, object_in(request.metadata))
    message = evolve(message, accepts=tuple(map(_mode, asked.accepted_output_modes)), wishes=wishes)
    push = None
    if asked.HasField("task_push_notification_config"):
        check_no_tenant(asked.task_push_notification_config.tenant, "configuration.taskPushNotificationConfig.tenant")
        push = push_config_in(asked.task_push_notification_config, TaskId(""))
    return SendRequest(message, _checked_length(length), asked.return_immediately, push)


def read_get(params: object) -> TaskRequest:
    """Read a GetTaskRequest."""
    request = parsed(params, a2a.GetTaskRequest())
    length = request.history_length if request.HasField("history_length") else None
    return TaskRequest(task_id_in(request.id), _checked_length(length))


def read_cancel(params: object) -> TaskRequest:
    """Read a CancelTaskRequest."""
    return TaskRequest(task_id_in(parsed(params, a2a.CancelTaskRequest()).id))


def read_subscribe(params: object) -> TaskRequest:
    """Read a SubscribeToTaskRequest."""
    return TaskRequest(task_id_in(parsed(params, a2a.SubscribeToTaskRequest()).id))


def read_list(params: object) -> ListRequest:
    """
    Read a ListTasksRequest.

    Raises:
        InvalidRequest: Something is of the wrong kind or out of range; the error names the field.

    """
    _check_status(params)
    request = parsed(params, a2a.ListTasksRequest())
    if request.status and request.status not in _STATES:
        raise InvalidRequest("the status is no TASK_STATE_*", "status")
    size = request.page_size if request.HasField("page_size") else _SIZE
    if not 1 <= size <= _SIZE_MOST:
        raise InvalidRequest(f"pageSize must be from 1 to {_SIZE_MOST}", "pageSize")
    if not _may_be_id(request.context_id):
        raise InvalidRequest("no context has such an id", "contextId")
    length = request.history_length if request.HasField("history_length") else None
    return ListRequest(
        wanted=Wanted(ContextId(request.context_id) or None, _STATES.get(request.status), _since(request)),
        size=size,
        after=token_in(request.page_token) if request.page_token else BEGIN,
        history_length=_checked_length(length),
        with_artifacts=request.include_artifacts,
    )


def read_list_query(given: Iterable[tuple[str, Any]]) -> ListRequest:
    """Read the query of `GET /tasks` (A2A 1.0, 11.5); of what is given twice the last counts."""
    asked = dict(given)
    flag = asked.get("includeArtifacts")
    if flag is not None:
        asked["includeArtifacts"] = _BOOLEANS.get(flag.lower(), flag)
    return read_list(asked)


def push_config_in(asked: a2a.TaskPushNotificationConfig, task_id: TaskId) -> PushConfig:
    """Read a push notification configuration; what it may hold is the domain's business."""
    proof = asked.authentication
    return PushConfig(push_config_id_in(asked.id), task_id, asked.url, asked.token, proof.scheme, proof.credentials)


def push_config_id_in(text: str, field: str = "id", *, needed: bool = False) -> PushConfigId:
    """Read a configuration's id; where it is not needed, an empty one is to be made up."""
    if not _may_be_id(text) or (needed and not text):
        raise InvalidRequest("the id of a push notification configuration is needed, in printable characters", field)
    return PushConfigId(text)


def task_id_in(text: str, field: str = "id") -> TaskId:
    """
    Read a task's id.

    Raises:
        InvalidRequest: There is none.
        TaskNotFound: Nothing could ever have this id; no store needs to be asked.

    """
    if not text:
        raise InvalidRequest("the id of a task is needed", field)
    if not _may_be_id(text):
        raise TaskNotFound("the task was not found")
    return TaskId(text)


def parsed(params: object, message: _M) -> _M:
    """
    Read ProtoJSON into a message, unless it is one; unknown fields are ignored (A2A 1.0, 5.7).

    Raises:
        InvalidRequest: Something is of the wrong kind; or it is for a tenant, and there are none.

    """
    read = params if isinstance(params, type(message)) else _parsed(params, message)
    check_no_tenant(getattr(read, "tenant", ""))
    return read


def check_no_tenant(tenant: str, field: str = "tenant") -> None:
    """Refuse what is meant for a tenant (A2A 1.0, 3.2.4): it must not be done for somebody else."""
    if tenant:
        raise InvalidRequest(f"this agent serves no tenants, its card names none; leave {field} out", field)


def _parsed(params: object, message: _M) -> _M:
    if not isinstance(params, Mapping):
        raise InvalidRequest("the parameters must be an object")
    _check_objects(params, message.DESCRIPTOR)
    try:
        return ParseDict(params, message, ignore_unknown_fields=True)  # type: ignore[arg-type]
    except (ParseError, TypeError, ValueError, OverflowError, AttributeError, RecursionError) as broken:
        raise InvalidRequest(*_located(str(broken))) from broken


def _check_objects(params: Mapping[str, Any], descriptor: Any, place: str = "") -> None:
    """Refuse what is no object where a message belongs: protobuf would take a text for the names of no fields."""
    fields = _messages_in(descriptor)
    for name, value in params.items():
        if name not in fields or value is None:
            continue
        inner, many = fields[name]
        for item in value if many and isinstance(value, list) else (value,):
            if not isinstance(item, Mapping):
                raise InvalidRequest(f"{name} must {'hold objects' if many else 'be an object'}", place + name)
            _check_objects(item, inner, f"{place}{name}.")


@cache
def _messages_in(descriptor: Any) -> Mapping[str, tuple[Any, bool]]:
    """Give the fields that hold messages of A2A, by both of their names, with whether they hold many."""
    return {
        name: (field.message_type, field.is_repeated)
        for field in descriptor.fields
        if field.message_type is not None and field.message_type.file is descriptor.file
        for name in (field.name, field.json_name)
    }


def _located(text: str) -> tuple[str, str]:
    """Turn protobuf's nested sentences into one, and the dotted name of the field."""
    path = re.findall(r"Failed to parse (\w+) field: ", text)
    cause = re.sub(r"Failed to parse \w+ field: ", "", text).rstrip(".") or "it cannot be read"
    return cause[:_SAID], ".".join(path)


def _check_message(message: a2a.Message) -> None:
    if not message.message_id:
        raise InvalidRequest("a message needs a messageId", "message.messageId")
    if message.role not in ROLES_IN:
        raise InvalidRequest("a message needs a role: ROLE_USER", "message.role")
    if not message.parts:
        raise InvalidRequest("a message needs at least one part", "message.parts")
    for index, part in enumerate(message.parts):
        if part.WhichOneof("content") is None:
            raise InvalidRequest("a part holds text, raw, url or data", f"message.parts[{index}]")
    _check_ids(message)


def _check_ids(message: a2a.Message) -> None:
    ids: Mapping[str, str] = {"messageId": message.message_id, "contextId": message.context_id}
    for name, text in ids.items():
        if text and not _may_be_id(text):
            raise InvalidRequest(f"an id is printable and has at most {_ID_LENGTH} characters", f"message.{name}")
    for task_id in (message.task_id, *message.reference_task_ids):
        if task_id:
            task_id_in(task_id)


def _may_be_id(text: str) -> bool:
    return len(text) <= _ID_LENGTH and text.isprintable()


def _checked_length(length: int | None) -> int | None:
    if length is not None and length < 0:
        raise InvalidRequest("historyLength must not be negative", "historyLength")
    return length


def _mode(mode: str) -> str:
    return mode.partition(";")[0].strip().lower()


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
