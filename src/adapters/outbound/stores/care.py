"""What an operator does with a store that a URL names, besides serving from it."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.domain.ids import TaskId

from . import backup
from .errors import StoreUnusable
from .files import existing
from .opening import database_path, is_postgres, open_storage, parsed_url
from .reading import Kept, read_journal
from .schema import Schema
from .sqlite import check_schema, vacuum


@frozen
class Care:
    """
    One store.

    All methods raise `StoreUnusable` where the store, or the file named, is not what it should be, and
    `JournalUnavailable` while it cannot be used.
    """

    url: str
    clock: Clock

    @property
    def path(self) -> Path | None:
        """Its file; None for PostgreSQL."""
        if is_postgres(self.url):
            return None
        if (path := database_path(self.url)) is None:
            raise StoreUnusable("a store in memory has nothing to take care of")
        return path

    async def look(self) -> Schema:
        """Say which tables it has; changes nothing. `current` is None where there is none yet."""
        if (path := self.path) is None:
            from .postgres import check_postgres

            return await check_postgres(parsed_url(self.url))
        if existing(path) is None:
            _check_place(path)
            return Schema(None)
        return await check_schema(path)

    async def upgrade(self) -> None:
        """Make its tables, or bring them to this release's; nobody may serve from a SQLite file meanwhile."""
        await (await open_storage(self.url, self.clock)).close()

    async def back_up(self, into: Path, progress: backup.Progress) -> None:
        """Copy it, while it is in use."""
        if (path := self.path) is None:
            await backup.back_up_postgres(parsed_url(self.url), into, progress)
        else:
            await backup.back_up_sqlite(path, into, progress)

    async def restore(self, from_: Path, *, replace: bool) -> None:
        """Put a backup in its place; nobody may serve from it meanwhile."""
        if (path := self.path) is None:
            await backup.restore_postgres(from_, parsed_url(self.url), replace=replace)
        else:
            await backup.restore_sqlite(from_, path, replace=replace)

    async def sweep(self, keeping: Keeping, now: float, *, dry: bool) -> Swept:
        """Fold and remove what the rules do not keep; makes and upgrades nothing."""
        if not await self._is_ready():
            return Swept()
        storage = await open_storage(self.url, self.clock, alone=False)
        try:
            return await storage.sweep(keeping, now, dry=dry)
        finally:
            await storage.close()

    async def read(self, task_id: TaskId) -> Kept | None:
        """Give a task's journal, None if there is no such task; makes and upgrades nothing."""
        if not await self._is_ready():
            return None
        storage = await open_storage(self.url, self.clock, alone=False)
        try:
            return await read_journal(storage, task_id)
        finally:
            await storage.close()

    async def _is_ready(self) -> bool:
        """Say whether there is anything; what another release serves from is left to it."""
        schema = await self.look()
        if schema.current is not None and not schema.ready:
            raise StoreUnusable(
                f"the schema is {schema.current}, this release reads {schema.head}: upgrade the store first"
            )
        return schema.current is not None

    async def vacuum(self) -> None:
        """Give the room of what was removed back to the file system; PostgreSQL does that by itself."""
        if (path := self.path) is not None and existing(path) is not None:
            await vacuum(path)


def _check_place(path: Path) -> None:
    """Look whether a database that is not there yet could be made."""
    place = path.parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise StoreUnusable(f"the database {path} cannot be made: {place} is not writable")


__all__ = ["Care"]
