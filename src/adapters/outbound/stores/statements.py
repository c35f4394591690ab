"""
What is asked of a database: statements of SQLAlchemy Core, compiled once, and the parameters they take.

The drivers run them as they are. What SQLAlchemy would do around each is several changes of threads, and costs more
than the database's own work.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any, Self, TypeAlias

from attrs import frozen
from sqlalchemy import JSON, ColumnElement, Table, bindparam, cast, column, delete, exists, func, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import CompilerElement

from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import Principal, Seq, SessionId
from opencode_a2a_server.domain.session import Binding, Ownership

from .pressing import pressed
from .storage import READ_ENTRIES, Head, Row, Snapshot, Standing
from .tables import BINDINGS, NOT_ENDED, SEQ_BITS, SESSION_OWNERS, SNAPSHOTS, TASKS, UPDATES

Values: TypeAlias = dict[str, Any]
"""A statement's parameters by their names."""

_DIALECT = sqlite.dialect(paramstyle="qmark")


@frozen
class Statement:
    """A statement as the driver takes it: text, and the order of its parameters."""

    sql: str
    _names: tuple[str, ...]
    _constants: Mapping[str, Any]

    @classmethod
    def of(cls, element: CompilerElement, *columns: str) -> Self:
        """Compile; an insert says which columns it is given."""
        compiled = element.compile(dialect=_DIALECT, column_keys=columns or None)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what else there is, is DDL
        return cls(compiled.string, tuple(compiled.positiontup or ()), compiled.params)

    @property
    def numbered(self) -> str:
        """The same for PostgreSQL's driver: SQLite's dialect is its own too as far as we go, but for the marks."""
        return _numbered(self.sql)

    def order(self, values: Mapping[str, Any]) -> list[Any]:
        """Put parameters into the statement's order."""
        return [values[name] if name in values else self._constants[name] for name in self._names]


@cache
def _numbered(sql: str) -> str:
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


_TASK = sqlite.insert(TASKS)
ADD_TASK = Statement.of(
    _TASK.on_conflict_do_update(index_elements=["id"], set_={"id": _TASK.excluded.id}).returning(TASKS.c.key),
    *("id", "principal", "context_id", "state", "created_at", "status_at", "seq", "owner"),
)
STAND = Statement.of(
    update(TASKS)
    .where(TASKS.c.key == bindparam("of"))
    .values(state=bindparam("to"), status_at=bindparam("since"), seq=bindparam("by"))
)
_SNAPSHOT = sqlite.insert(SNAPSHOTS)
KEEP_SNAPSHOT = Statement.of(
    _SNAPSHOT.on_conflict_do_update(
        index_elements=["task"], set_={"seq": _SNAPSHOT.excluded.seq, "body": _SNAPSHOT.excluded.body}
    ),
    *("task", "seq", "body"),
)
_BINDING = sqlite.insert(BINDINGS)
BIND = Statement.of(
    _BINDING.on_conflict_do_update(
        index_elements=["principal", "context_id"],
        set_={name: _BINDING.excluded[name] for name in ("session_id", "directory", "updated_at")},
    ),
    *("principal", "context_id", "session_id", "directory", "updated_at"),
)
_OWNER = sqlite.insert(SESSION_OWNERS)
OWN = Statement.of(
    _OWNER.on_conflict_do_update(
        index_elements=["session_id"], set_={name: _OWNER.excluded[name] for name in ("principal", "until")}
    ),
    *("session_id", "principal", "until"),
)
DISOWN = Statement.of(delete(SESSION_OWNERS).where(SESSION_OWNERS.c.session_id == bindparam("of")))
ADD_UPDATE = Statement.of(
    sqlite.insert(UPDATES).on_conflict_do_nothing(index_elements=["place"]), *("place", "at", "body")
)

_AT_ONCE = (256, 64, 16, 4, 1)
"""Rows that one statement takes: few lengths, so that all of them stay compiled; SQLite once took 999 values at most."""


def add_rows(one: Statement, rows: Sequence[Row]) -> Iterator[tuple[str, list[Any]]]:
    """
    Give statements that add rows of updates as one that adds a single row does, as few as do.

    SQLite's driver lets other threads run while a statement does, and waits for its turn after it: one for each row
    costs several times what SQLite does for them.
    """
    start = 0
    for length in _AT_ONCE:
        while len(rows) - start >= length:
            yield _adding(one.sql, length), [value for row in rows[start : start + length] for value in update_row(row)]
            start += length


@cache
def _adding(sql: str, rows: int) -> str:
    before, values, after = sql.partition("(?, ?, ?)")
    return before + ", ".join([values] * rows) + after


