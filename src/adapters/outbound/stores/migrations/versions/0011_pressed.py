"""Bodies of updates may be pressed: what is there stays as it is, but an earlier release could not read what comes."""

import zlib

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_UPDATES = sa.table("updates", sa.column("place", sa.BigInteger), sa.column("body", sa.LargeBinary))
_PRESSED = b"x"
_AT_ONCE = 1000


def upgrade() -> None:
    """Change nothing but the number, by which an earlier release knows that it is none for it."""


def downgrade() -> None:
    """Write the bodies as they were said."""
    connection, after = op.get_bind(), -1
    page = (
        sa.select(_UPDATES).where(_UPDATES.c.place > sa.bindparam("after")).order_by(_UPDATES.c.place).limit(_AT_ONCE)
    )
    write = sa.update(_UPDATES).where(_UPDATES.c.place == sa.bindparam("of")).values(body=sa.bindparam("said"))
    while rows := connection.execute(page, {"after": after}).all():
        for place, body in rows:
            if body[:1] == _PRESSED:
                connection.execute(write, {"of": place, "said": zlib.decompress(body)})
        after = rows[-1].place
