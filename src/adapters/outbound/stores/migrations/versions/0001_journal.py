"""The journals of tasks, and the bindings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_UNFINISHED = sa.text("state NOT IN ('canceled', 'completed', 'failed', 'rejected')")


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "tasks",
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("context_id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("status_at", sa.Double, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "ix_tasks_unfinished",
        "tasks",
        ["created_at", "key"],
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )
    op.create_table(
        "updates",
        sa.Column("place", _KEY, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("task", _KEY, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "bindings",
        sa.Column("principal", sa.String, primary_key=True),
        sa.Column("context_id", sa.String, primary_key=True),
        sa.Column("session_id", sa.String, nullable=False),
        sa.Column("directory", sa.String, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them; what they hold is lost."""
    for table in ("bindings", "snapshots", "updates", "tasks"):
        op.drop_table(table)
