"""What principals use: tokens and cost by day, and requests where several processes count them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ledger",
        sa.Column("account", sa.String, primary_key=True),
        sa.Column("measure", sa.String, primary_key=True),
        sa.Column("span", sa.BigInteger, primary_key=True),
        sa.Column("amount", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("ledger")
