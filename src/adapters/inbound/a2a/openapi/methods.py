"""
The JSON-RPC methods, as the document describes them.

One list, in which each method stands once. Methods that others serve are added to it beside their handlers' entry in
the table of methods; a test holds both equal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from a2a import types as a2a
from a2a.compat.v0_3 import types as old
from attrs import frozen

from .schemas import Make, Schema, Schemas, any_of, model, read, told

V03: Final = "V03"
"""What components of 0.3 begin with."""

PUSH: Final = "push"
"""What a thing needs that is served only together with push notifications."""


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
)

REFUSED: Final = frozenset(
    {
        "GetExtendedAgentCard",
        "agent/getAuthenticatedExtendedCard",
    }
)
"""Methods that have an answer, but never another one than a refusal: nobody needs them described."""


def served(versions: Collection[str], switched_on: Collection[str]) -> Iterator[Method]:
    """Give the methods of these versions, without those that need what is not switched on."""
    return (
        method
        for method in DESCRIBED
        if method.version in versions and (not method.needs or method.needs in switched_on)
    )
