"""Tasks can be listed: indexes in the list's order, and how many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_tasks_by_principal": ["principal", "status_at", "id"],
    "ix_tasks_by_context": ["principal", "context_id", "status_at", "id"],
    "ix_tasks_by_state": ["principal", "state", "status_at", "id"],
}
_MORE = (
    "INSERT INTO tallies (principal, state, count) VALUES (new.principal, new.state, 1) "
    "ON CONFLICT (principal, state) DO UPDATE SET count = count + 1;"
)
_LESS = "UPDATE tallies SET count = count - 1 WHERE principal = old.principal AND state = old.state;"
_TRIGGERS = {
    "tally_begun": ("AFTER INSERT ON tasks", _MORE),
    "tally_moved": ("AFTER UPDATE OF state ON tasks WHEN old.state <> new.state", f"{_LESS} {_MORE}"),
    "tally_gone": ("AFTER DELETE ON tasks", _LESS),
}


def upgrade() -> None:
    """Make the indexes, and count what is there; SQLite goes on counting by itself."""
    for name, columns in _INDEXES.items():
        op.create_index(name, "tasks", columns)
    op.create_table(
        "tallies",
        sa.Column("principal", sa.String, primary_key=True),
        sa.Column("state", sa.String, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO tallies (principal, state, count) "
        "SELECT principal, state, count(*) FROM tasks GROUP BY principal, state"
    )
    if op.get_bind().dialect.name == "sqlite":
        for name, (when, then) in _TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {when} BEGIN {then} END")


def downgrade() -> None:
    """Drop them."""
    if op.get_bind().dialect.name == "sqlite":
        for name in _TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    op.drop_table("tallies")
    for name in _INDEXES:
        op.drop_index(name, "tasks")
