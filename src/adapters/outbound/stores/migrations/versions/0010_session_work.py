"""What sessions do without a task that tells of it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "session_work",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("directory", sa.String, nullable=False),
        sa.Column("begun_at", sa.Double, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("session_work")
