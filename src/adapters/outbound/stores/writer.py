"""
Group commit: one job writes whatever has gathered, one transaction after another.

While a transaction is under way the next one gathers, so the busier the service is the more share a transaction, and
nobody waits for a timer. A transaction that fails is tried again until it is written, those behind it wait: nothing
is lost or overtaken. What waits is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

import anyio
from attrs import define, field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.meter import UNMETERED, Meter
from opencode_a2a_server.domain.errors import InvalidRequest, JournalUnavailable
from opencode_a2a_server.domain.ids import PushConfigId, Seq, SessionId, TaskId
from opencode_a2a_server.domain.push import Outbox
from opencode_a2a_server.domain.session import Binding, Ownership

from .errors import Fenced
from .storage import Batch, Registration, Row, Standing, Storage

_log = logging.getLogger(__name__)

_FULL_ROWS = 8192
_FULL_BYTES = 4 * 1024 * 1024
"""A transaction takes no more once it has this much."""
_BRIEF = 0.006
"""Seconds of lingering that are not worth hurrying for."""
_ROW_BYTES = 128
"""What a row which waits takes besides its body, about."""


@frozen
class Pace:
    """How eager and how patient the writer is: in seconds, and the backlog in bytes."""

    linger: float = 0.006
    """
    At least this long from one transaction to the next, unless it is full or somebody waits for it.

    Who waits shares a brief linger: many short tasks at once then cost half as many transactions.
    """
    patience: float = 5.0
    """For a transaction, before who waits for it is told that the journal is unavailable."""
    retry: float = 0.05
    """Between tries of a transaction that fails; doubles up to `retry_most`."""
    retry_most: float = 2.0
    backlog: int = 64 * 1024 * 1024
    """What may wait to be written."""


class Settled(Protocol):
    """Who is told that its rows are written."""

    def settle(self, seq: Seq) -> None:
        """All rows up to this one are durable."""
        ...


@define(eq=False, repr=False)
class _Group:
    """What goes into one transaction, and who hears of it."""

    number: int
    began: float
    batch: Batch = field(factory=Batch)
    told: dict[Settled, Seq] = field(factory=dict)
    size: int = 0

    @property
    def full(self) -> bool:
        return len(self.batch.rows) >= _FULL_ROWS or self.size >= _FULL_BYTES


@define(eq=False, repr=False)
class Writer:
    """The one who writes. `run` is its job; `close` lets the job end when all is written."""

    storage: Storage
    clock: Clock
    pace: Pace
    meter: Meter = UNMETERED
    trouble: str = field(default="", init=False)
    """Why the transaction under way does not get through, in words."""

    _waiting: deque[_Group] = field(factory=deque, init=False)
    _number: int = field(default=0, init=False)
    _written: int = field(default=0, init=False)
    _abandoned: int = field(default=0, init=False)
    _backlog: int = field(default=0, init=False)
    _closed: bool = field(default=False, init=False)
    _began: float = field(default=float("-inf"), init=False)
    _work: asyncio.Event = field(factory=asyncio.Event, init=False)
    _haste: asyncio.Event = field(factory=asyncio.Event, init=False)
    _progress: asyncio.Event = field(factory=asyncio.Event, init=False)

    # What others ask

    def admit(self, size: int, rows: int) -> int:
        """
        See whether there is room for so many bytes in so many rows; gives what they take.

        Raises:
            InvalidRequest: They are more than could ever wait.
            JournalUnavailable: Too much waits to be written, or the journal is closed.

        """
        size += _ROW_BYTES * rows
        if size > self.pace.backlog:
            raise InvalidRequest(f"{size} bytes are more than the journal takes at once ({self.pace.backlog})")
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        if self._backlog + size > self.pace.backlog:
            reason = self.trouble or "too much is said at once"
            raise JournalUnavailable(f"{self._backlog} bytes wait to be written, no more are taken: {reason}")
        return size

    def put(  # noqa: PLR0913 - what goes together
        self,
        told: Settled,
        rows: Sequence[Row],
        size: int,
        standing: Standing | None,
        registered: Iterable[Registration] = (),
        *,
        begun: bool = False,
    ) -> None:
        """Have rows of one task written together, with its standing if it changed and its interrupts that did."""
        if standing is not None and standing.snapshot is not None:
            size += len(standing.snapshot.body)
        group = self._gathering(size)
        group.batch.rows += rows
        head, seq = rows[-1][0], rows[-1][1]
        group.told[told] = seq
        if begun:
            group.batch.begun.append(head)
        if standing is not None:
            group.batch.standings[head] = standing.over(group.batch.standings.get(head))
        for one in registered:
            group.batch.interrupts[one.principal, one.request] = one
        if group.full:
            self.hurry()

    def bind(self, binding: Binding) -> None:
        """Have a binding written, in the transaction of what is put next or in an earlier one."""
        group = self._gathering(self.admit(0, 1))
        group.batch.bindings[binding.principal, binding.context_id] = (binding, self.clock.now())

    def own(self, session_id: SessionId, ownership: Ownership | None) -> None:
        """Have it written whom a session belongs to, if anybody, in the transaction of what is put next or earlier."""
        self._gathering(self.admit(0, 1)).batch.owners[session_id] = ownership

    def push(self, task_id: TaskId, config_id: PushConfigId, outbox: Outbox | None) -> int:
        """Have a push configuration written, or with None deleted; gives the number to wait for."""
        group = self._gathering(self.admit(0, 1))
        group.batch.push[task_id, config_id] = outbox
        group.batch.marks.pop((task_id, config_id), None)
        return group.number

    def mark(self, outbox: Outbox) -> int:
        """Have it written how far a push configuration has come; gives the number to wait for."""
        group = self._gathering(self.admit(0, 1))
        group.batch.marks[outbox.config.task_id, outbox.config.id] = outbox
        return group.number

    def forget_interrupts(self, before: float) -> int:
        """Have interrupts forgotten which ended before a moment; gives the number to wait for."""
        group = self._gathering(self.admit(0, 1))
        group.batch.forgotten = before
        return group.number

    def release(self, ticket: int) -> None:
        """Have something given back that somebody had alone, not before what he put is written."""
        self._gathering(0).batch.released.append(ticket)

    def settle_errand(self, errand: str, outcome: bytes) -> None:
        """Have it written what came of an errand, not before what it put is written."""
        self._gathering(len(outcome)).batch.outcomes[errand] = outcome

    def abandon(self) -> None:
        """Drop what waits: it is another's to say. Who waits for it to be written is told so."""
        self._abandoned = self._number
        self._backlog -= sum(group.size for group in self._waiting)
        self._waiting.clear()
        self._progress.set()
        self._progress.clear()

    @property
    def backlog(self) -> int:
        """Bytes that wait to be written."""
        return self._backlog

    def hurry(self) -> None:
        """Do not linger: somebody waits, or there is no room for more."""
        if self.pace.linger > _BRIEF:
            self._haste.set()

    async def written(self, number: int | None = None) -> None:
        """
        Wait until all that was put so far is written.

        Raises:
            JournalUnavailable: It took longer than patience.

        """
        self.hurry()
        try:
            await self.clock.within(self.pace.patience, self._reached(self._number if number is None else number))
        except TimeoutError:
            raise self.late() from None

    def late(self) -> JournalUnavailable:
        """Give the error for who has waited long enough."""
        reason = self.trouble or f"it has not answered for {self.pace.patience:g} seconds"
        return JournalUnavailable(f"the journal does not take writes: {reason}")

    async def _reached(self, number: int) -> None:
        while self._written < number:
            if number <= self._abandoned:
                raise JournalUnavailable("another replica has taken over; try again in a moment")
            await self._progress.wait()

    # The job

    async def run(self) -> None:
        """Write until closed, then what is left."""
        while True:
            await self._work.wait()
            if self._waiting:
                await self._pause()
            elif self._closed:
                return
            if self._waiting:
                await self._write_next()
            elif not self._closed:  # what waited was abandoned
                self._work.clear()

    async def close(self, running: asyncio.Task[None]) -> None:
        """Take nothing more and see the job to its end; not for longer than patience."""
        self._closed = True
        self._work.set()
        self._haste.set()
        with anyio.CancelScope(shield=True), suppress(TimeoutError):
            await self.clock.within(self.pace.patience, running)
        if self._written < self._number:
            _log.error("the journal was closed with %d bytes unwritten: %s", self._backlog, self.trouble)

    def _gathering(self, size: int) -> _Group:
        if not self._waiting or self._waiting[-1].full:
            self._number += 1
            self._waiting.append(_Group(self._number, self.clock.monotonic()))
            self._work.set()
        group = self._waiting[-1]
        group.size += size
        self._backlog += size
        return group

    async def _pause(self) -> None:
        """Let more gather, if there is room for more and nobody waits."""
        rest = self._began + self.pace.linger - self.clock.monotonic()
        if rest > 0 and not self._waiting[0].full and not self._haste.is_set():
            with suppress(TimeoutError):
                await self.clock.within(rest, self._haste.wait())

    async def _write_next(self) -> None:
        group = self._waiting.popleft()
        if not self._waiting and not self._closed:
            self._work.clear()
            self._haste.clear()
        if await self._write(group):
            self._settle(group)
        else:
            self._backlog -= group.size

    async def _write(self, group: _Group) -> bool:
        """Write a group, however long it takes; False if it was abandoned."""
        pause = self.pace.retry
        while group.number > self._abandoned:
            self._began = self.clock.monotonic()
            try:
                await self.storage.write(group.batch)
            except Fenced as fenced:
                _log.warning("%d updates are dropped: %s", len(group.batch.rows), fenced)
                self._abandoned = max(self._abandoned, group.number)
                break
            except JournalUnavailable as error:
                self.trouble = str(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the writer must outlive it
                self.trouble = f"{type(error).__name__}: {error}"
                _log.exception("the storage broke")
            else:
                self.trouble = ""
                return True
            _log.warning("the journal cannot write %d updates: %s", len(group.batch.rows), self.trouble)
            await self.clock.sleep(pause)
            pause = min(pause * 2, self.pace.retry_most)
        self.trouble = ""
        return False

    def _settle(self, group: _Group) -> None:
        self._written = group.number
        self._backlog -= group.size
        if rows := len(group.batch.rows):
            self.meter.updates_written(rows, self.clock.monotonic() - group.began)
        for told, seq in group.told.items():
            told.settle(seq)
        self._progress.set()
        self._progress.clear()
