"""Tallies by shard, for several processes that write; and what SQLite has by itself for PostgreSQL too."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SQLITE_TRIGGERS = {
    "tally_begun": ("AFTER INSERT ON tasks", "{more}"),
    "tally_moved": ("AFTER UPDATE OF state ON tasks WHEN old.state <> new.state", "{less} {more}"),
    "tally_gone": ("AFTER DELETE ON tasks", "{less}"),
}
_POSTGRES_FUNCTION = """
CREATE FUNCTION tally() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  own bigint := coalesce(nullif(current_setting('a2a.shard', true), ''), '0')::bigint;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO tallies AS known (principal, state, shard, count) VALUES (old.principal, old.state, own, -1)
    ON CONFLICT (principal, state, shard) DO UPDATE SET count = known.count - 1;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO tallies AS known (principal, state, shard, count) VALUES (new.principal, new.state, own, 1)
    ON CONFLICT (principal, state, shard) DO UPDATE SET count = known.count + 1;
  END IF;
  RETURN NULL;
END $$
"""
_POSTGRES_TRIGGERS = {
    "tally_begun": "AFTER INSERT ON tasks FOR EACH ROW",
    "tally_moved": "AFTER UPDATE OF state ON tasks FOR EACH ROW WHEN (old.state <> new.state)",
    "tally_gone": "AFTER DELETE ON tasks FOR EACH ROW",
}
_COLLATED = ("id", "principal", "context_id", "state")
"""Columns that are compared: by their bytes, which is faster and the same in every database."""


def upgrade() -> None:
    """Count anew."""
    _drop()
    _count(sa.Column("shard", sa.BigInteger, primary_key=True, autoincrement=False))
    if op.get_bind().dialect.name == "sqlite":
        _count_on_sqlite(" AND shard = 0", ", shard", ", 0")
        return
    for column in _COLLATED:
        op.execute(f'ALTER TABLE tasks ALTER COLUMN {column} TYPE varchar COLLATE "C"')
    op.execute(_POSTGRES_FUNCTION)
    for name, when in _POSTGRES_TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION tally()")


def downgrade() -> None:
    """Count as before."""
    if op.get_bind().dialect.name == "postgresql":
        for name in _POSTGRES_TRIGGERS:
            op.execute(f"DROP TRIGGER {name} ON tasks")
        op.execute("DROP FUNCTION tally()")
    _drop()
    _count()
    if op.get_bind().dialect.name == "sqlite":
        _count_on_sqlite("", "", "")


def _drop() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in _SQLITE_TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    op.drop_table("tallies")


def _count(*shard: sa.Column[int]) -> None:
    op.create_table(
        "tallies",
        sa.Column("principal", sa.String, primary_key=True),
        sa.Column("state", sa.String, primary_key=True),
        *shard,
        sa.Column("count", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    columns, values = (", shard", ", 0") if shard else ("", "")
    op.execute(
        f"INSERT INTO tallies (principal, state{columns}, count) "  # noqa: S608 - no value is in it
        f"SELECT principal, state{values}, count(*) FROM tasks GROUP BY principal, state"
    )


def _count_on_sqlite(where: str, columns: str, values: str) -> None:
    more = (
        f"INSERT INTO tallies (principal, state{columns}, count) VALUES (new.principal, new.state{values}, 1) "  # noqa: S608
        f"ON CONFLICT (principal, state{columns}) DO UPDATE SET count = count + 1;"
    )
    less = f"UPDATE tallies SET count = count - 1 WHERE principal = old.principal AND state = old.state{where};"  # noqa: S608
    for name, (when, then) in _SQLITE_TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {when} BEGIN {then.format(more=more, less=less)} END")
