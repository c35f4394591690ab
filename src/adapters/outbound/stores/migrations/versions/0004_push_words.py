"""In which words a push notification configuration is told, and how often its delivery under way has failed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; up to here all were told in the words of protocol 1.0."""
    op.add_column("push_configs", sa.Column("words", sa.String, nullable=False, server_default="1.0"))
    op.add_column("push_configs", sa.Column("failures", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them: what was made over protocol 0.3 is told in the words of 1.0 from then on."""
    op.drop_column("push_configs", "failures")
    op.drop_column("push_configs", "words")
