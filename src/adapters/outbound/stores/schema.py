"""Bring a database to the tables of this release, or say why not."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from attrs import frozen
from sqlalchemy import Connection, inspect

from .errors import SchemaUnknown

_SCRIPTS = Path(__file__).parent / "migrations"


@frozen
class Schema:
    """Which tables a database has and which this release wants; None if it has none yet."""

    current: str | None
    head: str

    @property
    def ready(self) -> bool:
        """Whether the service can work with it as it is."""
        return self.current == self.head


def look(connection: Connection) -> Schema:
    """
    See which tables there are; changes nothing.

    Raises:
        SchemaUnknown: They are a newer release's or another program's.

    """
    scripts = ScriptDirectory.from_config(_config())
    head = scripts.get_current_head()
    if head is None:  # pragma: no cover - the package ships its scripts
        raise SchemaUnknown("this installation lacks its migrations")
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise SchemaUnknown(
            f"the database has schema {current}, made by a newer release: this one knows up to {head}. "
            "Upgrade opencode-a2a-server, or name another database"
        )
    if current is None and (foreign := inspect(connection).get_table_names()):
        raise SchemaUnknown(
            f"the database belongs to another program (it has the table {foreign[0]}); name another database"
        )
    return Schema(current, head)


def head_revision() -> str:
    """Name the schema that this release wants."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def bring_up(connection: Connection) -> Schema:
    """
    Bring the tables to this release's, within the connection's transaction.

    Raises:
        SchemaUnknown: They are a newer release's or another program's.

    """
    schema = look(connection)
    if not schema.ready:
        command.upgrade(_config(connection), "head")
    return schema


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
