"""
The routes, as the document describes them: one entry for each method of each path.

A path is written as clients see it, with `:verb` where a task's route has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from a2a import types as a2a
from a2a.compat.v0_3 import a2a_v0_3_pb2 as proto
from a2a.compat.v0_3 import types as old
from attrs import frozen

from .methods import EXTENDED_CARD, PUSH, V03
from .schemas import Make, ProtobufType, Schema, Schemas, any_of, model, read, told

PROTO: Final = f"{V03}Proto"
"""What components of 0.3's ProtoJSON begin with."""

A2A: Final = "application/a2a+json"
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"

_SEND: Final = (400, 404, 409, 413)
_FIND: Final = (400, 404)
_ALTER: Final = (400, 404, 413)


@frozen
class Operation:
    """What one method of one path is."""

    id: str
    summary: str
    answer: Make
    version: str = ""
    """The protocol version it is of, if it is of one."""
    tag: str = "tasks"
    media_type: str = A2A
    body: Make | None = None
    body_needed: bool = True
    query: ProtobufType | None = None
    """A request whose fields may be given in the query."""
    refusals: Sequence[int] = ()
    needs: str = ""
    public: bool = False
    tagged: bool = False
    """Whether it has an ETag, and whoever has that one already is told so."""

    @property
    def streams(self) -> bool:
        """Whether what it gives comes again and again."""
        return self.media_type == EVENTS


def _health(schemas: Schemas) -> Schema:
    told_: Schema = {
        "type": "object",
        "properties": {
            "status": {"const": "ok"},
            "version": {"type": "string"},
            "protocol_versions": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["status", "version", "protocol_versions"],
    }
    return schemas.component("Health", told_)


def _keys(schemas: Schemas) -> Schema:
    key: Schema = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("kty", "crv", "x", "y", "kid", "alg", "use")},
        "required": ["kty", "crv", "x", "kid", "alg", "use"],
    }
    told_: Schema = {
        "type": "object",
        "properties": {"keys": {"type": "array", "items": key}},
        "required": ["keys"],
    }
    return schemas.component("Keys", told_)


def _anything(_schemas: Schemas) -> Schema:
    return {"type": "object"}


def _nothing(schemas: Schemas) -> Schema:
    return schemas.component("Nothing", {"type": "object", "maxProperties": 0})


_OLD_SEND: Final = any_of(read(proto.SendMessageRequest, PROTO), model(old.MessageSendParams, V03))
_CONFIGS: Final = "/tasks/{task}/pushNotificationConfigs"
_OLD_CONFIG: Final = any_of(
    read(proto.CreateTaskPushNotificationConfigRequest, PROTO),
    read(proto.TaskPushNotificationConfig, PROTO),
    model(old.TaskPushNotificationConfig, V03),
)

_new: Final = partial(Operation, version="1.0")
_new_push: Final = partial(_new, tag="push notifications", needs=PUSH)
_old: Final = partial(Operation, version="0.3", media_type=JSON)
_old_push: Final = partial(_old, tag="push notifications", needs=PUSH)
_of_service: Final = partial(Operation, tag="service", media_type=JSON)

