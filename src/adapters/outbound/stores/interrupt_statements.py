"""What is asked of SQLite about the register of interrupts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.dialects import sqlite

from .statements import Statement
from .storage import Registration
from .tables import INTERRUPTS

_C = INTERRUPTS.c
_ROW = sqlite.insert(INTERRUPTS)
REGISTER = Statement.of(
    _ROW.on_conflict_do_update(
        index_elements=["principal", "request_id"],
        set_={"task_id": _ROW.excluded.task_id, "ended_at": _ROW.excluded.ended_at},
    ),
    *("principal", "request_id", "task_id", "ended_at"),
)
FIND = Statement.of(
    select(_C.task_id, _C.ended_at).where(_C.principal == bindparam("whose"), _C.request_id == bindparam("which"))
)
WAITING = Statement.of(
    # Spelled out: SQLite takes a partial index only for a query in its very words.
    select(_C.task_id).distinct().where(_C.principal == bindparam("whose"), text("ended_at IS NULL"))
)
FORGET = Statement.of(delete(INTERRUPTS).where(_C.ended_at < bindparam("before")))


def row(registration: Registration) -> dict[str, Any]:
    """Give the row of one."""
    return {
        "principal": registration.principal,
        "request_id": registration.request,
        "task_id": registration.task_id,
        "ended_at": registration.ended_at,
    }
