"""
Bring a database to the tables of this release, or say why not.

What a database has is seen without Alembic, which is imported where something is to be brought up: a start that finds
its tables as they should be does not wait for it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen
from sqlalchemy import Connection

from .errors import SchemaUnknown

if TYPE_CHECKING:
    from alembic.config import Config

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_REVISIONS: Final = tuple(sorted(script.name[:4] for script in _SCRIPTS.glob("versions/[0-9]*.py")))
"""Each script's name begins with its revision, and they follow one upon the other."""
HEAD: Final = _REVISIONS[-1]
"""The schema that this release wants."""

VERSIONS: Final = "alembic_version"
"""The table that says which schema a database has."""
CURRENT: Final = f"SELECT version_num FROM {VERSIONS}"  # noqa: S608 - it is ours


@frozen
class Schema:
    """Which tables a database has and which this release wants; None if it has none yet."""

    current: str | None
    head: str = HEAD

    @property
    def ready(self) -> bool:
        """Whether the service can work with it as it is."""
        return self.current == self.head


def judge(current: str | None, tables: Collection[str]) -> Schema:
    """
    Say what a database has, by what it says itself and by its tables.

    Raises:
        SchemaUnknown: They are a newer release's or another program's.

    """
    if current is not None and current not in _REVISIONS:
        raise SchemaUnknown(
            f"the database has schema {current}, made by a newer release: this one knows up to {HEAD}. "
            "Upgrade opencode-a2a-server, or name another database"
        )
    if current is None and tables:
        raise SchemaUnknown(
            f"the database belongs to another program (it has the table {min(tables)}); name another database"
        )
    return Schema(current)


def look(connection: Connection) -> Schema:
    """
    See which tables there are; changes nothing.

    Raises:
        SchemaUnknown: They are a newer release's or another program's.

    """
    from sqlalchemy import inspect

    tables = inspect(connection).get_table_names()
    current = connection.exec_driver_sql(CURRENT).scalar() if VERSIONS in tables else None
    return judge(current, tables)


def bring_up(connection: Connection) -> Schema:
    """
    Bring the tables to this release's, within the connection's transaction.

    Raises:
        SchemaUnknown: They are a newer release's or another program's.

    """
    schema = look(connection)
    if not schema.ready:
        from alembic import command

        command.upgrade(_config(connection), "head")
    return schema


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
