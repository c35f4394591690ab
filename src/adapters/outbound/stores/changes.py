"""What a batch changes besides new tasks and new updates: statements in the order in which they are run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from . import interrupt_statements, push_statements, statements
from .statements import Statement, binding_row, owner_row, snapshot_row, standing_row
from .storage import Batch

Change: TypeAlias = tuple[Statement, Mapping[str, Any]]


def changes(batch: Batch) -> Iterator[Change]:
    """Give them, once the tasks which are new have their keys."""
    begun = set(batch.begun)
    for head, standing in batch.standings.items():
        if head not in begun:
            yield statements.STAND, standing_row(head, standing)
        if standing.snapshot is not None:
            yield statements.KEEP_SNAPSHOT, snapshot_row(head, standing.snapshot)
    for binding, at in batch.bindings.values():
        yield statements.BIND, binding_row(binding, at)
    for session_id, ownership in batch.owners.items():
        if ownership is None:
            yield statements.DISOWN, {"of": session_id}
        else:
            yield statements.OWN, owner_row(ownership)
    yield from _push(batch)
    for registration in batch.interrupts.values():
        yield interrupt_statements.REGISTER, interrupt_statements.row(registration)
    if batch.forgotten is not None:
        yield interrupt_statements.FORGET, {"before": batch.forgotten}


def _push(batch: Batch) -> Iterator[Change]:
    for key, outbox in batch.push.items():
        if outbox is None:
            yield push_statements.DELETE, push_statements.this(*key)
        else:
            yield push_statements.SAVE, push_statements.save_row(outbox)
    for mark in batch.marks.values():
        yield push_statements.MARK, push_statements.mark_row(mark)
