"""Everything in memory: for trials and tests. A restart forgets it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, evolve, field

from opencode_a2a_server.app.ports.interrupts import Registered
from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.app.ports.tasks import Page, Place, Wanted
from opencode_a2a_server.domain.ids import ContextId, Principal, PushConfigId, RequestId, Seq, SessionId, TaskId
from opencode_a2a_server.domain.push import Outbox
from opencode_a2a_server.domain.session import Binding, Ownership

from .order import Order
from .storage import READ_ENTRIES, Batch, Head, Line, Registration, Standing, Stored, fitting
from .sweep import Fate, Judge, Seen


@define(repr=False)
class _Kept:
    head: Head
    standing: Standing
    lines: list[Line] = field(factory=list)


@define(eq=False, repr=False)
class MemoryStorage:
    """A storage as long as its process lives."""

    _tasks: dict[TaskId, _Kept] = field(factory=dict, init=False)
    _order: Order = field(factory=Order, init=False)
    _bindings: dict[tuple[Principal, ContextId], Binding] = field(factory=dict, init=False)
    _bound_at: dict[tuple[Principal, ContextId], float] = field(factory=dict, init=False)
    _owners: dict[SessionId, Ownership] = field(factory=dict, init=False)
    _push: dict[tuple[TaskId, PushConfigId], Outbox] = field(factory=dict, init=False)

    _interrupts: dict[tuple[Principal, RequestId], Registration] = field(factory=dict, init=False)

    async def write(self, batch: Batch) -> None:
        """Keep it."""
        for head in batch.begun:
            self._tasks.setdefault(head.task_id, _Kept(head, batch.standings[head]))
        for head, seq, at, body in batch.rows:
            lines = self._tasks[head.task_id].lines
            if seq > len(lines):
                lines.append((seq, at, body))
        for head, standing in batch.standings.items():
            kept = self._tasks[head.task_id]
            self._order.move(kept.head, kept.standing, standing)
            kept.standing = standing.over(kept.standing)
        for key, (binding, at) in batch.bindings.items():
            self._bindings[key], self._bound_at[key] = binding, at
        for session_id, ownership in batch.owners.items():
            if ownership is None:
                self._owners.pop(session_id, None)
            else:
                self._owners[session_id] = ownership
        self._write_push(batch)
        self._interrupts |= batch.interrupts
        if (before := batch.forgotten) is not None:
            known = self._interrupts.items()
            self._interrupts = {key: one for key, one in known if one.ended_at is None or one.ended_at >= before}

    def _write_push(self, batch: Batch) -> None:
        for push_key, outbox in batch.push.items():
            if outbox is None:
                self._push.pop(push_key, None)
            else:
                self._push[push_key] = outbox
        self._push |= {push_key: outbox for push_key, outbox in batch.marks.items() if push_key in self._push}

    async def load(self, task_id: TaskId) -> Stored | None:
        """Give a task; its head is a new one, as after a restart."""
        kept = self._tasks.get(task_id)
        return None if kept is None else Stored(evolve(kept.head), kept.standing)

    async def read(self, head: Head, after: Seq, upto: Seq | None = None) -> Sequence[Line]:
        """Give rows; numbers have no holes, so they are places in the list."""
        kept = self._tasks.get(head.task_id)
        lines = [] if kept is None else kept.lines[after:upto][:READ_ENTRIES]
        return lines[: fitting(len(body) for _, _, body in lines)]

    async def unfinished(self) -> Sequence[TaskId]:
        """Name them; the dictionary is in the order of their begin."""
        return [task_id for task_id, kept in self._tasks.items() if not kept.standing.state.terminal]

    async def page(self, principal: Principal, wanted: Wanted, size: int, after: Place) -> Page:
        """List tasks."""
        return self._order.page(principal, wanted, size, after)

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """Give a binding."""
        return self._bindings.get((principal, context_id))

    async def page_of_owners(self, after: SessionId, most: int) -> Sequence[Ownership]:
        """List ownerships."""
        behind = sorted(session_id for session_id in self._owners if session_id > after)
        return [self._owners[session_id] for session_id in behind[:most]]

    async def owners(self, sessions: Sequence[SessionId]) -> Sequence[Ownership]:
        """Give whom they belong to."""
        return [self._owners[session_id] for session_id in sessions if session_id in self._owners]

    async def find_interrupt(self, principal: Principal, request: RequestId) -> Registered | None:
        """Look one up."""
        found = self._interrupts.get((principal, request))
        return None if found is None else Registered(found.task_id, found.ended_at)

    async def waiting(self, principal: Principal) -> Sequence[TaskId]:
        """Name their tasks."""
        own = (one for one in self._interrupts.values() if one.principal == principal and one.ended_at is None)
        return list(dict.fromkeys(one.task_id for one in own))

    async def push_configs(self, task_id: TaskId) -> Sequence[Outbox]:
        """Give those of a task."""
        return _by_age(outbox for outbox in self._push.values() if outbox.config.task_id == task_id)

    async def outboxes(self, *, stopped: bool) -> Sequence[Outbox]:
        """Give those which have stopped, or have not."""
        return _by_age(outbox for outbox in self._push.values() if bool(outbox.stopped) is stopped)

    async def sweep(self, keeping: Keeping, now: float, *, dry: bool = False) -> Swept:
        """See `Retention.sweep`."""
        ended = sum(kept.standing.state.terminal for kept in self._tasks.values())
        surplus = ended - keeping.tasks if keeping.tasks else 0
        tasks = [(kept, self._seen(kept)) for kept in self._tasks.values()]
        excess = sum(seen.rows + seen.snapshot for _, seen in tasks) - keeping.size if keeping.size else 0
        judge = Judge(keeping, now, surplus, excess)
        for kept, seen in tasks:
            fate = judge(seen)
            if not dry:
                self._carry_out(kept, fate)
        unused = self._unused(now - keeping.seconds) if keeping.seconds else []
        if not dry:
            for key in unused:
                del self._bindings[key]
        return judge.swept + Swept(bindings=len(unused))

    def _seen(self, kept: _Kept) -> Seen:
        head, standing = kept.head, kept.standing
        snapshot = standing.snapshot
        whole = snapshot is not None and snapshot.seq == standing.seq
        pushed = any(key[0] == head.task_id and not outbox.stopped for key, outbox in self._push.items())
        rows = sum(len(body) for _, _, body in kept.lines)
        size = 0 if snapshot is None else len(snapshot.body)
        return Seen(head.key, head.task_id, standing.at, standing.state.terminal, whole, pushed, rows, size)

    def _carry_out(self, kept: _Kept, fate: Fate) -> None:
        if fate is Fate.FOLD:
            kept.lines.clear()
        if fate is Fate.REMOVE:
            task_id = kept.head.task_id
            self._order.remove(kept.head, kept.standing)
            del self._tasks[task_id]
            self._push = {key: outbox for key, outbox in self._push.items() if key[0] != task_id}
            self._interrupts = {key: one for key, one in self._interrupts.items() if one.task_id != task_id}

    def _unused(self, before: float) -> list[tuple[Principal, ContextId]]:
        used = {(kept.head.principal, kept.head.context_id) for kept in self._tasks.values()}
        return [key for key, at in self._bound_at.items() if at < before and key not in used and key in self._bindings]

    async def probe(self) -> None:
        """Memory takes writes."""

    async def close(self) -> None:
        """There is nothing to let go of."""


def _by_age(outboxes: Iterable[Outbox]) -> Sequence[Outbox]:
    return sorted(outboxes, key=lambda outbox: (outbox.created_at, outbox.config.task_id, outbox.config.id))
