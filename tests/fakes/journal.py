"""The journals and the bindings, in memory; simple, and with the faults a store can have."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.tasks import Page, Place, Wanted
from opencode_a2a_server.domain.errors import IllegalTransition, JournalDamaged, JournalUnavailable, TaskNotFound
from opencode_a2a_server.domain.ids import ContextId, Principal, Seq, TaskId
from opencode_a2a_server.domain.session import Binding
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import Entry, TaskSubmitted, Update

_READ_AT_ONCE = 100


@define(eq=False)
class FakeLog:
    """The port `TaskLog`. What is appended is durable a moment later, unless the journal is `held`."""

    journal: FakeJournal
    entries: list[Entry]
    task: Task
    kept: int = 0
    """How many entries are durable."""
    mine: bool = True
    folded: int = 0
    """Up to which entry they can no longer be read one by one."""
    unread: int = 0
    """How many of the next reads the store refuses."""
    _more: asyncio.Event = field(factory=asyncio.Event, init=False)

    @classmethod
    def of(cls, journal: FakeJournal, task_id: TaskId, entries: Sequence[Entry]) -> Self:
        """Fold entries that are there."""
        task = Task.submitted(task_id, entries[0])
        for entry in entries[1:]:
            task.apply(entry)
        return cls(journal, list(entries), task, len(entries))

    def append(self, updates: Sequence[Update]) -> Seq:
        """See `TaskLog.append`."""
        if self.journal.full:
            raise JournalUnavailable("too much waits for the store")
        now = self.journal.clock.now()
        entries = [Entry(Seq(self.task.seq + number), now, update) for number, update in enumerate(updates, 1)]
        FakeLog.of(self.journal, self.task.id, [*self.entries, *entries])  # all or nothing
        for entry in entries:
            self.task.apply(entry)
        self.entries += entries
        asyncio.get_running_loop().call_soon(self.keep)
        return self.task.seq

    def keep(self) -> None:
        """Make durable what was appended."""
        if not self.journal.held and self.kept < len(self.entries):
            self.kept = len(self.entries)
            self._more.set()
            self._more = asyncio.Event()

    async def durable(self, seq: Seq | None = None) -> None:
        """See `TaskLog.durable`."""
        wanted = self.task.seq if seq is None else seq
        while self.kept < wanted:
            if self.journal.broken:
                raise JournalUnavailable("the store takes no writes")
            await self._more.wait()

    async def reaches(self, after: Seq) -> bool:
        """See `TaskLog.reaches`."""
        return after >= self.folded

    def read(self, after: Seq) -> FakeReader:
        """See `TaskLog.read`."""
        return FakeReader(self, after)

    async def more(self) -> None:
        """Wait until more is durable."""
        await self._more.wait()

    @property
    def updates(self) -> list[Update]:
        """All that was appended."""
        return [entry.update for entry in self.entries]


@define(eq=False)
class FakeReader:
    """The port `Reader`."""

    log: FakeLog
    position: Seq

    async def next(self, patience: float | None = None) -> Sequence[Entry]:
        """See `Reader.next`."""
        if self.log.unread:
            self.log.unread -= 1
            raise JournalUnavailable("the store cannot be read")
        if patience is None:
            return await self._next()
        try:
            return await self.log.journal.clock.within(patience, self._next())
        except TimeoutError:
            return ()

    async def _next(self) -> Sequence[Entry]:
        while self.position >= self.log.kept:
            await self.log.more()
        entries = self.log.entries[self.position : min(self.log.kept, self.position + _READ_AT_ONCE)]
        self.position = entries[-1].seq
        return entries


@define(eq=False)
class FakeJournal:
    """
    The port `Journal`.

    `held` keeps anything from becoming durable, `broken` says so to who waits; when it is `full`, nothing is added.
    """

    clock: Clock
    held: bool = False
    broken: bool = False
    full: bool = False
    logs: dict[TaskId, FakeLog] = field(factory=dict)
    damaged: set[TaskId] = field(factory=set)
    """Tasks of which the store has lost a part."""
    hangs: bool = False
    """Whether nobody who looks how it is gets an answer."""

    async def create(self, task_id: TaskId, submitted: TaskSubmitted) -> FakeLog:
        """See `Journal.create`."""
        if task_id in self.logs:
            raise IllegalTransition(f"task {task_id} was submitted twice")
        if self.full:
            raise JournalUnavailable("too much waits for the store")
        first = Entry(Seq(1), self.clock.now(), submitted)
        log = self.logs[task_id] = FakeLog(self, [first], Task.submitted(task_id, first))
        asyncio.get_running_loop().call_soon(log.keep)
        return log

    async def open(self, task_id: TaskId) -> FakeLog:
        """See `Journal.open`."""
        if task_id not in self.logs:
            raise TaskNotFound(f"task {task_id} was not found")
        if task_id in self.damaged:
            raise JournalDamaged(f"the journal of task {task_id} is empty")
        return self.logs[task_id]

    async def unfinished(self) -> Sequence[TaskId]:
        """See `Journal.unfinished`."""
        return [task_id for task_id, log in self.logs.items() if not log.task.state.terminal]

    async def page(self, principal: Principal, wanted: Wanted, size: int, after: Place) -> Page:
        """See `Journal.page`."""
        tasks = [log.task for log in self.logs.values() if log.task.principal == principal and wanted.fits(log.task)]
        order = sorted(((task.status.at, task.id) for task in tasks), reverse=True)
        behind = [Place(*place) for place in order if place < (after.at, after.task_id)]
        return Page.of(behind[: size + 1], size, len(tasks))

    async def probe(self) -> str:
        """See `Journal.probe`."""
        if self.hangs:
            await asyncio.Event().wait()
        return "the store takes no writes" if self.broken else ""

    def release(self) -> None:
        """Hold no longer: all becomes durable."""
        self.held = self.broken = self.full = False
        for log in self.logs.values():
            log.keep()

    def reopened(self) -> FakeJournal:
        """Give what another life of the service finds: only what was durable."""
        journal = FakeJournal(self.clock)
        for task_id, log in self.logs.items():
            if log.kept:
                journal.logs[task_id] = FakeLog.of(journal, task_id, log.entries[: log.kept])
        return journal


@define(eq=False)
class FakeBindings:
    """The port `Bindings`."""

    bound: dict[tuple[Principal, ContextId], Binding] = field(factory=dict)

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """See `Bindings.find`."""
        return self.bound.get((principal, context_id))

    async def bind(self, binding: Binding) -> None:
        """See `Bindings.bind`."""
        self.bound[binding.principal, binding.context_id] = binding
