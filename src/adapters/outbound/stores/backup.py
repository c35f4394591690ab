"""
Backups: the store as it was at one moment, in one file, made while the service serves.

A SQLite database is copied page by page and is itself such a file. Of a PostgreSQL database the tables are copied in
their binary form into an archive, by one transaction that sees one moment; `pg_dump` does as well, and more.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Table

from .errors import StoreUnusable
from .files import claim, existing, hold
from .schema import HEAD
from .sqlite import check_schema
from .tables import METADATA, OF_PROCESSES

_PAGES: Final = 1024
"""Copied at once; between, others read and write."""
_MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1

Progress = Callable[[int, int], None]
"""Hears how much is left, and of how much."""


def _quiet(_left: int, _all: int) -> None:
    """Hear it and say nothing."""


# SQLite


async def back_up_sqlite(path: Path, into: Path, progress: Progress = _quiet) -> None:
    """
    Copy a database, which may be in use, into a new file.

    Raises:
        StoreUnusable: There is no such database, or the file is there or cannot be written.

    """
    if existing(path) is None:
        raise StoreUnusable(f"there is no database {path}")
    with _made(into):
        await asyncio.to_thread(_copy, path, into, progress)


def _copy(path: Path, into: Path, progress: Progress) -> None:
    with _connected(path, "ro") as source, _connected(into, "rw") as target:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # one moment: else each write begins it anew
        source.backup(target, pages=_PAGES, progress=lambda _, left, total: progress(left, total), sleep=0.005)
        target.execute("PRAGMA journal_mode = DELETE")
        found = target.execute("PRAGMA quick_check").fetchone()
    if found != ("ok",):
        raise StoreUnusable(f"the copy {into} is damaged, and so is probably {path}: {found[0]}")


async def restore_sqlite(backup: Path, path: Path, *, replace: bool = False) -> None:
    """
    Put a backup in the place of a database that nobody uses.

    Raises:
        StoreUnusable: The backup is none, or of a newer release; or there is a database and `replace` is not given.

    """
    if not (await check_schema(backup)).current:
        raise StoreUnusable(f"{backup} is no backup of ours")
    if existing(path) is not None and not replace:
        raise StoreUnusable(f"there is a database {path}; say that it is to be replaced, or name another one")
    claim(path)
    with hold(path):
        await _put(backup, path)
    await check_schema(path)


async def _put(backup: Path, path: Path) -> None:
    fresh = path.with_name(f"{path.name}.restored")
    fresh.unlink(missing_ok=True)
    with _made(fresh):
        await asyncio.to_thread(_copy, backup, fresh, _quiet)
    for side in ("-wal", "-shm"):  # what a crash left of the old one must not be taken for the new one's
        path.with_name(path.name + side).unlink(missing_ok=True)
    fresh.replace(path)


@contextmanager
def _connected(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=10)
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnusable(f"{path}: {error}") from error


@contextmanager
def _made(path: Path) -> Iterator[None]:
    """Make a file that only we can read, and take it away again if what fills it breaks."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise StoreUnusable(f"there is a file {path} already; name a new one") from None
    except OSError as error:
        raise StoreUnusable(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


# PostgreSQL


async def back_up_postgres(url: URL, into: Path, progress: Progress = _quiet) -> None:
    """
    Copy the tables of a database, which may be in use, into a new archive.

    Raises:
        StoreUnusable: The file is there or cannot be written.
        JournalUnavailable: The database cannot be read.

    """
    from .postgres import connected

    with _made(into):
        async with connected(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            revision = await connection.fetchval("SELECT version_num FROM alembic_version")
            tables = _kept()
            with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                manifest = {"format": _FORMAT, "schema": revision, "tables": [table.name for table in tables]}
                archive.writestr(_MANIFEST, json.dumps(manifest))
                for done, table in enumerate(tables):
                    progress(len(tables) - done, len(tables))
                    columns = [column.name for column in table.columns]
                    with _spooled() as spool:
                        await connection.copy_from_table(table.name, columns=columns, output=spool, format="binary")
                        spool.seek(0)
                        _add(archive, table.name, spool)


async def restore_postgres(backup: Path, url: URL, *, replace: bool = False) -> None:
    """
    Fill the tables of a database that nobody uses from a backup.

    Raises:
        StoreUnusable: The backup is none, or of another release; or there are tasks and `replace` is not given.
        JournalUnavailable: The database cannot be written.

    """
    from .postgres import connected, migrate

    try:
        archive = zipfile.ZipFile(backup)
        manifest = json.loads(archive.read(_MANIFEST))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StoreUnusable(f"{backup} is no backup of ours: {error}") from error
    if manifest.get("format") != _FORMAT or manifest.get("schema") != HEAD:
        raise StoreUnusable(
            f"{backup} is of schema {manifest.get('schema')}, this release has {HEAD}: restore it with the "
            "release that made it, then upgrade"
        )
    await migrate(url)
    with archive:
        async with connected(url) as connection, connection.transaction():
            names = ", ".join(METADATA.tables)
            await connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            if not replace and await connection.fetchval("SELECT count(*) FROM tasks"):
                raise StoreUnusable("the database has tasks; say that they are to be replaced, or name another one")
            await connection.execute(f"TRUNCATE {names}")
            # Triggers count what comes in; what the backup has counted takes that count's place.
            for table in sorted(_kept(), key=lambda table: table.name == "tallies"):
                if table.name == "tallies":
                    await connection.execute("TRUNCATE tallies")
                columns = [column.name for column in table.columns]
                with archive.open(table.name) as told:
                    await connection.copy_to_table(table.name, columns=columns, source=told, format="binary")
            await connection.execute("UPDATE tasks SET owner = NULL WHERE owner IS NOT NULL")  # numbers begin anew
            await connection.execute("SELECT setval(pg_get_serial_sequence('tasks', 'key'), max(key)) FROM tasks")


def _kept() -> list[Table]:
    return [table for table in METADATA.tables.values() if table.name not in OF_PROCESSES]


@contextmanager
def _spooled() -> Iterator[Any]:
    with tempfile.SpooledTemporaryFile(max_size=16 * 1024 * 1024) as spool:
        yield spool


def _add(archive: zipfile.ZipFile, name: str, spool: Any) -> None:
    with archive.open(name, "w", force_zip64=True) as entry:
        while chunk := spool.read(1 << 20):
            entry.write(chunk)
