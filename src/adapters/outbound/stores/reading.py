"""A task's journal as it is kept, for who wants to know how it went."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.domain.ids import Seq, TaskId
from opencode_a2a_server.domain.push import Outbox
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import Entry

from .codec import Bodies, load_task
from .storage import Storage


@frozen
class Kept:
    """What there is of a task. Where its first entries were folded, `folded` is what they led to."""

    entries: Sequence[Entry]
    deliveries: Sequence[Outbox]
    folded: Task | None = None


async def read_journal(storage: Storage, task_id: TaskId) -> Kept | None:
    """
    Read a task's journal from its first entry that is still there, None if there is no such task.

    Raises:
        JournalUnavailable: The storage cannot be read, or holds what this release cannot read.

    """
    stored = await storage.load(task_id)
    if stored is None:
        return None
    entries: list[Entry] = []
    bodies, folded, seq = Bodies(), None, Seq(0)
    while lines := await storage.read(stored.head, seq):
        if not entries and lines[0][0] > 1 and stored.standing.snapshot is not None:
            folded = load_task(stored.standing.snapshot.body)
            bodies = Bodies.of(folded)
        for number, at, body in lines:
            update = bodies.load(body)
            bodies.see(update)
            entries.append(Entry(number, at, update))
        seq = lines[-1][0]
    if not entries and stored.standing.snapshot is not None:
        folded = load_task(stored.standing.snapshot.body)
    return Kept(entries, await storage.push_configs(task_id), folded)
