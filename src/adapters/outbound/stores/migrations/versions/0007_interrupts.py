"""The register of interrupts: which task each one is of."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WAITING = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "interrupts",
        sa.Column("principal", sa.String, primary_key=True),
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("ended_at", sa.Double),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_interrupts_waiting", "interrupts", ["principal"], sqlite_where=_WAITING, postgresql_where=_WAITING
    )
    op.create_index("ix_interrupts_ended", "interrupts", ["ended_at"])


def downgrade() -> None:
    """Drop it; an interrupt is then found by its task only."""
    op.drop_table("interrupts")
