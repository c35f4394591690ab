"""Push notification configurations, in memory and without a writer."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from opencode_a2a_server.adapters.outbound.stores.memory import MemoryStorage
from opencode_a2a_server.adapters.outbound.stores.storage import Batch
from opencode_a2a_server.domain.ids import PushConfigId, TaskId
from opencode_a2a_server.domain.push import Outbox


@define(eq=False)
class FakePushConfigs:
    """The port `PushConfigs`."""

    storage: MemoryStorage = field(factory=MemoryStorage)

    async def save(self, outbox: Outbox) -> None:
        """See `PushConfigs.save`."""
        await self.storage.write(Batch(push={(outbox.config.task_id, outbox.config.id): outbox}))

    async def mark(self, outbox: Outbox) -> None:
        """See `PushConfigs.mark`."""
        await self.storage.write(Batch(marks={(outbox.config.task_id, outbox.config.id): outbox}))

    async def delete(self, task_id: TaskId, config_id: PushConfigId) -> None:
        """See `PushConfigs.delete`."""
        await self.storage.write(Batch(push={(task_id, config_id): None}))

    async def of(self, task_id: TaskId) -> Sequence[Outbox]:
        """See `PushConfigs.of`."""
        return await self.storage.push_configs(task_id)

    async def live(self) -> Sequence[Outbox]:
        """See `PushConfigs.live`."""
        return await self.storage.outboxes(stopped=False)

    async def stopped(self) -> Sequence[Outbox]:
        """See `PushConfigs.stopped`."""
        return await self.storage.outboxes(stopped=True)
