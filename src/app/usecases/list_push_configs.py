"""List the push notification configurations of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from attrs import frozen

from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.ports.push_configs import PushConfigs
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.ids import Principal, PushConfigId, TaskId
from opencode_a2a_server.domain.push import Outbox, PushConfig


@frozen(order=True)
class PushPlace:
    """A configuration's place in the list: the oldest comes first, of two as old the lesser id."""

    at: float
    id: PushConfigId

    @classmethod
    def of(cls, outbox: Outbox) -> Self:
        """Give that of one."""
        return cls(outbox.created_at, outbox.config.id)


FIRST = PushPlace(float("-inf"), PushConfigId(""))
"""Before the first."""


@frozen
class PushPage:
    """A piece of the list, and the place to go on behind; None at the end."""

    configs: Sequence[PushConfig]
    next: PushPlace | None = None


@frozen
class ListPushConfigs:
    """
    List the push notification configurations of a task (A2A 1.0, 3.1.9).

    Who goes on where a page ended sees each once, also if others were deleted meanwhile.

    Raises:
        TaskNotFound: This principal has no such task.

    """

    journal: Journal
    configs: PushConfigs

    async def __call__(
        self, principal: Principal, task_id: TaskId, size: int | None = None, after: PushPlace = FIRST
    ) -> PushPage:
        """Give as many as `size`, or all, oldest first."""
        await owned(self.journal, principal, task_id)
        behind = [outbox for outbox in await self.configs.of(task_id) if PushPlace.of(outbox) > after]
        page = behind[:size]
        more = len(page) < len(behind)
        return PushPage([outbox.config for outbox in page], PushPlace.of(page[-1]) if more else None)
