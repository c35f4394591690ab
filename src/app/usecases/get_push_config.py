"""Get a push notification configuration."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.ports.push_configs import PushConfigs
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.errors import TaskNotFound
from opencode_a2a_server.domain.ids import Principal, PushConfigId, TaskId
from opencode_a2a_server.domain.push import PushConfig


@frozen
class GetPushConfig:
    """
    Get a push notification configuration (A2A 1.0, 3.1.8).

    Without an id (A2A 0.3, 7.6) that one is meant which was set without, else the oldest.

    Raises:
        TaskNotFound: This principal has no such task, or the task no such configuration.

    """

    journal: Journal
    configs: PushConfigs

    async def __call__(self, principal: Principal, task_id: TaskId, config_id: PushConfigId | None) -> PushConfig:
        """Give it."""
        await owned(self.journal, principal, task_id)
        found = {outbox.config.id: outbox.config for outbox in await self.configs.of(task_id)}
        named = PushConfigId(task_id) if config_id is None else config_id
        if named in found:
            return found[named]
        if config_id is None and found:
            return next(iter(found.values()))
        raise TaskNotFound(f"task {task_id} has no such push notification configuration")
