"""One task's journal while somebody holds it: its fold, its readers, and what is on its way to the storage."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

from attrs import define, field

from opencode_a2a_server.domain.errors import (
    IllegalTransition,
    JournalDamaged,
    JournalUnavailable,
    Refusal,
    TaskNotFound,
)
from opencode_a2a_server.domain.ids import Seq, TaskId
from opencode_a2a_server.domain.state import TaskState, step
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import (
    Entry,
    InterruptRaised,
    InterruptResolved,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
    Update,
)

from .codec import Bodies, check_text, dump_task, load_task
from .interrupts import registrations
from .storage import Head, Line, Registration, Row, Snapshot, Standing, Stored
from .tail import Tail
from .writer import Writer

_SNAPSHOT_MOST = 256 * 1024 * 1024
"""A task larger than this is read from its rows: databases bound what one value may hold."""
_LARGE = 32 * 1024
"""Bytes of rows that are not written once more at the end, if they are as quickly read as what would be written."""
_ROW_WORTH = 1024
"""Bytes that are read in the time that a row takes by itself, about."""


@define(eq=False, repr=False)
class LiveLog:
    """A journal which is open. The storage has all up to `written`; what follows is on its way there."""

    task: Task
    written: Seq
    _writer: Writer
    _head: Head
    _bodies: Bodies
    _tail: Tail
    _fresh: int = 0
    """Bytes appended since the last snapshot."""
    _snapshot_size: int = 0
    _snapshot_seq: int = 0
    mine: bool = True
    """Whether it is written here; else another replica writes it, and this one reads after it."""
    _lost: bool = field(default=False, init=False)
    _catching: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)

    @classmethod
    def begin(cls, writer: Writer, task_id: TaskId, submitted: TaskSubmitted) -> Self:
        """
        Begin a journal.

        Raises:
            InvalidRequest: It holds what no encoding can carry.
            JournalUnavailable: Too much waits to be written.

        """
        check_text(task_id, submitted.context_id, submitted.principal)
        bodies = Bodies()
        body = bodies.dump(submitted)
        size = writer.admit(len(body), 1)
        entry = Entry(Seq(1), writer.clock.now(), submitted)
        head = Head(task_id, submitted.context_id, submitted.principal, entry.at)
        task = Task.submitted(task_id, entry)
        log = cls(task, Seq(0), writer, head, bodies, Tail(Seq(1)), fresh=len(body))
        log._tail.add(entry, len(body))
        standing = Standing(task.state, entry.at, entry.seq)
        writer.meter.task_became(task.state)
        writer.put(log, [(head, entry.seq, entry.at, body)], size, standing, begun=True)
        return log

    @classmethod
    async def load(cls, writer: Writer, stored: Stored) -> Self:
        """
        Open a journal from a storage: from the last snapshot, then row by row.

        Raises:
            JournalUnavailable: The storage cannot be read.
            TaskNotFound: It was removed meanwhile.

        """
        head, snapshot = stored.head, stored.standing.snapshot
        folding = _Folding(head.task_id, None if snapshot is None else load_task(snapshot.body))
        while not folding.ended and (lines := await writer.storage.read(head, folding.seq)):
            folding.take(lines)
        if (task := folding.task) is None or (stored.standing.state.terminal and not folding.ended):
            if await writer.storage.load(head.task_id) is None:  # retention has passed meanwhile
                raise TaskNotFound(f"task {head.task_id} was not found")
            raise JournalDamaged(f"the journal of task {head.task_id} is empty, or has lost its end")
        size, seq = (0, 0) if snapshot is None else (len(snapshot.body), snapshot.seq)
        tail = Tail(Seq(task.seq + 1))
        return cls(task, task.seq, writer, head, folding.bodies, tail, folding.fresh, size, seq, stored.mine)

    # The port

    def append(self, updates: Sequence[Update]) -> Seq:
        """Add updates, all or none; the writer takes them from here."""
        task, before = self.task, self.task.seq
        if not updates:
            return before
        if not (self.mine or task.state.terminal):
            raise _others(task.id)
        bodies, size = self._draft(updates)
        at, head, seq = self._writer.clock.now(), self._head, before
        rows: list[Row] = []
        registered: list[Registration] = []
        for update, body in zip(updates, bodies, strict=True):
            seq = Seq(seq + 1)
            entry = Entry(seq, at, update)
            if type(update) is not TextAppended:
                registered += registrations(task, update, at)
            task.apply(entry)
            self._tail.add(entry, len(body))
            rows.append((head, seq, at, body))
        self._fresh += size
        standing = self._standing() if task.status.seq > before else None
        if standing is not None:
            self._writer.meter.task_became(standing.state)
        self._writer.put(self, rows, size, standing, registered)
        return seq

    async def durable(self, seq: Seq | None = None) -> None:
        """Wait until an entry is written."""
        awaited = self.task.seq if seq is None else seq
        if self.written >= awaited:
            return
        writer = self._writer
        writer.hurry()
        try:
            await writer.clock.within(writer.pace.patience, self._reached(awaited))
        except TimeoutError:
            raise writer.late() from None

    async def reaches(self, after: Seq) -> bool:
        """Say whether what follows an entry is in memory, or still in the storage: retention folds ended tasks."""
        if after >= self.written or self._tail.read(after, self.written) is not None:
            return True
        return bool(await self._writer.storage.read(self._head, after, Seq(after + 1)))

    def read(self, after: Seq) -> LiveReader:
        """Read from behind an entry."""
        return LiveReader(self, after)

    # Others in this package

    def settle(self, seq: Seq) -> None:
        """
        All up to this entry is written: wake who waits for it.

        The tail is trimmed for what was written before, so that readers who keep up never need the storage however
        much one transaction brings.
        """
        self._tail.trim(self.written)
        self.written = seq
        self._changed.set()
        self._changed.clear()

    @property
    def key(self) -> int:
        """The task, as the storage names it."""
        return self._head.key

    async def catch_up(self) -> None:
        """
        Read what another replica has written since.

        Raises:
            JournalUnavailable: The storage cannot be read, or no longer has all of it.

        """
        async with self._catching:
            while not (self.mine or self.task.state.terminal):
                lines = await self._writer.storage.read(self._head, self.task.seq)
                if not lines:
                    return
                self._take(lines)

    async def adopt(self) -> None:
        """Write it from here on: this replica has taken it over, and nobody else will write it."""
        await self.catch_up()
        self.mine = True

    def lose(self) -> None:
        """Write it no more: another replica does, or will."""
        self.mine, self._lost = False, True
        self._changed.set()
        self._changed.clear()

    def _take(self, lines: Sequence[Line]) -> None:
        for seq, at, body in lines:
            if self.mine or seq <= self.task.seq:
                return
            if seq != self.task.seq + 1:
                self.lose()
                raise JournalUnavailable(f"the journal of task {self.task.id} was folded; open it again")
            update = self._bodies.load(body)
            self._bodies.see(update)
            entry = Entry(seq, at, update)
            self.task.apply(entry)
            self._tail.add(entry, len(body))
            self._fresh += len(body)
        self.settle(self.task.seq)

    async def entries(self, after: Seq, patience: float | None) -> Sequence[Entry]:
        """Give written entries from behind one, a bounded number; none after `patience` seconds without any."""
        if self.written <= after and not await self._passed(after, patience):
            return ()
        held = self._tail.read(after, self.written)
        return await self._recall(after) if held is None else held

    async def _passed(self, after: Seq, patience: float | None) -> bool:
        reached = self._reached(Seq(after + 1))
        if patience is None:
            await reached
            return True
        try:
            await self._writer.clock.within(patience, reached)
        except TimeoutError:
            return False
        return True

    async def _reached(self, seq: Seq) -> None:
        while self.written < seq:
            if self._lost:
                raise _others(self.task.id)
            await self._changed.wait()

    async def _recall(self, after: Seq) -> Sequence[Entry]:
        lines = await self._writer.storage.read(self._head, after, self.written)
        if not lines or lines[-1][0] - after != len(lines):
            raise JournalDamaged(f"the journal of task {self.task.id} has lost what follows update {after}")
        load = self._bodies.load
        return [Entry(seq, at, load(body)) for seq, at, body in lines]

    def _draft(self, updates: Sequence[Update]) -> tuple[list[bytes], int]:
        """Write updates down, with their size, and see that they can be added; a refusal leaves no trace of any."""
        state, dump = self.task.state, self._bodies.dump
        bodies: list[bytes] = []
        checked, size = False, 0
        try:
            for update in updates:
                if type(update) is not TextAppended:
                    state, checked = _next_state(state, update), False
                elif not checked:  # most updates are text, and after text more of it is as legal
                    checked = _can_go_on(state)
                body = dump(update)
                size += len(body)
                bodies.append(body)
            return bodies, self._writer.admit(size, len(bodies))
        except Refusal:
            self._bodies = Bodies.of(self.task)
            raise

    def _standing(self) -> Standing:
        """
        Say where the task stands now, with a snapshot if that is worth its bytes.

        A task that has ended is read for long, so it gets one, unless its rows do as well. One that waits for somebody
        gets one if half of it is new: however often it waits, all its snapshots together are at most twice its text.
        """
        status = self.task.status
        standing = Standing(status.state, status.at, self.task.seq)
        if not (status.state.terminal or (status.state.interrupted and self._fresh >= self._snapshot_size)):
            return standing
        body = dump_task(self.task)
        if len(body) > _SNAPSHOT_MOST:  # pragma: no cover - as much memory as that
            return standing
        if status.state.terminal and self._rows_do(len(body)):
            return standing
        self._fresh, self._snapshot_size, self._snapshot_seq = 0, len(body), self.task.seq
        return Standing(status.state, status.at, self.task.seq, Snapshot(self.task.seq, body))

    def _rows_do(self, snapshot: int) -> bool:
        """
        Say whether the rows since the last snapshot are read as quickly as a new one of this size.

        So it is with a long text that came fast: it is in few rows, and each is still part of the task.
        """
        rows = self.task.seq - self._snapshot_seq
        few = rows * _ROW_WORTH <= max(self._fresh, 8 * _LARGE)
        return few and _LARGE <= self._fresh <= 2 * snapshot


@define(eq=False, repr=False)
class _Folding:
    """A task on its way from the storage."""

    task_id: TaskId
    task: Task | None
    bodies: Bodies = field(init=False)
    fresh: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.bodies = Bodies() if self.task is None else Bodies.of(self.task)

    @property
    def seq(self) -> Seq:
        return Seq(0) if self.task is None else self.task.seq

    @property
    def ended(self) -> bool:
        return self.task is not None and self.task.state.terminal

    def take(self, lines: Sequence[Line]) -> None:
        """Fold rows; what was legal when it was written is legal still."""
        try:
            for seq, at, body in lines:
                self._apply(Entry(seq, at, self.bodies.load(body)))
                self.fresh += len(body)
        except IllegalTransition as error:
            raise JournalDamaged(f"the journal of task {self.task_id} is damaged: {error}") from error

    def _apply(self, entry: Entry) -> None:
        self.bodies.see(entry.update)
        if self.task is None:
            self.task = Task.submitted(self.task_id, entry)
        else:
            self.task.apply(entry)


@define(eq=False, repr=False)
class LiveReader:
    """A cursor into a journal; it has nothing else."""

    _log: LiveLog
    position: Seq

    async def next(self, patience: float | None = None) -> Sequence[Entry]:
        """Give what follows."""
        entries = await self._log.entries(self.position, patience)
        if entries:
            self.position = entries[-1].seq
        return entries


def _others(task_id: TaskId) -> JournalUnavailable:
    return JournalUnavailable(f"another replica runs task {task_id}; try again in a moment")


def _can_go_on(state: TaskState) -> bool:
    if state.terminal:
        raise IllegalTransition(f"the task is {state.value}: nothing can follow")
    return True


def _next_state(state: TaskState, update: Update) -> TaskState:
    """
    Where an update would take a task, before it is applied.

    Raises:
        IllegalTransition: The task has ended, or cannot take such a step.

    """
    _can_go_on(state)
    match update:
        case StatusChanged():
            return step(state, update.state)
        case InterruptResolved(asked=False):
            return state
        case TurnStarted() | InterruptResolved():
            return step(state, TaskState.WORKING)
        case InterruptRaised():
            return step(state, TaskState.INPUT_REQUIRED)
        case TaskSubmitted():
            raise IllegalTransition("the task was submitted before")
        case _:
            return state
