"""SQLite keeps little pieces of text side by side until they are put in their places."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, where there is one."""
    if op.get_bind().dialect.name == "sqlite":
        op.create_table(
            "pieces",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("place", sa.Integer, nullable=False),
            sa.Column("at", sa.Double, nullable=False),
            sa.Column("body", sa.LargeBinary, nullable=False),
        )


def downgrade() -> None:
    """Put in its place what is there."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "INSERT INTO updates (place, at, body) SELECT place, at, body FROM pieces WHERE place >= 0 "
            "ORDER BY place ON CONFLICT (place) DO NOTHING"
        )
        op.drop_table("pieces")
