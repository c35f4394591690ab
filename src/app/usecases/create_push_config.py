"""Ask to be notified of a task's updates."""

from __future__ import annotations

import asyncio

from attrs import evolve, field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.ids import Ids
from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.ports.notifier import Notifier
from opencode_a2a_server.app.ports.push_configs import PushConfigs
from opencode_a2a_server.app.usecases.deliver_updates import DeliverUpdates
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import Principal, PushConfigId, Seq, TaskId
from opencode_a2a_server.domain.push import Outbox, PushConfig, Words


@frozen
class CreatePushConfig:
    """
    Keep a push notification configuration and begin to deliver (A2A 1.0, 3.1.7).

    It is told what comes after it. One with the id of another takes its place and goes on where that one has come to,
    also if that one had stopped.

    Raises:
        TaskNotFound: This principal has no such task.
        InvalidRequest: The configuration cannot be used, or the task has as many as it may have.

    """

    journal: Journal
    configs: PushConfigs
    notifier: Notifier
    deliver: DeliverUpdates
    ids: Ids
    clock: Clock
    most: int = 16
    """For one task."""
    _alone: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def __call__(self, principal: Principal, config: PushConfig) -> PushConfig:
        """Give it as it is kept, with its id."""
        log = await owned(self.journal, principal, config.task_id)
        seq = log.task.seq
        await self._check(config)
        async with self._alone:
            await self._check_room(config)
            return await self._keep(log, seq, config)

    async def check(self, principal: Principal, task_id: TaskId | None, config: PushConfig) -> None:
        """See, before a message is accepted, that the configuration which came with it can be kept."""
        await self._check(config)
        if task_id is not None:
            await owned(self.journal, principal, task_id)
            await self._check_room(evolve(config, task_id=task_id))

    async def keep(self, log: TaskLog, seq: Seq, config: PushConfig) -> PushConfig:
        """Keep what came with a message: it is told what comes after that."""
        async with self._alone:
            return await self._keep(log, seq, evolve(config, task_id=log.task.id))

    async def _check(self, config: PushConfig) -> None:
        config.check()
        await self.notifier.check(config)

    async def _check_room(self, config: PushConfig) -> None:
        there = {outbox.config.id for outbox in await self.configs.of(config.task_id)}
        if self._named(config).id not in there and len(there) >= self.most:
            raise InvalidRequest(f"a task has at most {self.most} push notification configurations; delete one", "id")

    def _named(self, config: PushConfig) -> PushConfig:
        """Name what its client did not: over 0.3 after the task, as its SDKs do, so that setting one again changes it."""
        if config.id:
            return config
        return evolve(config, id=PushConfigId(config.task_id if config.words is Words.V0_3 else self.ids.new()))

    async def _keep(self, log: TaskLog, seq: Seq, config: PushConfig) -> PushConfig:
        config = self._named(config)
        outbox = Outbox.begun(config, seq, self.clock.now())
        for other in await self.configs.of(config.task_id):
            if other.config.id == config.id:
                outbox = other.again(config)
        self.deliver.drop(config.task_id, config.id)
        await self.configs.save(outbox)
        if outbox.seq < log.task.seq or not log.task.state.terminal:
            self.deliver.take(outbox)
        return config
