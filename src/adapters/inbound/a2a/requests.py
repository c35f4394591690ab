"""Requests of A2A 1.0: JSON read by way of the SDK's types, and refused where the contract is broken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from a2a import types as a2a
from attrs import frozen
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message as ProtobufMessage

from opencode_a2a_server.domain.errors import ContentTypeNotSupported, InvalidRequest, TaskNotFound
from opencode_a2a_server.domain.ids import PushConfigId, TaskId
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.push import PushConfig

from .codec import ROLES_IN, message_in
from .errors import MalformedJson

_M = TypeVar("_M", bound=ProtobufMessage)

_decode: Final = msgspec.json.Decoder().decode
_ID_LENGTH: Final = 256
_OUTPUT_MODES: Final = frozenset({"text/plain", "application/json", "text/*", "application/*", "*/*", "*", "text"})


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


def read_json(body: bytes) -> object:
    """
    Read a body.

    Raises:
        MalformedJson: It is none.

    """
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError) as broken:
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
    push = None
    if asked.HasField("task_push_notification_config"):
        push = push_config_in(asked.task_push_notification_config, TaskId(""))
    return SendRequest(message_in(request.message), _checked_length(length), asked.return_immediately, push)


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


def push_config_in(asked: a2a.TaskPushNotificationConfig, task_id: TaskId) -> PushConfig:
    """Read a push notification configuration; what it may hold is the domain's business."""
    proof = asked.authentication
    return PushConfig(push_config_id_in(asked.id), task_id, asked.url, asked.token, proof.scheme, proof.credentials)


def push_config_id_in(text: str, *, needed: bool = False) -> PushConfigId:
    """Read a configuration's id; where it is not needed, an empty one is to be made up."""
    if not _may_be_id(text) or (needed and not text):
        raise InvalidRequest("the id of a push notification configuration is needed, in printable characters", "id")
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
        raise TaskNotFound("there is no such task")
    return TaskId(text)


def parsed(params: object, message: _M) -> _M:
    """Read ProtoJSON into a message; unknown fields are ignored (A2A 1.0, 5.7)."""
    if not isinstance(params, Mapping):
        raise InvalidRequest("the parameters must be an object")
    try:
        return ParseDict(params, message, ignore_unknown_fields=True)  # type: ignore[arg-type]
    except (ParseError, TypeError, ValueError, AttributeError, RecursionError) as broken:
        raise InvalidRequest(*_located(str(broken))) from broken


def _located(text: str) -> tuple[str, str]:
    """Turn protobuf's nested sentences into one, and the dotted name of the field."""
    path = re.findall(r"Failed to parse (\w+) field: ", text)
    cause = re.sub(r"Failed to parse \w+ field: ", "", text).rstrip(".") or "it cannot be read"
    return cause, ".".join(path)


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
    if message.task_id:
        task_id_in(message.task_id)


def _may_be_id(text: str) -> bool:
    return len(text) <= _ID_LENGTH and text.isprintable()


def _checked_length(length: int | None) -> int | None:
    if length is not None and length < 0:
        raise InvalidRequest("historyLength must not be negative", "historyLength")
    return length


def _mode(mode: str) -> str:
    return mode.partition(";")[0].strip().lower()
