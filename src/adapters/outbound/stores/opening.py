"""Open the stores that a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from attrs import frozen
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from opencode_a2a_server.app.ports.bindings import Bindings
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.errands import Errands
from opencode_a2a_server.app.ports.holds import Holds
from opencode_a2a_server.app.ports.interrupts import Interrupts
from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.ports.ledger import Ledger
from opencode_a2a_server.app.ports.meter import UNMETERED, Meter
from opencode_a2a_server.app.ports.owners import Owners
from opencode_a2a_server.app.ports.push_configs import PushConfigs
from opencode_a2a_server.app.ports.replicas import Replicas
from opencode_a2a_server.app.ports.retention import Retention
from opencode_a2a_server.app.ports.talk import Talk
from opencode_a2a_server.app.ports.works import Works

from .bindings import SharedBindings, StoredBindings
from .errands import NoErrands, SharedErrands
from .errors import StoreUnusable
from .following import Following
from .holds import OwnHolds, SharedHolds
from .interrupts import StoredInterrupts
from .journal import LiveJournal
from .ledger import MemoryLedger, StoredLedger
from .memory import MemoryStorage
from .owners import SharedOwners, StoredOwners
from .push_configs import StoredPushConfigs
from .replicas import OneReplica, SharedReplicas
from .sqlite import SqliteStorage
from .storage import Storage
from .talk import NoTalk, SharedTalk
from .works import MemoryWorks, StoredWorks
from .writer import Pace, Writer

if TYPE_CHECKING:
    from .postgres import PostgresStorage

_SQLITE = ("sqlite", "sqlite+aiosqlite")
_POSTGRES = ("postgres", "postgresql", "postgresql+asyncpg")


@frozen
class Stores:
    """One storage behind each of its ports."""

    journal: Journal
    bindings: Bindings
    owners: Owners
    push_configs: PushConfigs
    interrupts: Interrupts
    retention: Retention
    holds: Holds
    replicas: Replicas
    errands: Errands
    backlog: Callable[[], int]
    """Gives the bytes that wait to be written."""
    ledger: Ledger
    talk: Talk
    works: Works


@asynccontextmanager
async def open_stores(
    url: str | None, clock: Clock, *, pace: Pace | None = None, meter: Meter = UNMETERED
) -> AsyncIterator[Stores]:
    """
    Open the stores for as long as the body runs; then what waits is written.

    None keeps them in memory, as does a SQLite URL without a file.

    Raises:
        StoreUnusable: The URL names no storage we have, or one that cannot be used as it is.
        JournalUnavailable: The storage cannot be used now.

    """
    pace = pace or Pace()
    shared = url is not None and is_postgres(url)
    opened = _open_shared(parsed_url(url or ""), clock, pace, meter) if shared else _open_own(url, clock, pace, meter)
    async with opened as stores:
        yield stores


async def open_storage(url: str, clock: Clock, *, alone: bool = True) -> Storage:
    """Open the storage that a URL names; if not `alone`, a SQLite file that a service has is opened beside it."""
    if is_postgres(url):
        return await _join(parsed_url(url), clock)
    path = database_path(url)
    return MemoryStorage() if path is None else await SqliteStorage.open(path, alone=alone)


def is_postgres(url: str) -> bool:
    """Say whether a URL names a PostgreSQL database."""
    return parsed_url(url).drivername in _POSTGRES


@asynccontextmanager
async def _open_own(url: str | None, clock: Clock, pace: Pace, meter: Meter) -> AsyncIterator[Stores]:
    path = None if url is None else database_path(url)
    storage = MemoryStorage() if path is None else await SqliteStorage.open(path)
    async with _closed_at_the_end(storage):
        writer = Writer(storage, clock, pace, meter)
        async with LiveJournal(writer) as journal:
            yield Stores(
                journal,
                StoredBindings(writer),
                StoredOwners(writer),
                StoredPushConfigs(writer),
                StoredInterrupts(writer),
                storage,
                OwnHolds(),
                OneReplica(journal),
                NoErrands(),
                lambda: writer.backlog,
                MemoryLedger() if isinstance(storage, MemoryStorage) else StoredLedger(storage),
                NoTalk(),
                MemoryWorks() if isinstance(storage, MemoryStorage) else StoredWorks(storage),
            )


@asynccontextmanager
async def _open_shared(url: URL, clock: Clock, pace: Pace, meter: Meter) -> AsyncIterator[Stores]:
    storage = await _join(url, clock)
    async with _closed_at_the_end(storage):
        writer, replica = Writer(storage, clock, pace, meter), storage.replica
        async with LiveJournal(writer, replica, Following(storage, clock)) as journal:
            yield Stores(
                journal,
                SharedBindings(writer),
                SharedOwners(writer, storage),
                StoredPushConfigs(writer),
                StoredInterrupts(writer),
                storage,
                SharedHolds(storage, writer, replica),
                SharedReplicas(storage, journal, replica, clock),
                SharedErrands(storage, writer, replica),
                lambda: writer.backlog,
                StoredLedger(storage),
                SharedTalk(storage, replica),
                StoredWorks(storage),
            )


async def _join(url: URL, clock: Clock) -> PostgresStorage:
    try:
        from .postgres import PostgresStorage
    except ImportError as error:
        raise StoreUnusable(
            f"PostgreSQL needs a package more ({error.name}): pip install 'opencode-a2a-server[postgres]'"
        ) from error
    return await PostgresStorage.open(url, clock)


@asynccontextmanager
async def _closed_at_the_end(storage: Storage) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await storage.close()


def parsed_url(url: str) -> URL:
    """
    Take a URL apart.

    Raises:
        StoreUnusable: It is none.

    """
    try:
        return make_url(url)
    except ArgumentError:
        raise StoreUnusable(
            "the database URL cannot be read; it should be like sqlite+aiosqlite:///tasks.db "
            "or postgresql+asyncpg://user:password@host/name"
        ) from None


def database_path(url: str) -> Path | None:
    """
    Give the file that a SQLite URL names, None for memory.

    Raises:
        StoreUnusable: It names something else.

    """
    parsed = parsed_url(url)
    if parsed.drivername not in _SQLITE:
        raise StoreUnusable(
            f"there is no store for {parsed.drivername}; use sqlite+aiosqlite:///path/of/the/file "
            "or postgresql+asyncpg://user:password@host/name"
        )
    name = (parsed.database or "").removeprefix("file:")
    options = sorted(set(parsed.query) - {"uri"})
    if options:
        raise StoreUnusable(f"the database URL has options that are not known: {', '.join(options)}")
    return None if name in ("", ":memory:") else Path(name)
