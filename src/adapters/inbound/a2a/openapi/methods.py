"""
The JSON-RPC methods, as the document describes them.

One list, in which each method stands once. Methods that others serve are added to it beside their handlers' entry in
the table of methods; a test holds both equal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from a2a import types as a2a
from a2a.compat.v0_3 import types as old
from attrs import frozen

from opencode_a2a_server.adapters.inbound.a2a.methods.row import ExtensionMethod
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE

from .schemas import REF, Make, Schema, Schemas, any_of, model, read, told

V03: Final = "V03"
"""What components of 0.3 begin with."""

PUSH: Final = "push"
"""What a thing needs that is served only together with push notifications."""


EXTENDED_CARD: Final = "extended card"
"""The same for the extended card."""


@frozen
class Method:
    """One method: its parameters, and what it gives, be it once or again and again."""

    name: str
    summary: str
    params: Make
    result: Make
    version: str = "1.0"
    streams: bool = False
    needs: str = ""

    @property
    def component(self) -> str:
        """Name its request among the components: of a method's name, what such a name may have."""
        return "".join(part[:1].upper() + part[1:] for part in self.name.replace(".", "/").split("/")) + "Call"


def _no_result(schemas: Schemas) -> Schema:
    return schemas.component("Nothing", {"type": "object", "maxProperties": 0})


def _anything(_schemas: Schemas) -> Schema:
    return {"type": ["object", "null"]}


def _null(_schemas: Schemas) -> Schema:
    return {"type": "null"}


def _old_configs(schemas: Schemas) -> Schema:
    return {"type": "array", "items": _OLD_CONFIG(schemas)}


_OLD_CONFIG: Final = model(old.TaskPushNotificationConfig, V03)
_UPDATE: Final = told(a2a.StreamResponse)
_OLD_UPDATE: Final = any_of(
    *(model(kind, V03) for kind in (old.Task, old.Message, old.TaskStatusUpdateEvent, old.TaskArtifactUpdateEvent))
)

