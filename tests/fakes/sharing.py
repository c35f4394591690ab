"""Several replicas on one real PostgreSQL, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import asyncpg
from attrs import define, field
from sqlalchemy import URL

from opencode_a2a_server.adapters.outbound.stores.journal import LiveJournal
from opencode_a2a_server.adapters.outbound.stores.opening import Stores, open_stores
from opencode_a2a_server.adapters.outbound.stores.postgres import PostgresStorage
from opencode_a2a_server.adapters.outbound.stores.replica import Replica
from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.ports.clock import Clock
from tests.fakes import postgres


@define(eq=False)
class Sharer:
    """One replica, and what a test does to it."""

    stores: Stores
    sharing: Sharing

    @property
    def storage(self) -> PostgresStorage:
        """Give its storage."""
        storage = self.stores.retention
        assert isinstance(storage, PostgresStorage)
        return storage

    @property
    def replica(self) -> Replica:
        """Give its place among the others."""
        return self.storage.replica

    @property
    def journal(self) -> LiveJournal:
        """Give its journal."""
        journal = self.stores.journal
        assert isinstance(journal, LiveJournal)
        return journal

    async def silence(self) -> None:
        """Let it renew its place no more, over a connection that is closed, and that be long ago."""
        await fall_silent(self.storage)

    async def bury(self) -> None:
        """Let it find out who is dead, which may have it wait a beat."""
        await self.replica.bury()

    async def revive(self) -> None:
        """Let it find out what became of it meanwhile."""
        await self.replica.beat()
        if not self.replica.id:
            await self.replica.beat()


@define(eq=False)
class Sharing:
    """A database, and those who share it."""

    url: URL
    clock: Clock
    _connection: Any
    _stack: AsyncExitStack = field(factory=AsyncExitStack)

    @classmethod
    @asynccontextmanager
    async def opened(cls, clock: Clock | None = None) -> AsyncIterator[Self]:
        """Give an empty one."""
        url = await postgres.settled()
        connection = await asyncpg.connect(host=str(url.query["host"]), user=url.username, database=url.database)
        sharing = cls(url, clock or SystemClock(), connection)
        try:
            async with sharing._stack:
                yield sharing
        finally:
            await connection.close()

    async def join(self) -> Sharer:
        """Have one more replica."""
        url = self.url.render_as_string(hide_password=False)
        return Sharer(await self._stack.enter_async_context(open_stores(url, self.clock, pace=Pace(linger=0))), self)

    async def run(self, sql: str, *values: Any) -> list[Any]:
        """Look into the database, or change it behind everybody's back."""
        return list(await self._connection.fetch(sql, *values))


async def fall_silent(storage: PostgresStorage) -> None:
    """Have a replica be found dead by the next look, as one that was killed a minute ago."""
    storage._living.cancel()
    await asyncio.wait([storage._living])  # a beat on its way would be heard after what follows
    storage.replica._hang_up()
    async with storage.asking() as connection:
        await connection.execute("UPDATE replicas SET seen_at = seen_at - 60 WHERE id = $1", storage.replica.id)
        renewing = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1"
        while await connection.fetchval(renewing, storage.replica.id):
            pass


async def soon(look: Callable[[], object]) -> None:
    """Wait until something has come true that another replica has to hear of first."""
    async with asyncio.timeout(5):
        while not look():  # noqa: ASYNC110 - there is no event: it is what the product does that is looked at
            await asyncio.sleep(0.001)
