"""
Requests of 0.3 in the words of 1.0.

Only names are changed here. What is missing or of the wrong kind stays so, and is refused by who reads the result,
unless the refusal would name something that 0.3 does not have.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from opencode_a2a_server.adapters.inbound.a2a.requests import SendRequest, read_send
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.domain.errors import InvalidRequest

_ROLES: Final[Mapping[str, str]] = {
    "user": "ROLE_USER",
    "agent": "ROLE_AGENT",
    "ROLE_USER": "ROLE_USER",
    "ROLE_AGENT": "ROLE_AGENT",
}
_KINDS: Final = ("text", "file", "data")
_NO_LIMIT: Final = (0, "0", None)
"""What `historyLength` is to the SDKs of 0.3 when all of the history is wanted."""


def send_params(params: object) -> object:
    """
    Rename MessageSendParams, or the SendMessageRequest of 0.3's proto: the latter's messages have `content`.

    Raises:
        InvalidRequest: A message is no message of 0.3.

    """
    if not isinstance(params, Mapping):
        return params
    message = params.get("message", params.get("request"))
    proto = isinstance(message, Mapping) and "content" in message
    renamed = {
        "message": _message(message) if isinstance(message, Mapping) else message,
        "configuration": _configuration(params.get("configuration"), blocking=not proto),
        "metadata": params.get("metadata"),
    }
    return {name: value for name, value in renamed.items() if value is not None}


def task_params(params: object) -> object:
    """Rename TaskQueryParams and TaskIdParams."""
    if not isinstance(params, Mapping):
        return params
    return {name: value for name, value in params.items() if name != "historyLength" or value not in _NO_LIMIT}


def read_send_0_3(params: object) -> SendRequest:
    """Read what `send_params` renames."""
    return read_send(send_params(params))


def _message(message: Mapping[str, Any]) -> Told:
    parts = message.get("content", message.get("parts"))
    role = message.get("role")
    if not (isinstance(role, str) and role in _ROLES):
        raise InvalidRequest("a message needs a role: user", "message.role")
    renamed = {name: value for name, value in message.items() if name not in ("kind", "content")}
    renamed["role"] = _ROLES[role]
    if isinstance(parts, list):
        renamed["parts"] = [_part(part, f"message.parts[{index}]") for index, part in enumerate(parts)]
    return renamed


def _part(part: object, place: str) -> Told:
    """Rename a part of either shape: `kind` (or `type`, before 0.2) says which it is, else the one field that it has."""
    if not isinstance(part, Mapping):
        raise InvalidRequest("a part is an object", place)
    if part.get("kind", part.get("type", "text")) not in _KINDS:
        raise InvalidRequest("a part is of kind text, file or data", place)
    metadata = {"metadata": part["metadata"]} if part.get("metadata") else {}
    match part:
        case {"text": text}:
            return {"text": text, **metadata}
        case {"data": Mapping() as data}:
            wrapped = "kind" not in part and set(data) == {"data"}  # the proto's DataPart
            return _data(data["data"] if wrapped else data, metadata)
        case {"file": Mapping() as file}:
            return {**_file(file, place), **metadata}
    raise InvalidRequest("a part is of kind text, file or data, and has what it is named after", place)


def _data(data: object, metadata: Mapping[str, Any]) -> Told:
    """Read data; the SDK's 1.0 clients mark what is no object, which 0.3 does not know."""
    match data, metadata:
        case {"value": value}, {"metadata": {"data_part_compat": True, **rest}}:
            return {"data": value, **({"metadata": rest} if rest else {})}
    return {"data": data, **metadata}


def _file(file: Mapping[str, Any], place: str) -> Told:
    names = {"mimeType": "mediaType", "name": "filename"}
    named = {ours: file[theirs] for theirs, ours in names.items() if file.get(theirs)}
    match file:
        case {"bytes": content}:
            return {"raw": content, **named}
        case {"uri": url} | {"fileWithUri": url}:
            return {"url": url, **named}
        case {"fileWithBytes": str() as content}:
            return {"raw": _once(content), **named}
    raise InvalidRequest("a file has bytes or a uri", f"{place}.file")


def _once(content: str) -> str:
    """Undo what the Python SDK of 0.3 does to a file over HTTP: it encodes the Base64 text again, others do not."""
    try:
        inner = base64.b64decode(content, validate=True)
        base64.b64decode(inner, validate=True)
        return inner.decode("ascii") or content
    except (binascii.Error, ValueError):
        return content


def _configuration(configuration: object, *, blocking: bool) -> object:
    """
    Rename a MessageSendConfiguration.

    Args:
        configuration: As it was sent, None for none.
        blocking: Whether to wait if it does not say. In ProtoJSON what is false is left out.

    """
    if configuration is None:
        return None if blocking else {"returnImmediately": True}
    if not isinstance(configuration, Mapping):
        return configuration
    waits = configuration.get("blocking")
    if waits is not None and not isinstance(waits, bool):
        raise InvalidRequest("blocking must be true or false", "configuration.blocking")
    length = configuration.get("historyLength")
    push = configuration.get("pushNotificationConfig", configuration.get("pushNotification"))
    renamed = {
        "acceptedOutputModes": configuration.get("acceptedOutputModes"),
        "historyLength": None if length in _NO_LIMIT else length,
        "returnImmediately": not (blocking if waits is None else waits),
        "taskPushNotificationConfig": push_config(push) if isinstance(push, Mapping) else push,
    }
    return {name: value for name, value in renamed.items() if value is not None}


def push_config(config: Mapping[str, Any]) -> Told:
    """Rename a PushNotificationConfig; of several schemes the first one counts."""
    match config.get("authentication"):
        case {"schemes": [scheme, *_], **more}:
            return {**config, "authentication": {"scheme": scheme, "credentials": more.get("credentials") or ""}}
    return dict(config)
