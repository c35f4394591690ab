"""
What a journal needs of whatever keeps its bytes: a few calls, all or nothing each.

A task has a head (who it is), a standing (how far it has come, kept when its state changes) and rows (one for each
update). One writer at a time writes a task; how several processes agree on who that is, is a storage's own matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.interrupts import Registered
from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.app.ports.tasks import Page, Place, Wanted
from opencode_a2a_server.domain.ids import ContextId, Principal, PushConfigId, RequestId, Seq, SessionId, TaskId
from opencode_a2a_server.domain.push import Outbox
from opencode_a2a_server.domain.session import Binding, Ownership
from opencode_a2a_server.domain.state import TaskState


@define(eq=False)
class Head:
    """Who a task is. `key` is the storage's own short name for it, given when it is written first or loaded."""

    task_id: TaskId
    context_id: ContextId
    principal: Principal
    created_at: float
    key: int = 0


@frozen
class Snapshot:
    """A task, whole, as of an update."""

    seq: Seq
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")


@frozen
class Standing:
    """Where a task stands, since when and since which update."""

    state: TaskState
    at: float
    seq: Seq
    snapshot: Snapshot | None = None
    """A newer one than the storage has, if there is one."""

    def over(self, older: Standing | None) -> Standing:
        """Take the place of an older one of the same transaction, whose snapshot must not be lost."""
        if older is None or self.snapshot is not None or older.snapshot is None:
            return self
        return Standing(self.state, self.at, self.seq, older.snapshot)


Row: TypeAlias = tuple[Head, Seq, float, bytes]
"""Whose, which, when, what. A tuple: one is made for each update."""
Line: TypeAlias = tuple[Seq, float, bytes]
"""A row as it is read."""


@frozen
class Registration:
    """An interrupt's place in the register."""

    principal: Principal
    request: RequestId
    task_id: TaskId
    ended_at: float | None = None


@define(repr=False)
class Batch:
    """What is written in one transaction."""

    begun: list[Head] = field(factory=list)
    """Tasks which are new; each has its standing too."""
    standings: dict[Head, Standing] = field(factory=dict)
    rows: list[Row] = field(factory=list)
    bindings: dict[tuple[Principal, ContextId], tuple[Binding, float]] = field(factory=dict)
    """With the time at which each was made."""
    owners: dict[SessionId, Ownership | None] = field(factory=dict)
    """Whom sessions belong to from now on, None for nobody."""
    push: dict[tuple[TaskId, PushConfigId], Outbox | None] = field(factory=dict)
    """Configurations to keep, and None for those to forget."""
    marks: dict[tuple[TaskId, PushConfigId], Outbox] = field(factory=dict)
    """How far configurations have come, written after `push`; for those that are there."""
    interrupts: dict[tuple[Principal, RequestId], Registration] = field(factory=dict)
    released: list[int] = field(factory=list)
    """Tickets of what somebody had alone; only where several processes share the storage, as `outcomes`."""
    outcomes: dict[str, bytes] = field(factory=dict)
    """What came of errands."""
    forgotten: float | None = None
    """Interrupts which ended before this moment are to be forgotten."""

    @property
    def only_rows(self) -> bool:
        """Whether there is nothing but updates, as nearly always while texts are told."""
        others = (self.begun, self.standings, self.bindings, self.owners, self.push, self.marks, self.interrupts)
        return self.forgotten is None and not any((*others, self.released, self.outcomes))


@frozen
class Stored:
    """A task as a storage has it. Rows may follow the snapshot, and the standing."""

    head: Head
    standing: Standing
    mine: bool = True
    """Whether this process runs it, and no other writes it."""


class Storage(Protocol):
    """
    Bytes that outlive the process. What is written is read by whoever asks next.

    All methods raise `JournalUnavailable` while the storage cannot be used; the same call may succeed later.
    """

    async def write(self, batch: Batch) -> None:
        """
        Write all of it or nothing.

        The same batch written again changes nothing: who does not hear of a commit repeats it.
        """
        ...

    async def load(self, task_id: TaskId) -> Stored | None:
        """Give a task with its last snapshot, None if there is none."""
        ...

    async def read(self, head: Head, after: Seq, upto: Seq | None = None) -> Sequence[Line]:
        """Give the rows from behind one up to another, in order; a bounded number, at least one if there is any."""
        ...

    async def unfinished(self) -> Sequence[TaskId]:
        """Name the tasks which do not stand in a terminal state, oldest first."""
        ...

    async def page(self, principal: Principal, wanted: Wanted, size: int, after: Place) -> Page:
        """List tasks behind a place, by what they stand at."""
        ...

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """Give a binding, None if there is none."""
        ...

    async def page_of_owners(self, after: SessionId, most: int) -> Sequence[Ownership]:
        """List ownerships in the order of the sessions' ids, from behind one."""
        ...

    async def owners(self, sessions: Sequence[SessionId]) -> Sequence[Ownership]:
        """Give whom these sessions belong to, or belonged: of those which are or were somebody's."""
        ...

    async def find_interrupt(self, principal: Principal, request: RequestId) -> Registered | None:
        """Look an interrupt up, None if there is none."""
        ...

    async def waiting(self, principal: Principal) -> Sequence[TaskId]:
        """Name the tasks with interrupts that have not ended, each once."""
        ...

    async def push_configs(self, task_id: TaskId) -> Sequence[Outbox]:
        """Give the push notification configurations of a task, oldest first."""
        ...

    async def outboxes(self, *, stopped: bool) -> Sequence[Outbox]:
        """Give all which have stopped, or have not, oldest first."""
        ...

    async def sweep(self, keeping: Keeping, now: float, *, dry: bool = False) -> Swept:
        """Fold and remove what the rules do not keep; see `Retention.sweep`."""
        ...

    async def probe(self) -> None:
        """Raise if it would not take a write now."""
        ...

    async def close(self) -> None:
        """Let go of everything. Nothing is asked of it afterwards."""
        ...


READ_ENTRIES = 512
READ_BYTES = 256 * 1024
"""What one read gives at most, unless its first entry alone is larger."""


def fitting(sizes: Iterable[int]) -> int:
    """Give how many rows of these sizes one read takes; the first one always fits."""
    count, total = 0, 0
    for size in sizes:
        total += size
        if count and (total > READ_BYTES or count >= READ_ENTRIES):
            break
        count += 1
    return count
