"""Whom sessions belong to, in the same storage and by the same writer as the journals."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from attrs import field, frozen
from sqlalchemy import bindparam, func, literal_column, select

from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Ownership

from . import statements
from .codec import check_text
from .reads import Changing, Link
from .writer import Writer

RECENT = 4096
"""Ownerships kept in memory: those that may not be written yet, and those that are asked for again."""


@frozen
class _Recent:
    """Those kept in memory, None for what is nobody's."""

    writer: Writer
    kept: OrderedDict[SessionId, Ownership | None] = field(factory=OrderedDict, init=False)

    def among(self, sessions: Sequence[SessionId]) -> dict[SessionId, Ownership | None]:
        return {session_id: self.kept[session_id] for session_id in sessions if session_id in self.kept}

    async def remember(self, session_id: SessionId, held: Ownership | None) -> None:
        """Keep it in mind; the older half of too many is let go of, once it can be found in the storage."""
        self.kept[session_id] = held
        self.kept.move_to_end(session_id)
        if len(self.kept) <= RECENT:
            return
        await self.writer.written()
        for _ in range(len(self.kept) - RECENT // 2):
            self.kept.popitem(last=False)


@frozen
class StoredOwners:
    """The port `Owners`."""

    _writer: Writer
    _recent: _Recent = field(init=False)
    _deciding: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    @_recent.default
    def _none_yet(self) -> _Recent:
        return _Recent(self._writer)

    async def claim(self, wanted: Ownership) -> bool:
        """See `Owners.claim`: one decision at a time, each on what the last one left."""
        check_text(wanted.session_id, wanted.principal)
        async with self._deciding:
            held = (await self._held([wanted.session_id])).get(wanted.session_id)
            become = wanted.over(held, self._writer.clock.now())
            if become is None:
                return False
            if become != held:
                self._writer.own(wanted.session_id, become)
            await self._recent.remember(wanted.session_id, become)
            return True

    async def begin(self, session_id: SessionId, principal: Principal) -> None:
        """See `Owners.begin`: a storage that is asked for each new session costs more than all else it does for a turn."""
        check_text(session_id, principal)
        made = Ownership(session_id, principal)
        async with self._deciding:
            self._writer.own(session_id, made)
            await self._recent.remember(session_id, made)

    async def release(self, session_id: SessionId, principal: Principal) -> None:
        """See `Owners.release`."""
        async with self._deciding:
            held = (await self._held([session_id])).get(session_id)
            if held is not None and held.principal == principal and held.until is not None:
                self._writer.own(session_id, None)
                await self._recent.remember(session_id, None)

    async def page(self, after: SessionId, most: int) -> Sequence[Ownership]:
        """See `Owners.page`."""
        await self._writer.written()
        return await self._writer.storage.page_of_owners(after, most)

    async def forget(self, held: Ownership) -> None:
        """See `Owners.forget`."""
        async with self._deciding:
            if (await self._held([held.session_id])).get(held.session_id) == held:
                self._writer.own(held.session_id, None)
                await self._recent.remember(held.session_id, None)

    async def of(self, sessions: Sequence[SessionId]) -> Mapping[SessionId, Ownership]:
        """See `Owners.of`."""
        now = self._writer.clock.now()
        return {
            session_id: held for session_id, held in (await self._held(sessions)).items() if held and held.stands(now)
        }

    async def _held(self, sessions: Sequence[SessionId]) -> Mapping[SessionId, Ownership | None]:
        known = self._recent.among(sessions)
        unknown = [session_id for session_id in sessions if session_id not in known]
        if not unknown:
            return known
        stored = {held.session_id: held for held in await self._writer.storage.owners(unknown)}
        return {**stored, **known, **self._recent.among(unknown)}


_LOCK: Final = statements.Statement.of(
    select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("session"), literal_column("1"))))
)
"""Of two replicas which claim a session at once, one waits."""


@frozen
class SharedOwners:
    """
    The port `Owners` where several replicas share the storage: each decision is a transaction of its own.

    What is final is kept in mind, since it stays so as long as there is the session; of one that was just made it goes with
    what is journaled next.
    """

    _writer: Writer
    _storage: Changing
    _final: _Recent = field(init=False)

    @_final.default
    def _none_yet(self) -> _Recent:
        return _Recent(self._writer)

    async def claim(self, wanted: Ownership) -> bool:
        """See `Owners.claim`."""
        check_text(wanted.session_id, wanted.principal)
        held = (await self._held([wanted.session_id])).get(wanted.session_id)
        if held is not None and held.until is None:  # and stays so: nothing is to be decided
            return held.principal == wanted.principal
        async with self._deciding(wanted.session_id) as (link, held):
            become = wanted.over(held, self._writer.clock.now())
            if become is not None and become != held:
                await link.run(statements.OWN, statements.owner_row(become))
            return become is not None

    async def begin(self, session_id: SessionId, principal: Principal) -> None:
        """See `Owners.begin`."""
        check_text(session_id, principal)
        made = Ownership(session_id, principal)
        self._writer.own(session_id, made)
        await self._final.remember(session_id, made)

    async def release(self, session_id: SessionId, principal: Principal) -> None:
        """See `Owners.release`."""
        async with self._deciding(session_id) as (link, held):
            if held is not None and held.principal == principal and held.until is not None:
                await link.run(statements.DISOWN, {"of": session_id})

    async def page(self, after: SessionId, most: int) -> Sequence[Ownership]:
        """See `Owners.page`."""
        await self._writer.written()
        return await self._writer.storage.page_of_owners(after, most)

    async def forget(self, held: Ownership) -> None:
        """See `Owners.forget`."""
        await self._writer.written()
        async with self._deciding(held.session_id) as (link, stands):
            if stands == held:
                await link.run(statements.DISOWN, {"of": held.session_id})
                self._final.kept.pop(held.session_id, None)

    async def of(self, sessions: Sequence[SessionId]) -> Mapping[SessionId, Ownership]:
        """See `Owners.of`."""
        now = self._writer.clock.now()
        return {session_id: held for session_id, held in (await self._held(sessions)).items() if held.stands(now)}

    async def _held(self, sessions: Sequence[SessionId]) -> Mapping[SessionId, Ownership]:
        known = {one: held for one, held in self._final.among(sessions).items() if held is not None}
        unknown = [one for one in sessions if one not in known]
        if not unknown:
            return known
        stored = {held.session_id: held for held in await self._writer.storage.owners(unknown)}
        for held in stored.values():
            if held.until is None:
                await self._final.remember(held.session_id, held)
        return {**stored, **known}

    @asynccontextmanager
    async def _deciding(self, session_id: SessionId) -> AsyncIterator[tuple[Link, Ownership | None]]:
        async with self._storage.changing() as link:
            await link.run(_LOCK, {"session": session_id})
            rows = await link.run(statements.OWNERS_ON_POSTGRES, {"sessions": json.dumps([session_id])})
            yield link, statements.owner_of(rows[0]) if rows else None
