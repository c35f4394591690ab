"""
The routes, as the document describes them: one entry for each method of each path.

A path is written as clients see it, with `:verb` where a task's route has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

DESCRIBED: Final[Mapping[tuple[str, str], Operation]] = {
    ("POST", "/message:send"): Operation(
        "sendMessage",
        "Send a message; wait for its task unless told otherwise",
        told(a2a.SendMessageResponse),
        "1.0",
        body=read(a2a.SendMessageRequest),
        refusals=_SEND,
    ),
    ("POST", "/message:stream"): Operation(
        "streamMessage",
        "Send a message and follow its task",
        told(a2a.StreamResponse),
        "1.0",
        media_type=EVENTS,
        body=read(a2a.SendMessageRequest),
        refusals=_SEND,
    ),
    ("GET", "/tasks"): Operation(
        "listTasks",
        "List tasks, the newest status first",
        told(a2a.ListTasksResponse),
        "1.0",
        query=a2a.ListTasksRequest,
        refusals=(400,),
    ),
    ("GET", "/tasks/{id}"): Operation(
        "getTask", "Get a task", told(a2a.Task), "1.0", query=a2a.GetTaskRequest, refusals=_FIND
    ),
    ("POST", "/tasks/{id}:cancel"): Operation(
        "cancelTask",
        "Cancel a task",
        told(a2a.Task),
        "1.0",
        body=_anything,
        body_needed=False,
        refusals=_ALTER,
    ),
    ("GET", "/tasks/{id}:subscribe"): Operation(
        "followTask", "Follow a task", told(a2a.StreamResponse), "1.0", media_type=EVENTS, refusals=_FIND
    ),
    ("POST", "/tasks/{id}:subscribe"): Operation(
        "followTaskByPost", "Follow a task", told(a2a.StreamResponse), "1.0", media_type=EVENTS, refusals=_FIND
    ),
    ("GET", _CONFIGS): Operation(
        "listPushConfigs",
        "List the push notification configurations of a task",
        told(a2a.ListTaskPushNotificationConfigsResponse),
        "1.0",
        tag="push notifications",
        query=a2a.ListTaskPushNotificationConfigsRequest,
        refusals=_FIND,
        needs=PUSH,
    ),
    ("POST", _CONFIGS): Operation(
        "createPushConfig",
        "Be notified of a task",
        told(a2a.TaskPushNotificationConfig),
        "1.0",
        tag="push notifications",
        body=read(a2a.TaskPushNotificationConfig),
        refusals=_ALTER,
        needs=PUSH,
    ),
    ("GET", f"{_CONFIGS}/{{config}}"): Operation(
        "getPushConfig",
        "See how one is notified of a task",
        told(a2a.TaskPushNotificationConfig),
        "1.0",
        tag="push notifications",
        refusals=_FIND,
        needs=PUSH,
    ),
    ("DELETE", f"{_CONFIGS}/{{config}}"): Operation(
        "deletePushConfig",
        "Be notified of a task no more",
        _nothing,
        "1.0",
        tag="push notifications",
        refusals=_FIND,
        needs=PUSH,
    ),
    ("POST", "/v1/message:send"): Operation(
        "sendMessageV03",
        "Send a message; wait for its task unless told otherwise",
        told(proto.SendMessageResponse, PROTO),
        "0.3",
        media_type=JSON,
        body=_OLD_SEND,
        refusals=_SEND,
    ),
    ("POST", "/v1/message:stream"): Operation(
        "streamMessageV03",
        "Send a message and follow its task",
        told(proto.StreamResponse, PROTO),
        "0.3",
        media_type=EVENTS,
        body=_OLD_SEND,
        refusals=_SEND,
    ),
    ("GET", "/v1/tasks/{id}"): Operation(
        "getTaskV03",
        "Get a task",
        told(proto.Task, PROTO),
        "0.3",
        media_type=JSON,
        query=a2a.GetTaskRequest,
        refusals=_FIND,
    ),
    ("POST", "/v1/tasks/{id}:cancel"): Operation(
        "cancelTaskV03",
        "Cancel a task",
        told(proto.Task, PROTO),
        "0.3",
        media_type=JSON,
        body=_anything,
        body_needed=False,
        refusals=_ALTER,
    ),
    ("GET", "/v1/tasks/{id}:subscribe"): Operation(
        "followTaskV03", "Follow a task", told(proto.StreamResponse, PROTO), "0.3", media_type=EVENTS, refusals=_FIND
    ),
    ("POST", "/v1/tasks/{id}:subscribe"): Operation(
        "followTaskByPostV03",
        "Follow a task",
        told(proto.StreamResponse, PROTO),
        "0.3",
        media_type=EVENTS,
        refusals=_FIND,
    ),
    ("GET", f"/v1{_CONFIGS}"): Operation(
        "listPushConfigsV03",
        "List the push notification configurations of a task",
        told(proto.ListTaskPushNotificationConfigResponse, PROTO),
        "0.3",
        tag="push notifications",
        media_type=JSON,
        refusals=_FIND,
        needs=PUSH,
    ),
    ("POST", f"/v1{_CONFIGS}"): Operation(
        "setPushConfigV03",
        "Be notified of a task",
        told(proto.TaskPushNotificationConfig, PROTO),
        "0.3",
        tag="push notifications",
        media_type=JSON,
        body=_OLD_CONFIG,
        refusals=_ALTER,
        needs=PUSH,
    ),
    ("GET", f"/v1{_CONFIGS}/{{config}}"): Operation(
        "getPushConfigV03",
        "See how one is notified of a task",
        told(proto.TaskPushNotificationConfig, PROTO),
        "0.3",
        tag="push notifications",
        media_type=JSON,
        refusals=_FIND,
        needs=PUSH,
    ),
    ("DELETE", f"/v1{_CONFIGS}/{{config}}"): Operation(
        "deletePushConfigV03",
        "Be notified of a task no more",
        _nothing,
        "0.3",
        tag="push notifications",
        media_type=JSON,
        refusals=_FIND,
        needs=PUSH,
    ),
    ("GET", "/.well-known/agent-card.json"): Operation(
        "getAgentCard", "The agent card", told(a2a.AgentCard), tag="service", media_type=JSON, public=True, tagged=True
    ),
    ("GET", "/.well-known/agent.json"): Operation(
        "getAgentCardByOldName",
        "The agent card, where clients before 0.3 look for it",
        told(a2a.AgentCard),
        tag="service",
        media_type=JSON,
        public=True,
        tagged=True,
    ),
    ("GET", "/extendedAgentCard"): Operation(
        "getExtendedAgentCard",
        "The extended agent card",
        told(a2a.AgentCard),
        "1.0",
        tag="service",
        tagged=True,
        refusals=(400,),
        needs=EXTENDED_CARD,
    ),
    ("GET", "/v1/card"): Operation(
        "getExtendedAgentCardV03",
        "The extended agent card",
        model(old.AgentCard, V03),
        "0.3",
        tag="service",
        media_type=JSON,
        tagged=True,
        refusals=(400,),
        needs=EXTENDED_CARD,
    ),
    ("GET", "/.well-known/jwks.json"): Operation(
        "getKeys",
        "The keys that the service signs with",
        _keys,
        tag="service",
        media_type="application/jwk-set+json",
        public=True,
        tagged=True,
    ),
    ("GET", "/extensions/{name}/v1"): Operation(
        "getExtension",
        "The contract of an extension",
        _anything,
        tag="service",
        media_type=JSON,
        tagged=True,
        refusals=(404,),
    ),
    ("GET", "/health"): Operation("getHealth", "Whether the process answers", _health, tag="service", media_type=JSON),
    ("GET", "/openapi.json"): Operation("getOpenApi", "This document", _anything, tag="service", media_type=JSON),
}
"""Each route but that of JSON-RPC, which the methods describe."""

RPC: Final = ("POST", "/")

REFUSED: Final = frozenset(
    {
        ("GET", "/v1/tasks"),
    }
)
"""Routes that have an answer, but never another one than a refusal: nobody needs them described."""
