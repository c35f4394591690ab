"""Whom sessions belong to: those of the bindings that are there to their principals, the first one of each."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and fill it."""
    op.create_table(
        "session_owners",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("until", sa.Double),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO session_owners (session_id, principal) "
        "SELECT session_id, min(principal) FROM bindings GROUP BY session_id"
    )


def downgrade() -> None:
    """Drop it; what it holds is lost."""
    op.drop_table("session_owners")
