"""The tables as this release knows them. The migrations make them; a test holds the two equal."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

from opencode_a2a_server.domain.state import TERMINAL

METADATA = MetaData()

_KEY = BigInteger().with_variant(Integer, "sqlite")  # only an INTEGER is SQLite's own row number

TASKS = Table(
    "tasks",
    METADATA,
    Column("key", _KEY, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("principal", String, nullable=False),
    Column("context_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("status_at", Double, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("owner", BigInteger),
)
"""
A task's head and standing. `seq` is that of its last change of state: text writes no row here.

`owner` is the replica that runs it, where several share the database; the only one that writes its updates.
"""

_TERMINAL = ", ".join(sorted(f"'{state.value}'" for state in TERMINAL))
ENDED_TASK = f"tasks.state IN ({_TERMINAL})"
NOT_ENDED = f"state NOT IN ({_TERMINAL})"
"""Spelled out: SQLite takes a partial index only for a query in its very words."""

UNFINISHED = Index(
    "ix_tasks_unfinished",
    TASKS.c.created_at,
    TASKS.c.key,
    sqlite_where=text(NOT_ENDED),
)

BY_PRINCIPAL = Index("ix_tasks_by_principal", TASKS.c.principal, TASKS.c.status_at, TASKS.c.id)
BY_CONTEXT = Index("ix_tasks_by_context", TASKS.c.principal, TASKS.c.context_id, TASKS.c.status_at, TASKS.c.id)
BY_STATE = Index("ix_tasks_by_state", TASKS.c.principal, TASKS.c.state, TASKS.c.status_at, TASKS.c.id)
"""In the order in which tasks are listed."""

TALLIES = Table(
    "tallies",
    METADATA,
    Column("principal", String, primary_key=True),
    Column("state", String, primary_key=True),
    Column("shard", BigInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""
How many tasks a principal has in each state. The database keeps it itself, by triggers: no page counts 100,000 rows.

Each process that writes has a shard, so that none waits for another's lock on a count; the sum over all is what counts.
"""

UPDATES = Table(
    "updates",
    METADATA,
    Column("place", _KEY, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""
One row an update. `place` is the task's key and the update's number in one (`key * 2**32 + seq`).

So the primary key is SQLite's own row number: rows lie in the order they are read, there is no second index, and rows
of some kilobytes share a page (keys of two columns would put each of those on a page of its own). No foreign key: it
would be looked up for every piece of text.
"""

SEQ_BITS = 32

OF_SQLITE = MetaData()
"""What only SQLite has."""

PIECES = Table(
    "pieces",
    OF_SQLITE,
    Column("id", Integer, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""Updates that are not in their places yet, in the order of their writing: never many. No index, it would cost as much."""

SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("task", _KEY, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""A task's last snapshot, apart from its standing: a change of state must not write a large value anew."""

BINDINGS = Table(
    "bindings",
    METADATA,
    Column("principal", String, primary_key=True),
    Column("context_id", String, primary_key=True),
    Column("session_id", String, nullable=False),
    Column("directory", String, nullable=False),
    Column("updated_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

SESSION_OWNERS = Table(
    "session_owners",
    METADATA,
    Column("session_id", String, primary_key=True),
    Column("principal", String, nullable=False),
    Column("until", Double),
    sqlite_with_rowid=False,
)
"""Whom the runtime's sessions belong to; `until` is that of a claim."""
INTERRUPTS = Table(
    "interrupts",
    METADATA,
    Column("principal", String, primary_key=True),
    Column("request_id", String, primary_key=True),
    Column("task_id", String, nullable=False),
    Column("ended_at", Double),
    sqlite_with_rowid=False,
)
"""Which task an interrupt is of: whoever answers may know nothing but its id. Written with the journal's rows."""

WAITING = Index(
    "ix_interrupts_waiting",
    INTERRUPTS.c.principal,
    sqlite_where=text("ended_at IS NULL"),
)
ENDED = Index("ix_interrupts_ended", INTERRUPTS.c.ended_at)

PUSH_CONFIGS = Table(
    "push_configs",
    METADATA,
    Column("task_id", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("url", String, nullable=False),
    Column("token", String, nullable=False),
    Column("scheme", String, nullable=False),
    Column("credentials", String, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("stopped", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("words", String, nullable=False, server_default="1.0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
"""Few and small: a configuration goes with its task, unless it stopped before."""

REPLICAS = Table(
    "replicas",
    METADATA,
    Column("id", _KEY, primary_key=True),
    Column("name", String, nullable=False),
    Column("seen_at", Double, nullable=False),
)
"""
The processes that share the database, for as long as each renews its row.

A row is a lease and its number the fencing token: who has none writes nothing.
"""

HOLDS = Table(
    "holds",
    METADATA,
    Column("ticket", _KEY, primary_key=True),
    Column("name", String, nullable=False),
    Column("replica", BigInteger, ForeignKey("replicas.id", ondelete="CASCADE"), nullable=False),
)
"""Who has something alone, over all replicas: the lowest ticket of a name has it, the others wait."""

HELD = Index("ix_holds_name", HOLDS.c.name, HOLDS.c.ticket)

ERRANDS = Table(
    "errands",
    METADATA,
    Column("id", String, primary_key=True),
    Column("task_id", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("begun_by", BigInteger),
    Column("outcome", LargeBinary),
)
"""What replicas ask of the one that runs a task, and what came of it."""

LEDGER = Table(
    "ledger",
    METADATA,
    Column("account", String, primary_key=True),
    Column("measure", String, primary_key=True),
    Column("span", BigInteger, primary_key=True),
    Column("amount", Double, nullable=False),
    sqlite_with_rowid=False,
)
"""What principals use, in spans of time that are named by their first second."""

SESSION_WORK = Table(
    "session_work",
    METADATA,
    Column("session_id", String, primary_key=True),
    Column("principal", String, nullable=False),
    Column("directory", String, nullable=False),
    Column("begun_at", Double, nullable=False),
    Column("since", Double, nullable=False),
    sqlite_with_rowid=False,
)
"""What sessions do without a task that tells of it: few at a time, and gone when they rest."""

OF_PROCESSES = frozenset({REPLICAS.name, HOLDS.name, ERRANDS.name})
"""What says nothing when the processes are gone: it is in no backup."""
