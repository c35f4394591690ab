"""Follow a task that is under way, or read on where a stream broke."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.journal import Journal, Reader, TaskLog
from opencode_a2a_server.app.ports.meter import UNMETERED, Meter
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.errors import TaskIsTerminal
from opencode_a2a_server.domain.ids import Principal, Seq, TaskId
from opencode_a2a_server.domain.updates import Entry

_MEASURED: Final = 1.0
"""Seconds between two updates of a stream whose lag is measured."""


@frozen
class Cursor:
    """The last thing a client has seen of a task's stream."""

    task_id: TaskId
    seq: Seq


@define
class Subscription:
    """
    A stream of one task.

    It opens with the task as of `seq`, unless it is `resumed`: then the client has that already. `gap` says that the
    cursor could not be honoured and the task stands in for what was missed.
    """

    log: TaskLog
    reader: Reader
    seq: Seq
    since: Seq
    """What the task waits for counts as an end of the stream only if it began to wait after this entry."""
    resumed: bool = False
    gap: bool = False
    meter: Meter = UNMETERED
    _live: Seq = field(init=False)
    """What is behind this entry was said while the stream was open."""
    _measured: float = field(default=float("-inf"), init=False)

    def __attrs_post_init__(self) -> None:
        self._live = self.log.task.seq

    @classmethod
    def now(
        cls, log: TaskLog, since: Seq | None = None, *, gap: bool = False, meter: Meter = UNMETERED
    ) -> Subscription:
        """Open with the task as it stands. The caller encodes it before it awaits anything."""
        seq = log.task.seq
        return cls(log, log.read(seq), seq, seq if since is None else since, gap=gap, meter=meter)

    @property
    def ended(self) -> bool:
        """
        Whether all was read that will come.

        A stream ends where the task does, and where it waits for somebody outside (A2A 1.0, 3.2.2 and 11.7).
        """
        status = self.log.task.status
        if status.state.terminal:
            return self.reader.position >= status.seq
        return status.state.interrupted and self.since < status.seq <= self.reader.position

    async def next(self, patience: float | None = None) -> Sequence[Entry]:
        """
        Give what comes next; nothing after `patience` seconds without any.

        Where the stream ends since the task waits for somebody, what was said behind that is not given: the end of a
        stream says why it ends. Whoever reads on from there, or gets the task, has it.
        """
        entries, status = await self.reader.next(patience), self.log.task.status
        if entries and entries[0].at >= self._measured and entries[0].seq > self._live:
            self._measured = entries[0].at + _MEASURED
            self.meter.update_told(entries[0].at)
        if not (status.state.interrupted and self.since < status.seq):
            return entries
        return [entry for entry in entries if entry.seq <= status.seq]


@frozen
class Subscribe:
    """
    Follow a task (A2A 1.0, 3.1.6): the task as it stands, then everything after, nothing missed between.

    With a cursor exactly the missing suffix is read, also of a task that has ended.

    Raises:
        TaskNotFound: This principal has no such task.
        TaskIsTerminal: It has ended, and there is no cursor to read on from.

    """

    journal: Journal
    meter: Meter = UNMETERED

    async def __call__(self, principal: Principal, task_id: TaskId, cursor: Cursor | None = None) -> Subscription:
        """Open the stream."""
        log = await owned(self.journal, principal, task_id)
        if cursor is None:
            if log.task.state.terminal:
                raise TaskIsTerminal(f"task {task_id} is {log.task.state.value}; get it instead")
            return Subscription.now(log, meter=self.meter)
        if cursor.task_id != task_id or not 0 < cursor.seq <= log.task.seq:
            return Subscription.now(log, gap=True, meter=self.meter)
        if not await log.reaches(cursor.seq):  # retention has folded what the client has not read
            return Subscription.now(log, gap=True, meter=self.meter)
        return Subscription(log, log.read(cursor.seq), cursor.seq, cursor.seq, resumed=True, meter=self.meter)
