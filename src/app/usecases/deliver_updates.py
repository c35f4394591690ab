"""
Deliver the updates of tasks to those who asked to be notified.

Each configuration has one job, which reads its task's journal as a stream does: nothing else waits for it, however
slow its receiver is. What it is about to send is marked before, so that after a crash the same is sent again under
the same name. A receiver that goes on failing is given up: its configuration stops where it stands, and what is behind
that is the dead letter. A configuration ends with its task once all is delivered.

A receiver of protocol 0.3 takes nothing smaller than a task. It is told the task as it stands whenever its status has
changed: what that costs does not depend on how much is said in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Self, TypeAlias, TypeVar

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.journal import Journal, Reader, TaskLog
from opencode_a2a_server.app.ports.meter import UNMETERED, DeliveryEnd, Meter
from opencode_a2a_server.app.ports.notifier import Encode, Notifier, Undelivered, Wording
from opencode_a2a_server.app.ports.push_configs import PushConfigs
from opencode_a2a_server.app.ports.tracer import UNTRACED, Fact, Tracer, Work
from opencode_a2a_server.domain.errors import JournalDamaged, JournalUnavailable, TaskNotFound
from opencode_a2a_server.domain.ids import PushConfigId, TaskId
from opencode_a2a_server.domain.push import Outbox, Words, parcels
from opencode_a2a_server.domain.updates import Entry, TextAppended

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Key: TypeAlias = tuple[TaskId, PushConfigId]

_DOUBLINGS_MOST: Final = 64
"""Of a pause: past any bound, and short of what a float cannot hold."""


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
    bytes_most: int = 4 * 1024 * 1024
    """In a notification; one with more goes without its content."""
    at_once: int = 100
    """Attempts under way. Others wait for their turn, which counts against none of them."""


class _GivenUp(Exception):
    """A delivery failed for good."""


@define(eq=False)
class DeliverUpdates:
    """The deliveries under way; a context manager whose body is the service's life. The next life goes on with them."""

    journal: Journal
    configs: PushConfigs
    notifier: Notifier
    wording: Wording
    clock: Clock
    spread: Callable[[], float]
    """Chance, from 0 to 1: those who failed together shall not come back together."""
    pace: PushPace = field(factory=PushPace)
    meter: Meter = UNMETERED
    tracer: Tracer = UNTRACED
    _jobs: dict[_Key, asyncio.Task[None]] = field(factory=dict, init=False)
    _slots: asyncio.Semaphore = field(init=False)

    @_slots.default
    def _all_free(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.pace.at_once)

    async def __aenter__(self) -> Self:
        if stopped := await self.configs.stopped():
            _log.warning("%d push notification configurations have stopped, their updates wait", len(stopped))
        await self.take_up()
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

    async def take_up(self) -> None:
        """
        Begin to deliver to all who are to be told of this replica's tasks and are not yet.

        Raises:
            JournalUnavailable: The store cannot be read.

        """
        for outbox in await self.configs.live():
            if (outbox.config.task_id, outbox.config.id) not in self._jobs:
                self.take(outbox)

    def let_go(self) -> None:
        """Deliver nothing more: another replica does."""
        for job in list(self._jobs.values()):
            job.cancel()
        self._jobs.clear()

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
        job.log = log = await self._patiently(lambda: self.journal.open(config.task_id))
        try:
            if config.words is Words.V0_3:
                await self._tell_task(job, log)
            else:
                await self._tell_updates(job, log)
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

    async def _tell_updates(self, job: _Job, log: TaskLog) -> None:
        """Tell every update, until the task has ended and all is told."""
        reader, encode = log.read(job.outbox.seq), self.wording.updates(log.task)
        while not _all_read(log, reader):
            entries = await self._patiently(reader.next)
            await self._tell(job, entries, encode)
            await self._gather(entries)

    async def _tell(self, job: _Job, entries: Sequence[Entry], encode: Encode) -> None:
        """Deliver entries one after another, each marked before."""
        for parcel in parcels(entries, job.outbox.upto):
            if body := encode(parcel.entry):
                await self._mark(job, job.outbox.sending(parcel.upto))
                await self._deliver(job, body)
        await self._mark(job, job.outbox.sending(entries[-1].seq).sent)

    async def _tell_task(self, job: _Job, log: TaskLog) -> None:
        """Tell the task as it stands after each change of its status; what has passed meanwhile is not told late."""
        task, reader = log.task, log.read(job.outbox.seq)
        while True:
            if task.status.seq > job.outbox.seq:
                seq, body = task.seq, self.wording.standing(task)
                await self._patiently(partial(log.durable, seq))
                await self._mark(job, job.outbox.sending(seq))
                await self._deliver(job, body)
                await self._mark(job, job.outbox)
            elif task.status.state.terminal:
                return
            else:
                await self._gather(await self._patiently(reader.next))

    async def _gather(self, entries: Sequence[Entry]) -> None:
        """Where text was told, let more of it come."""
        if type(entries[-1].update) is TextAppended:
            await self.clock.sleep(self.pace.gather)

    async def _deliver(self, job: _Job, body: bytes) -> None:
        """Send until it arrives; every failure is marked, so that a restart does not forgive it."""
        config, name = job.outbox.config, f"{job.outbox.config.task_id}:{job.outbox.upto}"
        if len(body) > self.pace.bytes_most:
            body = self.wording.brief(body)
        while (fault := await self._attempt(job, name, body)) is not None:
            if fault.too_large and (brief := self.wording.brief(body)) != body:
                body = brief
                continue
            await self._mark(job, job.outbox.failed)
            failures = job.outbox.failures
            _log.info("delivery %s to configuration %s, failure %d: %s", name, config.id, failures, fault)
            if fault.final:
                raise _GivenUp(str(fault))
            if failures >= self.pace.attempts:
                raise _GivenUp(f"{failures} attempts failed, the last one: {fault}")
            await self.clock.sleep(self._pause_after(failures))
        job.outbox = job.outbox.sent

    def _pause_after(self, failures: int) -> float:
        longest = self.pace.pause * 2.0 ** min(failures - 1, _DOUBLINGS_MOST)
        return min(longest, self.pace.pause_most) * (1 + self.spread()) / 2

    async def _attempt(self, job: _Job, name: str, body: bytes) -> Undelivered | None:
        """Try once; gives what went wrong."""
        outbox = job.outbox
        async with self._slots:
            began = self.clock.monotonic()
            with self.tracer.begin(Work.DELIVERY, "push notification", job.trace) as span:
                span.tell(Fact.TASK, outbox.config.task_id)
                span.tell(Fact.CONFIG, outbox.config.id)
                if (fault := await self._send(outbox, name, body)) is not None:
                    span.fail(type(fault).__name__)
        last = fault is not None and (fault.final or outbox.failures + 1 >= self.pace.attempts)
        end = DeliveryEnd.DELIVERED if fault is None else DeliveryEnd.STOPPED if last else DeliveryEnd.FAILED
        self.meter.delivery_attempted(end, self.clock.monotonic() - began)
        return fault

    async def _send(self, outbox: Outbox, name: str, body: bytes) -> Undelivered | None:
        try:
            await self.clock.within(self.pace.timeout, self.notifier.deliver(outbox.config, name, body))
        except TimeoutError:
            return Undelivered(f"no answer within {self.pace.timeout:g} seconds")
        except Undelivered as fault:
            return fault
        return None

    async def _mark(self, job: _Job, outbox: Outbox) -> None:
        await self._patiently(lambda: self.configs.mark(outbox))
        job.outbox = outbox

    async def _patiently(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Ask the store until it answers: nobody waits for this job."""
        while True:
            try:
                return await call()
            except JournalDamaged:
                raise
            except JournalUnavailable:
                await self.clock.sleep(self.pace.store_retry)


@define(eq=False)
class _Job:
    """How far one configuration has come."""

    outbox: Outbox
    log: TaskLog | None = None

    @property
    def trace(self) -> str:
        """What the delivery is part of: what the message is that the task works on."""
        return "" if self.log is None else self.log.task.worked_on.trace


def _all_read(log: TaskLog, reader: Reader) -> bool:
    status = log.task.status
    return status.state.terminal and reader.position >= status.seq