DESCRIBED: Final[Mapping[tuple[str, str], Operation]] = {
    ("POST", "/message:send"): _new(
        "sendMessage",
        "Send a message; wait for its task unless told otherwise",
        told(a2a.SendMessageResponse),
        body=read(a2a.SendMessageRequest),
        refusals=_SEND,
    ),
    ("POST", "/message:stream"): _new(
        "streamMessage",
        "Send a message and follow its task",
        told(a2a.StreamResponse),
        media_type=EVENTS,
        body=read(a2a.SendMessageRequest),
        refusals=_SEND,
    ),
    ("GET", "/tasks"): _new(
        "listTasks",
        "List tasks, the newest status first",
        told(a2a.ListTasksResponse),
        query=a2a.ListTasksRequest,
        refusals=(400,),
    ),
    ("GET", "/tasks/{id}"): _new("getTask", "Get a task", told(a2a.Task), query=a2a.GetTaskRequest, refusals=_FIND),
    ("POST", "/tasks/{id}:cancel"): _new(
        "cancelTask",
        "Cancel a task",
        told(a2a.Task),
        body=_anything,
        body_needed=False,
        refusals=_ALTER,
    ),
    ("GET", "/tasks/{id}:subscribe"): _new(
        "followTask", "Follow a task", told(a2a.StreamResponse), media_type=EVENTS, refusals=_FIND
    ),
    ("POST", "/tasks/{id}:subscribe"): _new(
        "followTaskByPost", "Follow a task", told(a2a.StreamResponse), media_type=EVENTS, refusals=_FIND
    ),
    ("GET", _CONFIGS): _new_push(
        "listPushConfigs",
        "List the push notification configurations of a task",
        told(a2a.ListTaskPushNotificationConfigsResponse),
        query=a2a.ListTaskPushNotificationConfigsRequest,
        refusals=_FIND,
    ),
    ("POST", _CONFIGS): _new_push(
        "createPushConfig",
        "Be notified of a task",
        told(a2a.TaskPushNotificationConfig),
        body=read(a2a.TaskPushNotificationConfig),
        refusals=_ALTER,
    ),
    ("GET", f"{_CONFIGS}/{{config}}"): _new_push(
        "getPushConfig",
        "See how one is notified of a task",
        told(a2a.TaskPushNotificationConfig),
        refusals=_FIND,
    ),
    ("DELETE", f"{_CONFIGS}/{{config}}"): _new_push(
        "deletePushConfig",
        "Be notified of a task no more",
        _nothing,
        refusals=_FIND,
    ),
    ("POST", "/v1/message:send"): _old(
        "sendMessageV03",
        "Send a message; wait for its task unless told otherwise",
        told(proto.SendMessageResponse, PROTO),
        body=_OLD_SEND,
        refusals=_SEND,
    ),
    ("POST", "/v1/message:stream"): _old(
        "streamMessageV03",
        "Send a message and follow its task",
        told(proto.StreamResponse, PROTO),
        media_type=EVENTS,
        body=_OLD_SEND,
        refusals=_SEND,
    ),
    ("GET", "/v1/tasks/{id}"): _old(
        "getTaskV03",
        "Get a task",
        told(proto.Task, PROTO),
        query=a2a.GetTaskRequest,
        refusals=_FIND,
    ),
    ("POST", "/v1/tasks/{id}:cancel"): _old(
        "cancelTaskV03",
        "Cancel a task",
        told(proto.Task, PROTO),
        body=_anything,
        body_needed=False,
        refusals=_ALTER,
    ),
    ("GET", "/v1/tasks/{id}:subscribe"): _old(
        "followTaskV03", "Follow a task", told(proto.StreamResponse, PROTO), media_type=EVENTS, refusals=_FIND
    ),
    ("POST", "/v1/tasks/{id}:subscribe"): _old(
        "followTaskByPostV03",
        "Follow a task",
        told(proto.StreamResponse, PROTO),
        media_type=EVENTS,
        refusals=_FIND,
    ),
    ("GET", f"/v1{_CONFIGS}"): _old_push(
        "listPushConfigsV03",
        "List the push notification configurations of a task",
        told(proto.ListTaskPushNotificationConfigResponse, PROTO),
        refusals=_FIND,
    ),
    ("POST", f"/v1{_CONFIGS}"): _old_push(
        "setPushConfigV03",
        "Be notified of a task",
        told(proto.TaskPushNotificationConfig, PROTO),
        body=_OLD_CONFIG,
        refusals=_ALTER,
    ),
    ("GET", f"/v1{_CONFIGS}/{{config}}"): _old_push(
        "getPushConfigV03",
        "See how one is notified of a task",
        told(proto.TaskPushNotificationConfig, PROTO),
        refusals=_FIND,
    ),
    ("DELETE", f"/v1{_CONFIGS}/{{config}}"): _old_push(
        "deletePushConfigV03",
        "Be notified of a task no more",
        _nothing,
        refusals=_FIND,
    ),
    ("GET", "/.well-known/agent-card.json"): _of_service(
        "getAgentCard", "The agent card", told(a2a.AgentCard), public=True, tagged=True
    ),
    ("GET", "/.well-known/agent.json"): _of_service(
        "getAgentCardByOldName",
        "The agent card, where clients before 0.3 look for it",
        told(a2a.AgentCard),
        public=True,
        tagged=True,
    ),
    ("GET", "/extendedAgentCard"): _of_service(
        "getExtendedAgentCard",
        "The extended agent card",
        told(a2a.AgentCard),
        "1.0",
        media_type=A2A,
        tagged=True,
        refusals=(400,),
        needs=EXTENDED_CARD,
    ),
    ("GET", "/v1/card"): _of_service(
        "getExtendedAgentCardV03",
        "The extended agent card",
        model(old.AgentCard, V03),
        "0.3",
        tagged=True,
        refusals=(400,),
        needs=EXTENDED_CARD,
    ),
    ("GET", "/.well-known/jwks.json"): _of_service(
        "getKeys",
        "The keys that the service signs with",
        _keys,
        media_type="application/jwk-set+json",
        public=True,
        tagged=True,
    ),
    ("GET", "/extensions/{name}/v1"): _of_service(
        "getExtension",
        "The contract of an extension",
        _anything,
        tagged=True,
        refusals=(404,),
    ),
    ("GET", "/health"): _of_service("getHealth", "Whether the process answers", _health),
    ("GET", "/openapi.json"): _of_service("getOpenApi", "This document", _anything),
}
"""Each route but that of JSON-RPC, which the methods describe."""

RPC: Final = ("POST", "/")

REFUSED: Final = frozenset(
    {
        ("GET", "/v1/tasks"),
    }
)
"""Routes that have an answer, but never another one than a refusal: nobody needs them described."""
