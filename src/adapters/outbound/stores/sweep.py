"""
Forget what the rules do not keep, in a storage of SQL tables.

Tasks are looked at in the order in which they began, a few at a time: that is the order of their keys, so a sweep
needs no index of its own, which each task that ends would have to be written into.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from attrs import define, field, frozen
from sqlalchemy import ColumnElement, TextClause, bindparam, case, delete, exists, func, literal_column, select, text

from opencode_a2a_server.app.ports.retention import Keeping, Swept

from .reads import Changing, Link
from .statements import Statement
from .tables import BINDINGS, INTERRUPTS, PUSH_CONFIGS, SEQ_BITS, SNAPSHOTS, TASKS, UPDATES
from .tables import ENDED_TASK as ENDED

_STEP: Final = 64
"""Tasks that are looked at, and changed, in one transaction."""

_FIRST_ROW = TASKS.c.key * (1 << SEQ_BITS)
_LAST_ROW = _FIRST_ROW + ((1 << SEQ_BITS) - 1)
_OWN_ROWS = UPDATES.c.place.between(_FIRST_ROW, _LAST_ROW)
_BYTES = select(func.coalesce(func.sum(func.length(UPDATES.c.body)), 0)).where(_OWN_ROWS).scalar_subquery()
_PUSHED = exists().where(PUSH_CONFIGS.c.task_id == TASKS.c.id, PUSH_CONFIGS.c.stopped == "")


def _flag(condition: ColumnElement[bool] | TextClause) -> ColumnElement[int]:
    """Say 1 or 0, in words: PostgreSQL would take a parameter here for a text."""
    return case((condition, literal_column("1")), else_=literal_column("0"))


LOOK = Statement.of(
    select(
        TASKS.c.key,
        TASKS.c.id,
        TASKS.c.status_at,
        _flag(text(ENDED)),
        _flag(SNAPSHOTS.c.seq == TASKS.c.seq),
        _flag(_PUSHED),
        _BYTES,
        func.coalesce(func.length(SNAPSHOTS.c.body), 0),
    )
    .join_from(TASKS, SNAPSHOTS, SNAPSHOTS.c.task == TASKS.c.key, isouter=True)
    .where(TASKS.c.key > bindparam("after"))
    .order_by(TASKS.c.key)
    .limit(_STEP)
)
COUNT = Statement.of(select(func.count()).select_from(TASKS).where(text(ENDED), TASKS.c.key > bindparam("after")))
FORGET_ROWS = Statement.of(
    delete(UPDATES).where(UPDATES.c.place >= bindparam("first"), UPDATES.c.place <= bindparam("last"))
)
FORGET_SNAPSHOT = Statement.of(delete(SNAPSHOTS).where(SNAPSHOTS.c.task == bindparam("of")))
FORGET_PUSH = Statement.of(delete(PUSH_CONFIGS).where(PUSH_CONFIGS.c.task_id == bindparam("named")))
FORGET_INTERRUPTS = Statement.of(delete(INTERRUPTS).where(INTERRUPTS.c.task_id == bindparam("named")))
FORGET_TASK = Statement.of(delete(TASKS).where(TASKS.c.key == bindparam("of")))
_UNUSED = (
    BINDINGS.c.updated_at < bindparam("before"),
    ~exists().where(TASKS.c.principal == BINDINGS.c.principal, TASKS.c.context_id == BINDINGS.c.context_id),
)
COUNT_BINDINGS = Statement.of(select(func.count()).select_from(BINDINGS).where(*_UNUSED))
FORGET_BINDINGS = Statement.of(delete(BINDINGS).where(*_UNUSED))


class Sweepable(Changing, Protocol):
    """A storage that says how much it holds, too."""

    def sweeping(self) -> AbstractAsyncContextManager[Link]:
        """Lend the connection that writes, in one transaction, with all updates in their places."""
        ...

    async def used(self) -> int:
        """Say how many bytes it has in use."""
        ...


class Fate(enum.Enum):
    """What becomes of a task."""

    KEEP = "keep"
    FOLD = "fold"
    REMOVE = "remove"


@frozen
class Seen:
    """A task as a sweep sees it."""

    key: int
    task_id: str
    since: float
    ended: bool
    whole: bool
    """Whether its snapshot says all of it."""
    pushed: bool
    """Whether somebody is still to be told of it."""
    rows: int
    """Bytes of its updates."""
    snapshot: int

    @classmethod
    def of(cls, row: Sequence[Any]) -> Seen:
        """Read a row of `LOOK`."""
        key, task_id, since, ended, whole, pushed, rows, snapshot = row
        return cls(key, task_id, since, bool(ended), bool(whole), bool(pushed), int(rows), int(snapshot))


@define(eq=False)
class Judge:
    """Says what becomes of each task, asked in the order in which they began, and keeps count."""

    keeping: Keeping
    now: float
    surplus: int = 0
    """Ended tasks more than are kept."""
    excess: int = 0
    """Bytes more than may be in use."""
    swept: Swept = field(factory=Swept, init=False)

    def __call__(self, task: Seen) -> Fate:
        """Say it, and count it as done."""
        if not task.ended or task.pushed:
            return Fate.KEEP
        if self.surplus > 0 or self.excess > 0 or self._is_past(self.keeping.seconds, task):
            freed = task.rows + task.snapshot
            self.surplus -= 1
            self.excess -= freed
            self.swept += Swept(removed=1, freed=freed)
            return Fate.REMOVE
        if task.rows and task.whole and self._is_past(self.keeping.stream_seconds, task):
            self.excess -= task.rows
            self.swept += Swept(folded=1, freed=task.rows)
            return Fate.FOLD
        return Fate.KEEP

    def _is_past(self, seconds: float, task: Seen) -> bool:
        return bool(seconds) and task.since + seconds <= self.now


async def sweep(storage: Sweepable, keeping: Keeping, now: float, *, dry: bool) -> Swept:
    """Go through all tasks once."""
    judge = Judge(keeping, now, await _surplus(storage, keeping), await _excess(storage, keeping))
    after = 0
    while True:
        async with storage.sweeping() as link:
            seen = [Seen.of(row) for row in await link.run(LOOK, {"after": after})]
            for task in seen:
                fate = judge(task)
                if not dry:
                    await _carry_out(link, task, fate)
        if len(seen) < _STEP:
            return judge.swept + Swept(bindings=await _unbind(storage, keeping, now, dry=dry))
        after = seen[-1].key


async def _surplus(storage: Sweepable, keeping: Keeping) -> int:
    if not keeping.tasks:
        return 0
    async with storage.changing() as link:
        ((ended,),) = await link.run(COUNT, {"after": 0})
    return int(ended) - keeping.tasks


async def _excess(storage: Sweepable, keeping: Keeping) -> int:
    return await storage.used() - keeping.size if keeping.size else 0


async def _carry_out(link: Link, task: Seen, fate: Fate) -> None:
    first = task.key << SEQ_BITS
    if fate is not Fate.KEEP:
        await link.run(FORGET_ROWS, {"first": first, "last": first + (1 << SEQ_BITS) - 1})
    if fate is Fate.REMOVE:
        await link.run(FORGET_SNAPSHOT, {"of": task.key})
        await link.run(FORGET_PUSH, {"named": task.task_id})
        await link.run(FORGET_INTERRUPTS, {"named": task.task_id})
        await link.run(FORGET_TASK, {"of": task.key})


async def _unbind(storage: Sweepable, keeping: Keeping, now: float, *, dry: bool) -> int:
    if not keeping.seconds:
        return 0
    before = {"before": now - keeping.seconds}
    async with storage.changing() as link:
        ((unused,),) = await link.run(COUNT_BINDINGS, before)
        if unused and not dry:
            await link.run(FORGET_BINDINGS, before)
    return int(unused)
