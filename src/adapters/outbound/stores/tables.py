"""The tables as this release knows them. The migrations make them; a test holds the two equal."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, String, Table, text

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
)
"""A task's head and standing. `seq` is that of its last change of state: text writes no row here."""

NOT_ENDED = "state NOT IN ({})".format(", ".join(sorted(f"'{state.value}'" for state in TERMINAL)))
"""Spelled out: SQLite takes a partial index only for a query in its very words."""

UNFINISHED = Index(
    "ix_tasks_unfinished",
    TASKS.c.created_at,
    TASKS.c.key,
    sqlite_where=text(NOT_ENDED),
    postgresql_where=text(NOT_ENDED),
)

UPDATES = Table(
    "updates",
    METADATA,
    Column("task", _KEY, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""One row an update, in the order they are read. No foreign key: it would be looked up for every piece of text."""

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
    sqlite_with_rowid=False,
)
"""Few and small: a configuration goes with its task, unless it stopped before."""
