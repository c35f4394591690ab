"""Several processes on one database: which there are, what each runs, has alone and asks of the others."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables; a task that is there already is nobody's."""
    op.add_column("tasks", sa.Column("owner", sa.BigInteger))
    op.create_table(
        "replicas",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_table(
        "holds",
        sa.Column("ticket", _KEY, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("replica", sa.BigInteger, sa.ForeignKey("replicas.id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("ix_holds_name", "holds", ["name", "ticket"])
    op.create_table(
        "errands",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("begun_by", sa.BigInteger),
        sa.Column("outcome", sa.LargeBinary),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("errands", "holds", "replicas"):
        op.drop_table(table)
    op.drop_column("tasks", "owner")