LOAD = Statement.of(
    select(
        TASKS.c.key,
        TASKS.c.context_id,
        TASKS.c.principal,
        TASKS.c.created_at,
        TASKS.c.state,
        TASKS.c.status_at,
        TASKS.c.seq,
        SNAPSHOTS.c.seq,
        SNAPSHOTS.c.body,
        TASKS.c.owner,
    )
    .join_from(TASKS, SNAPSHOTS, SNAPSHOTS.c.task == TASKS.c.key, isouter=True)
    .where(TASKS.c.id == bindparam("id"))
)
UNFINISHED = Statement.of(select(TASKS.c.id).where(text(NOT_ENDED)).order_by(TASKS.c.created_at, TASKS.c.key))


def wanted(updates: Table) -> tuple[ColumnElement[bool], ...]:
    """Say which rows of a table of updates a read is for."""
    return (
        updates.c.place > bindparam("after"),
        updates.c.place <= bindparam("upto"),
        # SQLite may give the key of the newest task, when that was removed, to another one.
        exists().where(TASKS.c.id == bindparam("of"), TASKS.c.key == bindparam("known_as")),
    )


SIZES = Statement.of(
    select(UPDATES.c.place, func.length(UPDATES.c.body))
    .where(*wanted(UPDATES))
    .order_by(UPDATES.c.place)
    .limit(READ_ENTRIES)
)
LINES = Statement.of(
    select(UPDATES.c.place, UPDATES.c.at, UPDATES.c.body).where(*wanted(UPDATES)).order_by(UPDATES.c.place)
)
FIND = Statement.of(
    select(BINDINGS.c.session_id, BINDINGS.c.directory).where(
        BINDINGS.c.principal == bindparam("principal"), BINDINGS.c.context_id == bindparam("context_id")
    )
)

_NAMED = func.json_each(bindparam("sessions")).table_valued(column("value"))
OWNERS = Statement.of(select(SESSION_OWNERS).where(SESSION_OWNERS.c.session_id.in_(select(_NAMED.c.value))))
PAGE_OF_OWNERS = Statement.of(
    select(SESSION_OWNERS)
    .where(SESSION_OWNERS.c.session_id > bindparam("after"))
    .order_by(SESSION_OWNERS.c.session_id)
    .limit(bindparam("most"))
)
_NAMED_THERE = func.json_array_elements_text(cast(bindparam("sessions"), JSON))
OWNERS_ON_POSTGRES = Statement.of(select(SESSION_OWNERS).where(SESSION_OWNERS.c.session_id.in_(select(_NAMED_THERE))))


def place(head: Head, seq: int) -> int:
    """Give the place of an update among those of all tasks."""
    return (head.key << SEQ_BITS) + seq


def update_row(row: Row) -> tuple[int, float, bytes]:
    """Give the row of an update, in the order of `ADD_UPDATE`."""
    head, seq, at, body = row
    return (head.key << SEQ_BITS) + seq, at, pressed(body)


def task_row(head: Head, standing: Standing, owner: int | None = None) -> Values:
    """Give the row of a new task; its owner is the replica that runs it."""
    return {
        "id": head.task_id,
        "principal": head.principal,
        "context_id": head.context_id,
        "state": standing.state.value,
        "created_at": head.created_at,
        "status_at": standing.at,
        "seq": standing.seq,
        "owner": owner,
    }


def standing_row(head: Head, standing: Standing) -> Values:
    """Give what changes in a task's row."""
    return {"of": head.key, "to": standing.state.value, "since": standing.at, "by": standing.seq}


def snapshot_row(head: Head, snapshot: Snapshot) -> Values:
    """Give the row of a task's snapshot. It repeats what the updates said, so it is made small."""
    return {"task": head.key, "seq": snapshot.seq, "body": zlib.compress(snapshot.body, level=1)}


def snapshot_of(seq: int | None, body: bytes | None) -> Snapshot | None:
    """
    Read the row of a task's snapshot, if it has one.

    Raises:
        JournalUnavailable: It is damaged.

    """
    if seq is None or body is None:
        return None
    try:
        return Snapshot(Seq(seq), zlib.decompress(body))
    except zlib.error as error:
        raise JournalUnavailable(f"the snapshot of a task cannot be read: {error}") from error


def binding_row(binding: Binding, at: float) -> Values:
    """Give the row of a binding."""
    return {
        "principal": binding.principal,
        "context_id": binding.context_id,
        "session_id": binding.session.id,
        "directory": binding.session.directory,
        "updated_at": at,
    }


def owner_row(ownership: Ownership) -> Values:
    """Give the row of an ownership."""
    return {"session_id": ownership.session_id, "principal": ownership.principal, "until": ownership.until}


def owner_of(row: Sequence[Any]) -> Ownership:
    """Read the row of an ownership."""
    session_id, principal, until = row
    return Ownership(SessionId(session_id), Principal(principal), until)
