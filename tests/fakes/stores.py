"""The service's own stores, so that a test can end one life of the service and begin the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from attrs import define, field
from sqlalchemy import URL

from opencode_a2a_server.adapters.outbound.stores.bindings import SharedBindings, StoredBindings
from opencode_a2a_server.adapters.outbound.stores.interrupts import StoredInterrupts
from opencode_a2a_server.adapters.outbound.stores.journal import LiveJournal
from opencode_a2a_server.adapters.outbound.stores.memory import MemoryStorage
from opencode_a2a_server.adapters.outbound.stores.owners import SharedOwners, StoredOwners
from opencode_a2a_server.adapters.outbound.stores.postgres import PostgresStorage
from opencode_a2a_server.adapters.outbound.stores.push_configs import StoredPushConfigs
from opencode_a2a_server.adapters.outbound.stores.sqlite import SqliteStorage
from opencode_a2a_server.adapters.outbound.stores.storage import Batch, Head, Line, Storage, Stored
from opencode_a2a_server.adapters.outbound.stores.writer import Pace, Writer
from opencode_a2a_server.app.ports.bindings import Bindings
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.interrupts import Registered
from opencode_a2a_server.app.ports.owners import Owners
from opencode_a2a_server.app.ports.retention import Keeping, Swept
from opencode_a2a_server.app.ports.tasks import Page, Place, Wanted
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import ContextId, Principal, RequestId, Seq, SessionId, TaskId
from opencode_a2a_server.domain.push import Outbox
from opencode_a2a_server.domain.session import Binding, Ownership
from tests.fakes import postgres


@define(eq=False)
class WatchedStorage:
    """
    A storage in which a test sees what is asked of it, and makes it fail.

    `faults` are raised by the next writes, one each; with `lost` the write takes effect all the same. No write goes
    through while `gate` is closed. `before_read` is called before each read.
    """

    beneath: Storage
    faults: list[Exception] = field(factory=list)
    lost: bool = False
    gate: anyio.Event = field(factory=anyio.Event)
    writes: list[Batch] = field(factory=list)
    before_read: Callable[[], Awaitable[object]] | None = None
    loads: int = 0
    reads: int = 0

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    def shut(self) -> None:
        """Let no write through until the gate is set."""
        self.gate = anyio.Event()

    async def write(self, batch: Batch) -> None:
        """Write, or fail as told."""
        await self.gate.wait()
        if self.faults:
            if self.lost:
                await self.beneath.write(batch)
            raise self.faults.pop(0)
        await self.beneath.write(batch)
        self.writes.append(batch)

    async def load(self, task_id: TaskId) -> Stored | None:
        """Count it."""
        self.loads += 1
        return await self.beneath.load(task_id)

    async def read(self, head: Head, after: Seq, upto: Seq | None = None) -> Sequence[Line]:
        """Count it."""
        if self.before_read is not None:
            await self.before_read()
        self.reads += 1
        return await self.beneath.read(head, after, upto)

    async def unfinished(self) -> Sequence[TaskId]:
        """Pass it on."""
        return await self.beneath.unfinished()

    async def page(self, principal: Principal, wanted: Wanted, size: int, after: Place) -> Page:
        """Pass it on."""
        return await self.beneath.page(principal, wanted, size, after)

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """Pass it on."""
        return await self.beneath.find(principal, context_id)

    async def page_of_owners(self, after: SessionId, most: int) -> Sequence[Ownership]:
        """Pass it on."""
        return await self.beneath.page_of_owners(after, most)

    async def owners(self, sessions: Sequence[SessionId]) -> Sequence[Ownership]:
        """Pass it on."""
        return await self.beneath.owners(sessions)

    async def find_interrupt(self, principal: Principal, request: RequestId) -> Registered | None:
        """Pass it on."""
        return await self.beneath.find_interrupt(principal, request)

    async def waiting(self, principal: Principal) -> Sequence[TaskId]:
        """Pass it on."""
        return await self.beneath.waiting(principal)

    async def push_configs(self, task_id: TaskId) -> Sequence[Outbox]:
        """Pass it on."""
        return await self.beneath.push_configs(task_id)

    async def outboxes(self, *, stopped: bool) -> Sequence[Outbox]:
        """Pass it on."""
        return await self.beneath.outboxes(stopped=stopped)

    async def sweep(self, keeping: Keeping, now: float, *, dry: bool = False) -> Swept:
        """Pass it on."""
        return await self.beneath.sweep(keeping, now, dry=dry)

    async def probe(self) -> None:
        """Say nothing while no write goes through."""
        await self.gate.wait()
        await self.beneath.probe()

    async def close(self) -> None:
        """Pass it on."""
        await self.beneath.close()


def full() -> JournalUnavailable:
    """Give the error of a disk that has no room."""
    return JournalUnavailable("database or disk is full")


@define(eq=False)
class Life:
    """One life of the service, as far as it keeps things."""

    journal: LiveJournal
    bindings: Bindings
    owners: Owners
    push_configs: StoredPushConfigs
    interrupts: StoredInterrupts
    storage: WatchedStorage


@define(eq=False)
class Stores:
    """Stores of one kind that can be opened again and again; `live` is the present life."""

    clock: Clock
    kind: str
    directory: Path
    pace: Pace = field(factory=lambda: Pace(linger=0))
    prepared: bool = True
    """Whether a SQLite database has its tables already when it is first opened: to make them takes longer than most tests."""
    _memory: MemoryStorage = field(factory=MemoryStorage, init=False)
    _url: URL | None = field(default=None, init=False)

    @property
    def path(self) -> Path:
        """Where the database is, if there is one."""
        return self.directory / "tasks.db"

    async def _open(self) -> Storage:
        match self.kind:
            case "memory":
                return self._memory
            case "sqlite":
                if self.prepared and not self.path.exists():
                    self.path.write_bytes(await _with_tables())
                return await SqliteStorage.open(self.path)
        if self._url is None:
            self._url = await postgres.emptied()
        storage = await PostgresStorage.open(self._url, self.clock)
        await storage.inherit()  # as the service does when it starts
        storage._living.cancel()  # a test may turn the clock by a year: that is a heart to beat often
        return storage

    @asynccontextmanager
    async def live(self) -> AsyncIterator[Life]:
        """Begin a life; leaving it ends it in order."""
        storage = WatchedStorage(await self._open())
        try:
            writer = Writer(storage, self.clock, self.pace)
            async with LiveJournal(writer) as journal:
                try:
                    beneath = storage.beneath
                    yield Life(
                        journal,
                        SharedBindings(writer) if isinstance(beneath, PostgresStorage) else StoredBindings(writer),
                        SharedOwners(writer, beneath) if isinstance(beneath, PostgresStorage) else StoredOwners(writer),
                        StoredPushConfigs(writer),
                        StoredInterrupts(writer),
                        storage,
                    )
                finally:
                    storage.gate.set()
        finally:
            await storage.close()


_MADE: list[bytes] = []


async def _with_tables() -> bytes:
    """Give a SQLite database that has its tables and nothing in them."""
    if not _MADE:
        with TemporaryDirectory() as directory:
            path = Path(directory) / "tasks.db"
            await (await SqliteStorage.open(path)).close()
            _MADE.append(path.read_bytes())
    return _MADE[0]


KINDS: Sequence[str] = ("memory", "sqlite", "postgres")
IN_MEMORY: Sequence[str] = ("memory", "sqlite")
"""Those that no other process uses, so that what was decided last is known in memory."""
MakeStores = Callable[[str], Stores]
