"""Push notification configurations, in the same storage and by the same writer as the journals."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.domain.ids import PushConfigId, TaskId
from opencode_a2a_server.domain.push import Outbox

from .codec import check_text
from .writer import Writer


@frozen(repr=False)
class StoredPushConfigs:
    """The port `PushConfigs`."""

    _writer: Writer

    async def save(self, outbox: Outbox) -> None:
        """Keep a configuration, durable on return."""
        config = outbox.config
        check_text(config.task_id, config.id, config.url, config.token, config.scheme, config.credentials)
        await self._writer.written(self._writer.push(config.task_id, config.id, outbox))

    async def mark(self, outbox: Outbox) -> None:
        """Keep how far it has come."""
        await self._writer.written(self._writer.mark(outbox))

    async def delete(self, task_id: TaskId, config_id: PushConfigId) -> None:
        """Forget a configuration."""
        await self._writer.written(self._writer.push(task_id, config_id, None))

    async def of(self, task_id: TaskId) -> Sequence[Outbox]:
        """Give those of a task."""
        return await self._writer.storage.push_configs(task_id)

    async def live(self) -> Sequence[Outbox]:
        """Give those which have not stopped."""
        return await self._writer.storage.outboxes(stopped=False)

    async def stopped(self) -> Sequence[Outbox]:
        """Give those which have."""
        return await self._writer.storage.outboxes(stopped=True)
