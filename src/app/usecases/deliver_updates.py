"""
Deliver the updates of tasks to those who asked to be notified.

Each configuration has one job, which reads its task's journal as a stream does: nothing else waits for it, however
slow its receiver is. What it is about to send is marked before, so that after a crash the same is sent again under
the same name. A receiver that goes on failing is given up: its configuration stops where it stands, and what is behind
that is the dead letter. A configuration ends with its task once all is delivered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Self, TypeAlias, TypeVar

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.journal import Journal, Reader, TaskLog
from opencode_a2a_server.app.ports.notifier import Encode, Encoders, Notifier, Undelivered
from opencode_a2a_server.app.ports.push_configs import PushConfigs
from opencode_a2a_server.domain.errors import JournalUnavailable, TaskNotFound
from opencode_a2a_server.domain.ids import PushConfigId, TaskId
from opencode_a2a_server.domain.push import Outbox, parcels
from opencode_a2a_server.domain.updates import Entry, TextAppended

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Key: TypeAlias = tuple[TaskId, PushConfigId]


@frozen
class PushPace:
    """How patient deliveries are, in seconds."""

    timeout: float = 10.0
    """For one attempt."""
    attempts: int = 10
    """Of one delivery, before its configuration stops."""
    pause: float = 1.0
    """After the first failure; doubles up to `pause_most`."""
    pause_most: float = 300.0
    gather: float = 0.25
    """After a delivery of text, for more of it to come."""
    store_retry: float = 1.0


class _GivenUp(Exception):
    """A delivery failed for good."""


@define(eq=False)
class DeliverUpdates:
    """The deliveries under way; a context manager whose body is the service's life. The next life goes on with them."""

    journal: Journal
    configs: PushConfigs
    notifier: Notifier
    encoders: Encoders
    clock: Clock
    spread: Callable[[], float]
    """Chance, from 0 to 1: those who failed together shall not come back together."""
    pace: PushPace = field(factory=PushPace)
    _jobs: dict[_Key, asyncio.Task[None]] = field(factory=dict, init=False)

    async def __aenter__(self) -> Self:
        if stopped := await self.configs.stopped():
            _log.warning("%d push notification configurations have stopped, their updates wait", len(stopped))
        for outbox in await self.configs.live():
            self.take(outbox)
        return self

    async def __aexit__(self, *_: object) -> None:
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    @property
    def active(self) -> int:
        """How many configurations are told something, or will be."""
        return len(self._jobs)

    def take(self, outbox: Outbox) -> None:
        """Begin to deliver, in place of another of the same id."""
        config = outbox.config
        self.drop(config.task_id, config.id)
        key = config.task_id, config.id
        job = asyncio.get_running_loop().create_task(self._guard(outbox), name=f"push {config.task_id} {config.id}")
        self._jobs[key] = job
        job.add_done_callback(lambda done: self._ended(key, done))

    def drop(self, task_id: TaskId, config_id: PushConfigId) -> None:
        """Deliver no more; a delivery under way may or may not arrive."""
        if (job := self._jobs.pop((task_id, config_id), None)) is not None:
            job.cancel()

    def _ended(self, key: _Key, done: asyncio.Task[None]) -> None:
        if self._jobs.get(key) is done:
            del self._jobs[key]

    async def _guard(self, outbox: Outbox) -> None:
        """No fault of a job goes unseen."""
        config = outbox.config
        try:
            await self._follow(_Job(outbox))
        except TaskNotFound:
            await self._patiently(lambda: self.configs.delete(config.task_id, config.id))
        except Exception:  # noqa: BLE001 - whatever it was, the next start tries again
            _log.exception("the deliveries of task %s to configuration %s broke", config.task_id, config.id)

    async def _follow(self, job: _Job) -> None:
        config = job.outbox.config
        log = await self._patiently(lambda: self.journal.open(config.task_id))
        reader, encode = log.read(job.outbox.seq), self.encoders(log.task)
        try:
            while not _all_read(log, reader):
                entries = await self._patiently(reader.next)
                await self._tell(job, entries, encode)
                if type(entries[-1].update) is TextAppended:
                    await self.clock.sleep(self.pace.gather)
        except _GivenUp as reason:
            _log.error(
                "push notifications of task %s to configuration %s stop behind update %d: %s",
                config.task_id,
                config.id,
                job.outbox.seq,
                reason,
            )
            await self._mark(job, job.outbox.stop(str(reason)))
            return
        await self._patiently(lambda: self.configs.delete(config.task_id, config.id))

    async def _tell(self, job: _Job, entries: Sequence[Entry], encode: Encode) -> None:
        """Deliver entries one after another, each marked before."""
        for parcel in parcels(entries, job.outbox.upto):
            if body := encode(parcel.entry):
                await self._mark(job, job.outbox.sending(parcel.upto))
                await self._deliver(job.outbox, body)
                job.outbox = job.outbox.sent
        await self._mark(job, job.outbox.sending(entries[-1].seq).sent)

    async def _deliver(self, outbox: Outbox, body: bytes) -> None:
        name = f"{outbox.config.task_id}:{outbox.upto}"
        pause = self.pace.pause
        for attempt in range(1, self.pace.attempts + 1):
            reason = await self._attempt(outbox, name, body)
            if not reason:
                return
            _log.info("delivery %s, attempt %d: %s", name, attempt, reason)
            if attempt < self.pace.attempts:
                await self.clock.sleep(pause * (1 + self.spread()) / 2)
                pause = min(pause * 2, self.pace.pause_most)
        raise _GivenUp(f"{self.pace.attempts} attempts failed, the last one: {reason}")

    async def _attempt(self, outbox: Outbox, name: str, body: bytes) -> str:
        """Try once; gives what went wrong."""
        try:
            await self.clock.within(self.pace.timeout, self.notifier.deliver(outbox.config, name, body))
        except TimeoutError:
            return f"no answer within {self.pace.timeout:g} seconds"
        except Undelivered as error:
            if error.final:
                raise _GivenUp(str(error)) from error
            return str(error)
        return ""

    async def _mark(self, job: _Job, outbox: Outbox) -> None:
        await self._patiently(lambda: self.configs.mark(outbox))
        job.outbox = outbox

    async def _patiently(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Ask the store until it answers: nobody waits for this job."""
        while True:
            try:
                return await call()
            except JournalUnavailable:
                await self.clock.sleep(self.pace.store_retry)


@define(eq=False)
class _Job:
    """How far one configuration has come."""

    outbox: Outbox


def _all_read(log: TaskLog, reader: Reader) -> bool:
    status = log.task.status
    return status.state.terminal and reader.position >= status.seq
