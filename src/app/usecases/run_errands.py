"""Do what other replicas want of the tasks that this one runs."""

from __future__ import annotations

import asyncio
import logging
from typing import Self

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.errands import Cancel, Done, Due, Errands, Give, Notify, NotifyNoMore, Say
from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.ports.replicas import Replicas
from opencode_a2a_server.app.usecases.accept_message import Accepted, AcceptMessage
from opencode_a2a_server.app.usecases.answer_interrupt import AnswerInterrupt
from opencode_a2a_server.app.usecases.cancel_task import CancelTask
from opencode_a2a_server.app.usecases.create_push_config import CreatePushConfig
from opencode_a2a_server.app.usecases.delete_push_config import DeletePushConfig
from opencode_a2a_server.domain.errors import Draining, JournalUnavailable, Refusal, Unavailable
from opencode_a2a_server.domain.ids import Seq
from opencode_a2a_server.domain.state import TaskState

_log = logging.getLogger(__name__)

_RETRY = 1.0


@define(eq=False)
class RunErrands:
    """
    Errands, one job each; a context manager while which they are done.

    An errand that cannot be done because this replica ends has no outcome: its heir does it. So an heir may find one
    that was done already, all but the saying so; then it says so.
    """

    errands: Errands
    replicas: Replicas
    journal: Journal
    accept: AcceptMessage
    answer: AnswerInterrupt
    cancel: CancelTask
    notify: CreatePushConfig
    notify_no_more: DeletePushConfig
    clock: Clock
    _looking: asyncio.Task[None] = field(init=False)
    _jobs: set[asyncio.Task[None]] = field(factory=set, init=False)

    async def __aenter__(self) -> Self:
        self.replicas.when_lost(self._let_go)
        self._looking = asyncio.get_running_loop().create_task(self._look(), name="errands")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()
        self._let_go()
        await asyncio.gather(self._looking, *self._jobs, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await self.errands.came()
            try:
                for due in await self.errands.take():
                    job = asyncio.get_running_loop().create_task(self._run(due), name=f"errand {due.id}")
                    self._jobs.add(job)
                    job.add_done_callback(self._jobs.discard)
            except JournalUnavailable as error:
                _log.warning("what other replicas want cannot be read: %s", error)
                await self.clock.sleep(_RETRY)
            except Exception:  # noqa: BLE001 - whatever it was, the next look tries again
                _log.exception("looking for errands broke")
                await self.clock.sleep(_RETRY)

    async def _run(self, due: Due) -> None:
        outcome: Done | Refusal
        try:
            outcome = await self._do(due)
        except Draining:
            return
        except Refusal as refusal:
            outcome = refusal
        except Exception:  # noqa: BLE001 - whatever it was, who asked is told
            _log.exception("errand %s broke", due.id)
            outcome = Unavailable("the replica that runs the task failed to do it; look at the task, then try again")
        self.errands.settle(due, outcome)

    async def _do(self, due: Due) -> Done:
        match due.errand:
            case Say() as say:
                return await self._accept(say, again=due.again)
            case Give(principal, task_id, request, answer, channel):
                log = await self.journal.open(task_id)
                await self.answer(log, principal, request, answer, channel)
                return _done(log)
            case Cancel() as cancel:
                return await self._cancel(cancel, again=due.again)
            case Notify(principal, task_id, config, since):
                if since is None:
                    await self.notify(principal, config)
                else:
                    await self.notify.keep(await self.journal.open(task_id), since, config)
            case NotifyNoMore(principal, task_id, config_id):  # pragma: no branch - the last kind
                await self.notify_no_more(principal, task_id, config_id)
        return Done()

    async def _accept(self, say: Say, *, again: bool) -> Done:
        if again:
            log = await self.journal.open(say.task_id)
            if any(known.message_id == say.message.message_id for known in log.task.history):
                return _done(log)
        accepted = await self.accept(say.principal, say.message)
        if isinstance(accepted, Accepted):
            return _done(accepted.log, accepted.seq)
        return Done()  # pragma: no cover - what goes to a task has no bare reply

    async def _cancel(self, cancel: Cancel, *, again: bool) -> Done:
        log = await self.journal.open(cancel.task_id)
        if not (again and log.task.state is TaskState.CANCELED):
            log = await self.cancel(cancel.principal, cancel.task_id)
        if not log.task.state.terminal:
            raise Draining("the service ends before the cancellation has taken effect")
        return _done(log)

    def _let_go(self) -> None:
        for job in self._jobs:
            job.cancel()


def _done(log: TaskLog, seq: Seq | None = None) -> Done:
    return Done(seq or Seq(0), log.task.seq)
