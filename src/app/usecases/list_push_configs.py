"""List the push notification configurations of a task."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.ports.push_configs import PushConfigs
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.ids import Principal, TaskId
from opencode_a2a_server.domain.push import PushConfig


@frozen
class ListPushConfigs:
    """
    List the push notification configurations of a task (A2A 1.0, 3.1.9); all of them, since they are few.

    Raises:
        TaskNotFound: This principal has no such task.

    """

    journal: Journal
    configs: PushConfigs

    async def __call__(self, principal: Principal, task_id: TaskId) -> Sequence[PushConfig]:
        """Give them, oldest first."""
        await owned(self.journal, principal, task_id)
        return [outbox.config for outbox in await self.configs.of(task_id)]