DESCRIBED: Final[Sequence[Method]] = (
    Method("SendMessage", "Send a message", read(a2a.SendMessageRequest), told(a2a.SendMessageResponse)),
    Method(
        "SendStreamingMessage",
        "Send a message and follow its task",
        read(a2a.SendMessageRequest),
        _UPDATE,
        streams=True,
    ),
    Method("GetTask", "Get a task", read(a2a.GetTaskRequest), told(a2a.Task)),
    Method("ListTasks", "List tasks", read(a2a.ListTasksRequest), told(a2a.ListTasksResponse)),
    Method("CancelTask", "Cancel a task", read(a2a.CancelTaskRequest), told(a2a.Task)),
    Method("SubscribeToTask", "Follow a task", read(a2a.SubscribeToTaskRequest), _UPDATE, streams=True),
    Method(
        "CreateTaskPushNotificationConfig",
        "Be notified of a task",
        read(a2a.TaskPushNotificationConfig),
        told(a2a.TaskPushNotificationConfig),
        needs=PUSH,
    ),
    Method(
        "GetTaskPushNotificationConfig",
        "See how one is notified of a task",
        read(a2a.GetTaskPushNotificationConfigRequest),
        told(a2a.TaskPushNotificationConfig),
        needs=PUSH,
    ),
    Method(
        "ListTaskPushNotificationConfigs",
        "List the push notification configurations of a task",
        read(a2a.ListTaskPushNotificationConfigsRequest),
        told(a2a.ListTaskPushNotificationConfigsResponse),
        needs=PUSH,
    ),
    Method(
        "DeleteTaskPushNotificationConfig",
        "Be notified of a task no more",
        read(a2a.DeleteTaskPushNotificationConfigRequest),
        _no_result,
        needs=PUSH,
    ),
    Method(
        "GetExtendedAgentCard",
        "Get the extended agent card",
        read(a2a.GetExtendedAgentCardRequest),
        told(a2a.AgentCard),
        needs=EXTENDED_CARD,
    ),
    Method(
        "message/send",
        "Send a message",
        model(old.MessageSendParams, V03),
        any_of(model(old.Task, V03), model(old.Message, V03)),
        "0.3",
    ),
    Method(
        "message/stream",
        "Send a message and follow its task",
        model(old.MessageSendParams, V03),
        _OLD_UPDATE,
        "0.3",
        streams=True,
    ),
    Method("tasks/get", "Get a task", model(old.TaskQueryParams, V03), model(old.Task, V03), "0.3"),
    Method("tasks/cancel", "Cancel a task", model(old.TaskIdParams, V03), model(old.Task, V03), "0.3"),
    Method("tasks/resubscribe", "Follow a task", model(old.TaskIdParams, V03), _OLD_UPDATE, "0.3", streams=True),
    Method("tasks/pushNotificationConfig/set", "Be notified of a task", _OLD_CONFIG, _OLD_CONFIG, "0.3", needs=PUSH),
    Method(
        "tasks/pushNotificationConfig/get",
        "See how one is notified of a task",
        model(old.GetTaskPushNotificationConfigParams, V03),
        _OLD_CONFIG,
        "0.3",
        needs=PUSH,
    ),
    Method(
        "tasks/pushNotificationConfig/list",
        "List the push notification configurations of a task",
        model(old.ListTaskPushNotificationConfigParams, V03),
        _old_configs,
        "0.3",
        needs=PUSH,
    ),
    Method(
        "tasks/pushNotificationConfig/delete",
        "Be notified of a task no more",
        model(old.DeleteTaskPushNotificationConfigParams, V03),
        _null,
        "0.3",
        needs=PUSH,
    ),
    Method(
        "agent/getAuthenticatedExtendedCard",
        "Get the extended agent card",
        _anything,
        model(old.AgentCard, V03),
        "0.3",
        needs=EXTENDED_CARD,
    ),
)


def _params(method: ExtensionMethod) -> Make:
    """Describe what an extension method takes, from the struct it is read into."""

    def made(schemas: Schemas) -> Schema:
        (schema,), components = msgspec.json.schema_components([method.params], ref_template=f"{REF}Of{{name}}")
        for name, component in components.items():
            schemas.component(f"Of{name}", _portable(component))
        return schema

    return made


def _portable(schema: Any) -> Any:
    """Write the end of a pattern as JSON Schema does, whose regular expressions are JavaScript's."""
    if isinstance(schema, Mapping):
        told = {name: _portable(value) for name, value in schema.items()}
        pattern = told.get("pattern")
        return {**told, "pattern": pattern.replace(r"\Z", "$")} if isinstance(pattern, str) else told
    return [_portable(value) for value in schema] if isinstance(schema, list) else schema


def _result(method: ExtensionMethod) -> Make:
    """Describe what an extension method gives; `next_cursor` is there if there is more."""

    def made(_: Schemas) -> Schema:
        fields = method.answer.fields
        kinds: dict[str, Schema] = {"items": {"type": "array"}, "ok": {"const": True}, "session_id": {"type": "string"}}
        needed = [name for name in fields if name != "next_cursor"]
        return {"type": "object", "properties": {name: kinds.get(name, {}) for name in fields}, "required": needed}

    return made


EXTENSIONS: Final[Sequence[Method]] = tuple(
    Method(method.name, method.summary, _params(method), _result(method), needs=method.name) for method in TABLE
)
"""The methods of extensions, which are of every version; each needs that it is served."""


def served(versions: Collection[str], switched_on: Collection[str]) -> Iterator[Method]:
    """Give the methods of these versions, without those that need what is not switched on."""
    of_versions = (method for method in DESCRIBED if method.version in versions)
    return (method for method in (*of_versions, *EXTENSIONS) if not method.needs or method.needs in switched_on)
