"""Push notification configurations of A2A 1.0, 3.1.7 to 3.1.10: read, answered, and written by way of the SDK's types."""

from __future__ import annotations

from a2a import types as a2a
from attrs import frozen
from google.protobuf.json_format import MessageToDict

from opencode_a2a_server.app.usecases.create_push_config import CreatePushConfig
from opencode_a2a_server.app.usecases.delete_push_config import DeletePushConfig
from opencode_a2a_server.app.usecases.get_push_config import GetPushConfig
from opencode_a2a_server.app.usecases.list_push_configs import ListPushConfigs
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.push import PushConfig

from .encode import to_json
from .parameters import Call
from .requests import parsed, push_config_id_in, push_config_in, task_id_in


@frozen
class PushServices:
    """The use cases of push notifications."""

    create: CreatePushConfig
    get: GetPushConfig
    list: ListPushConfigs
    delete: DeletePushConfig


@frozen
class Push:
    """The operations; each gives encoded JSON."""

    services: PushServices

    async def create(self, call: Call, params: object) -> bytes:
        """Create one (3.1.7)."""
        asked = parsed(params, a2a.TaskPushNotificationConfig())
        config = push_config_in(asked, task_id_in(asked.task_id, "taskId"))
        return to_json(_config_out(await self.services.create(call.principal, config)))

    async def get(self, call: Call, params: object) -> bytes:
        """Get one (3.1.8)."""
        asked = parsed(params, a2a.GetTaskPushNotificationConfigRequest())
        task_id, config_id = task_id_in(asked.task_id, "taskId"), push_config_id_in(asked.id, needed=True)
        return to_json(_config_out(await self.services.get(call.principal, task_id, config_id)))

    async def list(self, call: Call, params: object) -> bytes:
        """List a task's (3.1.9): all at once, whatever the page's size."""
        asked = parsed(params, a2a.ListTaskPushNotificationConfigsRequest())
        if asked.page_token:
            raise InvalidRequest("there is one page only, and it has no token", "pageToken")
        found = await self.services.list(call.principal, task_id_in(asked.task_id, "taskId"))
        return to_json({"configs": [_config_out(config) for config in found], "nextPageToken": ""})

    async def delete(self, call: Call, params: object) -> bytes:
        """Delete one (3.1.10)."""
        asked = parsed(params, a2a.DeleteTaskPushNotificationConfigRequest())
        task_id, config_id = task_id_in(asked.task_id, "taskId"), push_config_id_in(asked.id, needed=True)
        await self.services.delete(call.principal, task_id, config_id)
        return b"{}"


def _config_out(config: PushConfig) -> object:
    message = a2a.TaskPushNotificationConfig(id=config.id, task_id=config.task_id, url=config.url, token=config.token)
    if config.scheme:
        message.authentication.scheme = config.scheme
        message.authentication.credentials = config.credentials
    return MessageToDict(message)
