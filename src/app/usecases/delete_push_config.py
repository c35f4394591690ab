"""Be notified no more."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.ports.push_configs import PushConfigs
from opencode_a2a_server.app.usecases.deliver_updates import DeliverUpdates
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.ids import Principal, PushConfigId, TaskId


@frozen
class DeletePushConfig:
    """
    Delete a push notification configuration (A2A 1.0, 3.1.10); one that is not there is no error.

    Raises:
        TaskNotFound: This principal has no such task.

    """

    journal: Journal
    configs: PushConfigs
    deliver: DeliverUpdates

    async def __call__(self, principal: Principal, task_id: TaskId, config_id: PushConfigId) -> None:
        """Delete it; nothing more is sent."""
        await owned(self.journal, principal, task_id)
        self.deliver.drop(task_id, config_id)
        await self.configs.delete(task_id, config_id)
