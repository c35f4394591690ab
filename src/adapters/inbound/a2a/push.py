"""Push notification configurations of A2A 1.0, 3.1.7 to 3.1.10: read, answered, and written by way of the SDK's types."""

from __future__ import annotations

from typing import Final

from a2a import types as a2a
from attrs import frozen
from google.protobuf.json_format import MessageToDict

from opencode_a2a_server.app.usecases.create_push_config import CreatePushConfig
from opencode_a2a_server.app.usecases.delete_push_config import DeletePushConfig
from opencode_a2a_server.app.usecases.get_push_config import GetPushConfig
from opencode_a2a_server.app.usecases.list_push_configs import FIRST, ListPushConfigs
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.push import PushConfig

from .encode import to_json
from .page_token import push_token_in, push_token_out
from .parameters import Call
from .requests import parsed, push_config_id_in, push_config_in, task_id_in

_SIZE_MOST: Final = 100


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
        call.check("CreateTaskPushNotificationConfig")
        asked = parsed(params, a2a.TaskPushNotificationConfig())
        config = push_config_in(asked, task_id_in(asked.task_id, "taskId"))
        return to_json(_config_out(await self.services.create(call.principal, config)))

    async def get(self, call: Call, params: object) -> bytes:
        """Get one (3.1.8)."""
        call.check("GetTaskPushNotificationConfig", reads=True)
        asked = parsed(params, a2a.GetTaskPushNotificationConfigRequest())
        task_id, config_id = task_id_in(asked.task_id, "taskId"), push_config_id_in(asked.id, needed=True)
        return to_json(_config_out(await self.services.get(call.principal, task_id, config_id)))

    async def list(self, call: Call, params: object) -> bytes:
        """List a task's (3.1.9), all at once unless a size is given."""
        call.check("ListTaskPushNotificationConfigs", reads=True)
        asked = parsed(params, a2a.ListTaskPushNotificationConfigsRequest())
        if not 0 <= asked.page_size <= _SIZE_MOST:
            raise InvalidRequest(f"pageSize must be from 1 to {_SIZE_MOST}, or 0 for all", "pageSize")
        after = push_token_in(asked.page_token) if asked.page_token else FIRST
        task_id = task_id_in(asked.task_id, "taskId")
        page = await self.services.list(call.principal, task_id, asked.page_size or None, after)
        told = [_config_out(config) for config in page.configs]
        return to_json({"configs": told, "nextPageToken": push_token_out(page.next)})

    async def delete(self, call: Call, params: object) -> bytes:
        """Delete one (3.1.10)."""
        call.check("DeleteTaskPushNotificationConfig")
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
