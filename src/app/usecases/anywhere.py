"""
Use cases for tasks that any replica may run.

Each is done here if this replica runs the task; if another one does, that one is asked to do the very same, and what it
did is seen here before it is told.
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from opencode_a2a_server.app.ports.errands import Cancel, Errands, Give, Notify, NotifyNoMore, Say
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.usecases.accept_message import Accepted, AcceptMessage
from opencode_a2a_server.app.usecases.answer_interrupt import AnswerInterrupt
from opencode_a2a_server.app.usecases.cancel_task import CancelTask
from opencode_a2a_server.app.usecases.create_push_config import CreatePushConfig
from opencode_a2a_server.app.usecases.delete_push_config import DeletePushConfig
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.errors import Draining
from opencode_a2a_server.domain.ids import Principal, PushConfigId, RequestId, Seq, TaskId
from opencode_a2a_server.domain.interrupt import Answer, Channel
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.push import PushConfig


@frozen
class AcceptAnywhere(AcceptMessage):
    """Accept a message, also to a task that another replica runs."""

    errands: Errands = field(kw_only=True)

    async def __call__(self, principal: Principal, message: Message) -> Accepted | Message:
        """See `AcceptMessage`."""
        if message.task_id is not None:
            log = await owned(self.journal, principal, message.task_id)
            if _is_elsewhere(log):
                _check_open(self.turns)
                done = await self.errands.ask(Say(principal, message.task_id, message))
                await log.durable(done.upto)
                return Accepted(log, done.seq)
        return await AcceptMessage.__call__(self, principal, message)


@frozen
class AnswerAnywhere(AnswerInterrupt):
    """Answer an interrupt, also of a task that another replica runs."""

    errands: Errands = field(kw_only=True)

    async def __call__(
        self,
        log: TaskLog,
        principal: Principal,
        request: RequestId,
        answer: Answer,
        channel: Channel = Channel.CALLBACK,
    ) -> None:
        """See `AnswerInterrupt`."""
        if not _is_elsewhere(log):
            await AnswerInterrupt.__call__(self, log, principal, request, answer, channel)
            return
        done = await self.errands.ask(Give(principal, log.task.id, request, answer, channel))
        await log.durable(done.upto)


@frozen
class CancelAnywhere(CancelTask):
    """Cancel a task, also one that another replica runs."""

    errands: Errands = field(kw_only=True)

    async def __call__(self, principal: Principal, task_id: TaskId) -> TaskLog:
        """See `CancelTask`."""
        log = await owned(self.journal, principal, task_id)
        if not _is_elsewhere(log):
            return await CancelTask.__call__(self, principal, task_id)
        _check_open(self.turns)
        done = await self.errands.ask(Cancel(principal, task_id))
        await log.durable(done.upto)
        return log


@frozen
class NotifyAnywhere(CreatePushConfig):
    """Keep a push notification configuration where its task is run, and delivered."""

    errands: Errands = field(kw_only=True)

    async def __call__(self, principal: Principal, config: PushConfig) -> PushConfig:
        """See `CreatePushConfig`."""
        log = await owned(self.journal, principal, config.task_id)
        if log.mine:
            return await CreatePushConfig.__call__(self, principal, config)
        await self._check(config)
        return await self._have_kept(principal, config)

    async def keep(self, log: TaskLog, seq: Seq, config: PushConfig) -> PushConfig:
        """See `CreatePushConfig.keep`."""
        if log.mine:
            return await CreatePushConfig.keep(self, log, seq, config)
        return await self._have_kept(log.task.principal, evolve(config, task_id=log.task.id), seq)

    async def _have_kept(self, principal: Principal, config: PushConfig, seq: Seq | None = None) -> PushConfig:
        named = self._named(config)
        await self.errands.ask(Notify(principal, named.task_id, named, seq))
        return named


@frozen
class NotifyNoMoreAnywhere(DeletePushConfig):
    """Delete a push notification configuration where its task is run, and delivered."""

    errands: Errands = field(kw_only=True)

    async def __call__(self, principal: Principal, task_id: TaskId, config_id: PushConfigId) -> None:
        """See `DeletePushConfig`."""
        log = await owned(self.journal, principal, task_id)
        if log.mine:
            await DeletePushConfig.__call__(self, principal, task_id, config_id)
        else:
            await self.errands.ask(NotifyNoMore(principal, task_id, config_id))


def _is_elsewhere(log: TaskLog) -> bool:
    """Say whether another replica must be asked; a task that has ended takes nothing wherever it was run."""
    return not (log.mine or log.task.state.terminal)


def _check_open(turns: RunTurns) -> None:
    if turns.draining:
        raise Draining("the service is about to stop; try again in a moment")
