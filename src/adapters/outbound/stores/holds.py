"""What only one at a time may have: within this process, and over all replicas that share a database."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final
from weakref import WeakValueDictionary

from attrs import define, field, frozen

from opencode_a2a_server.domain.errors import JournalUnavailable

from .reads import Asked
from .replica import RELEASED, Replica
from .writer import Writer

_LOOK_SECONDS: Final = 0.5
"""From one look to the next whether it was our turn without anybody telling."""
_GIVEN_BACK: Final = 10_000
"""Tickets of which it is known that the writer has to give them back, if it has not yet."""

_IN_ORDER: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
"""Tickets of a name become visible in their order."""
_DRAW: Final = "INSERT INTO holds (name, replica) VALUES ($1, $2) RETURNING ticket"
_FIRST: Final = "SELECT min(ticket) FROM holds WHERE name = $1"
_FORGET: Final = "DELETE FROM holds WHERE name = $1 AND replica = $2 AND ticket <> ALL($3::bigint[])"
_STANDS: Final = "SELECT min(ticket), bool_or(ticket = $2) FROM holds WHERE name = $1"


@define(eq=False)
class _Lock:
    """What one at a time has."""

    lock: asyncio.Lock = field(factory=asyncio.Lock)
    users: int = 0
    """How many have it, or wait for it."""


@frozen(repr=False)
class OwnHolds:
    """The port `Holds` within one process: a lock by name which exists only while somebody holds it or waits for it."""

    _locks: dict[str, _Lock] = field(factory=dict, init=False)

    def alone(self, name: str) -> AbstractAsyncContextManager[None]:
        """See `Holds.alone`."""
        return _Alone(self._locks, name)

    @asynccontextmanager
    async def at_once(self, name: str) -> AsyncIterator[bool]:
        """See `Holds.at_once`."""
        if name in self._locks:
            yield False
            return
        async with self.alone(name):
            yield True


@define(eq=False)
class _Alone:
    locks: dict[str, _Lock]
    name: str

    async def __aenter__(self) -> None:
        held = self.locks.setdefault(self.name, _Lock())
        held.users += 1
        try:
            await held.lock.acquire()
        except BaseException:
            self._leave(held)
            raise

    async def __aexit__(self, *_: object) -> None:
        held = self.locks[self.name]
        held.lock.release()
        self._leave(held)

    def _leave(self, held: _Lock) -> None:
        held.users -= 1
        if not held.users:
            del self.locks[self.name]


@define(eq=False, repr=False)
class SharedHolds:
    """
    The port `Holds` over all replicas: who has drawn the lowest ticket of a name has it.

    Within a process the lock comes first, so that one ticket of each name at most is drawn by each. The tickets of a
    replica go with it. One is given back by the writer, behind all that was put before.

    Who draws one may not hear that the database has it as drawn. Nobody would ever give that one back, so it is looked for.
    """

    _storage: Asked
    _writer: Writer
    _replica: Replica
    _own: OwnHolds = field(factory=OwnHolds, init=False)
    _waiting: WeakValueDictionary[str, asyncio.Event] = field(factory=WeakValueDictionary, init=False)
    _drawn: set[int] = field(factory=set, init=False)
    _given_back: deque[int] = field(factory=lambda: deque(maxlen=_GIVEN_BACK), init=False)
    _looking: set[asyncio.Task[None]] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._replica.listen(RELEASED, self._told)

    def alone(self, name: str) -> AbstractAsyncContextManager[None]:
        """See `Holds.alone`."""
        name = _short(name)
        return _First(self, name, self._own.alone(name))

    async def draw_first(self, name: str) -> int:
        """Draw tickets until one is the lowest; gives it."""
        ticket, first = await self._draw(name)
        try:
            while not first:
                ticket, first = await self._wait(name, ticket)
        except BaseException:
            self.give_back(ticket)
            raise
        return ticket

    def give_back(self, ticket: int) -> None:
        """Let who is next have what a ticket stands for."""
        self._drawn.discard(ticket)
        self._given_back.append(ticket)
        self._writer.release(ticket)

    @asynccontextmanager
    async def at_once(self, name: str) -> AsyncIterator[bool]:
        """See `Holds.at_once`."""
        name = _short(name)
        async with self._own.at_once(name) as free:
            if not free:
                yield False
                return
            ticket, first = await self._draw(name)
            try:
                yield first
            finally:
                self.give_back(ticket)

    async def _draw(self, name: str) -> tuple[int, bool]:
        """Draw a ticket, also if who draws it goes away; gives whether it is the first."""
        drawing = asyncio.ensure_future(self._draw_one(name))
        try:
            return await asyncio.shield(drawing)
        except asyncio.CancelledError:
            drawing.add_done_callback(self._give_up)
            raise

    async def _draw_one(self, name: str) -> tuple[int, bool]:
        token = self._replica.held()
        try:
            async with self._storage.asking() as connection:
                await connection.execute(_IN_ORDER, name)
                ticket = await connection.fetchval(_DRAW, name, token)
                first = await connection.fetchval(_FIRST, name) == ticket
        except JournalUnavailable:
            looking = asyncio.ensure_future(self._look_for_more(name, token))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)
            raise
        self._drawn.add(ticket)
        return ticket, first

    async def _look_for_more(self, name: str, token: int) -> None:
        """Delete a ticket of ours that nobody knows of, as soon as the database can be asked."""
        while token == self._replica.id:  # those of a life that is over go with it
            with suppress(JournalUnavailable):
                async with self._own.alone(name), self._storage.asking() as connection:
                    await connection.execute(_FORGET, name, token, [*self._drawn, *self._given_back])
                return
            await self._writer.clock.sleep(_LOOK_SECONDS)

    def _give_up(self, drawing: asyncio.Future[tuple[int, bool]]) -> None:
        if not drawing.cancelled() and drawing.exception() is None:
            self.give_back(drawing.result()[0])

    async def _wait(self, name: str, ticket: int) -> tuple[int, bool]:
        """Wait until something may have changed; gives the ticket, another one if this one went with its replica."""
        told = self._waiting.setdefault(name, asyncio.Event())
        with suppress(TimeoutError):
            await self._writer.clock.within(_LOOK_SECONDS, told.wait())
        told.clear()
        with suppress(JournalUnavailable):
            async with self._storage.asking() as connection:
                first, stands = await connection.fetchrow(_STANDS, name, ticket)
            return (ticket, first == ticket) if stands else await self._draw(name)
        return ticket, False

    def _told(self, name: str) -> None:
        for waiting, event in list(self._waiting.items()):
            if name in ("", waiting):
                event.set()


@define(eq=False, repr=False)
class _First:
    """To have a name alone over all replicas; made of little, since some are kept for long."""

    of: SharedHolds
    name: str
    here: AbstractAsyncContextManager[None]
    ticket: int | None = None

    async def __aenter__(self) -> None:
        await self.here.__aenter__()
        try:
            self.ticket = await self.of.draw_first(self.name)
        except BaseException:
            await self.here.__aexit__(None, None, None)
            raise

    async def __aexit__(self, *_: object) -> None:
        if self.ticket is not None:
            self.of.give_back(self.ticket)
        await self.here.__aexit__(None, None, None)


def _short(name: str) -> str:
    """Name it by what any database keeps and a notification has room for."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
