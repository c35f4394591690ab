"""
Push notification configurations of 0.3 (A2A 0.3, 7.5 to 7.8): the same ones that 1.0 has, in two other shapes.

To create one over HTTP, real clients send three bodies: the request of the proto, what it holds, and the JSON of
JSON-RPC. The path says whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from a2a import types as a2a
from attrs import evolve, frozen

from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.push import PushServices
from opencode_a2a_server.adapters.inbound.a2a.requests import parsed, push_config_id_in, push_config_in, task_id_in
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.domain.errors import InvalidRequest, TaskNotFound
from opencode_a2a_server.domain.push import PushConfig, Words

from .requests import push_config

CONFIG_ID: Final = "pushNotificationConfigId"

_CONFIG: Final = "pushNotificationConfig"
_NO_ID: Final = ("", "None")
"""What stands for no id; the Python SDK of 0.3 writes its None into the path."""
_DEFAULT: Final = "default"
"""The same where nothing has this id: so the conformance suite of 0.3 asks for what it has set without one."""


@frozen
class PushV03:
    """The operations; `out` is the shape of what they give."""

    services: PushServices
    out: Callable[[PushConfig], Told]

    async def create(self, call: Call, task: str, asked: Mapping[str, Any], field: str = "id") -> Told:
        """Create one, or change it: in 0.3 that is to set it."""
        call.check("CreateTaskPushNotificationConfig")
        task_id = task_id_in(task, field)
        config = push_config_in(_config_asked_for(asked), task_id)
        return self.out(await self.services.create(call.principal, evolve(config, words=Words.V0_3)))

    async def get(self, call: Call, task: str, config: str) -> Told:
        """Get one; without an id the one that is meant by it."""
        call.check("GetTaskPushNotificationConfig", reads=True)
        config_id = None if config in _NO_ID else push_config_id_in(config, CONFIG_ID)
        try:
            return self.out(await self.services.get(call.principal, task_id_in(task), config_id))
        except TaskNotFound:
            if config != _DEFAULT:
                raise
            return self.out(await self.services.get(call.principal, task_id_in(task), None))

    async def list(self, call: Call, task: str) -> list[Told]:
        """List a task's, all at once."""
        call.check("ListTaskPushNotificationConfigs", reads=True)
        return [self.out(config) for config in (await self.services.list(call.principal, task_id_in(task))).configs]

    async def delete(self, call: Call, task: str, config: str) -> None:
        """Delete one."""
        call.check("DeleteTaskPushNotificationConfig")
        config_id = push_config_id_in(config, CONFIG_ID, needed=True)
        await self.services.delete(call.principal, task_id_in(task), config_id)


def config_json(config: PushConfig) -> Told:
    """Tell one as JSON-RPC has it."""
    return {"taskId": config.task_id, _CONFIG: _inner(config)}


def config_proto(config: PushConfig) -> Told:
    """Tell one as ProtoJSON has it."""
    return {"name": f"tasks/{config.task_id}/pushNotificationConfigs/{config.id}", _CONFIG: _inner(config)}


def object_in(params: object) -> Mapping[str, Any]:
    """
    Take parameters for an object.

    Raises:
        InvalidRequest: They are none.

    """
    if not isinstance(params, Mapping):
        raise InvalidRequest("the parameters must be an object")
    return params


def text_in(asked: Mapping[str, Any], field: str) -> str:
    """
    Give the text of a field, empty if it is not there.

    Raises:
        InvalidRequest: It is no text.

    """
    text = asked.get(field)
    if not isinstance(text, str | None):
        raise InvalidRequest(f"{field} must be a string", field)
    return text or ""


def _config_asked_for(asked: Mapping[str, Any]) -> a2a.TaskPushNotificationConfig:
    """Find the configuration in whichever body it came; ProtoJSON has two names for a field."""
    within = asked.get("config")
    around = within if isinstance(within, Mapping) else asked
    inner = around.get(_CONFIG, around.get("push_notification_config"))
    if not isinstance(inner, Mapping):
        raise InvalidRequest("a push notification configuration is needed, with a url", _CONFIG)
    named = inner.get("id") or asked.get("configId") or asked.get("config_id")
    renamed = {**push_config(inner), **({"id": named} if named else {})}
    return parsed(renamed, a2a.TaskPushNotificationConfig())


def _inner(config: PushConfig) -> Told:
    told: Told = {"id": config.id, "url": config.url}
    if config.token:
        told["token"] = config.token
    if config.scheme:
        proof = {"credentials": config.credentials} if config.credentials else {}
        told["authentication"] = {"schemes": [config.scheme], **proof}
    return told
