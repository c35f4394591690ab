"""Use a session of the runtime: on behalf of whom it belongs to, and nobody else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.ids import Ids
from opencode_a2a_server.app.ports.owners import Owners
from opencode_a2a_server.app.usecases.check_place import CheckPlace
from opencode_a2a_server.domain.errors import JournalUnavailable, SessionNotFound
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Directory, FoundSession, Ownership, Session

_GENERATIONS = 8
"""How deep sub-agents of sub-agents are followed up to the session they work for."""
_CHANCE = 8
"""Characters of an id that are replaced to make it one that nothing has."""


@define
class Use:
    """One use of a session. Who knows that it failed, although nothing was raised, says so."""

    session: Session
    failed: bool = False


@define(eq=False)
class UseSession:
    """
    Use a session by its id, as an asynchronous context manager: for whatever changes something in it.

    A session belongs to who had it made here, or used it first (it may have been begun in OpenCode itself). A first
    use is a claim that keeps others out; it becomes final if the body ends well, is let go of if the body fails, and
    runs out if nobody ever says. A sub-agent's session belongs to whom the session it works for does.

    What is somebody else's is told in the words and in the time of what is unknown.

    Raises:
        SessionNotFound: There is none for this principal, or it works outside the workspace.
        AgentUnreachable: The runtime cannot be asked.
        JournalUnavailable: The store cannot be used.

    """

    agent: Agent
    owners: Owners
    places: CheckPlace
    clock: Clock
    ids: Ids
    claim_seconds: float = 30.0
    claimable: bool = True
    """Whether a session that was not begun here may be used."""
    uses: Counter[SessionId] = field(factory=Counter, init=False)
    """How often each session that is only claimed is in use now."""

    def __call__(self, principal: Principal, session_id: SessionId) -> AbstractAsyncContextManager[Use]:
        """Use a session."""
        return self._use(principal, session_id)

    @asynccontextmanager
    async def _use(self, principal: Principal, session_id: SessionId) -> AsyncIterator[Use]:
        session, root = await self._claimed(principal, session_id)
        async with _Holding(self, principal, session, root) as use:
            yield use

    # For what only reads

    async def see(self, principal: Principal, session_id: SessionId) -> FoundSession:
        """Give a session that this principal may use, without claiming it."""
        found, root = await self._found(principal, session_id)
        held = (await self.owners.of([root])).get(root)
        if held is None and not self.claimable:
            raise _missing(session_id)
        return found

    async def visible(self, principal: Principal, sessions: Sequence[SessionId]) -> frozenset[SessionId]:
        """Name those of some sessions which this principal may use; those of sub-agents are for `see` to tell."""
        held = await self.owners.of(sessions)
        return frozenset(one for one in sessions if self._open_to(principal, held.get(one)))

    # For who uses one over several calls

    async def claim(self, principal: Principal, session_id: SessionId) -> FoundSession:
        """Keep others out for `claim_seconds`; gives the session."""
        found, root = await self._found(principal, session_id)
        if not await self._claim(principal, root):
            raise _missing(session_id)
        return found

    async def hold(self, principal: Principal, session_id: SessionId) -> bool:
        """Claim a session that was used before, without looking it up; False if it has become somebody else's."""
        return await self._claim(principal, session_id)

    def holding(self, principal: Principal, session: Session) -> AbstractAsyncContextManager[Use]:
        """
        Hold a session, claimed before or not, as long as the body runs: as `__call__` does, without looking it up.

        Somebody else's is not held, and no error.
        """
        return _Holding(self, principal, session, session.id)

    async def release(self, principal: Principal, session_id: SessionId) -> None:
        """Let go of a claim that comes to nothing, unless the session is in use."""
        if not self.uses[session_id]:
            await self.owners.release(session_id, principal)

    async def begin(self, principal: Principal, session_id: SessionId) -> None:
        """Have a session that was just made belong to whom it was made for."""
        await self.owners.begin(session_id, principal)

    async def own(self, principal: Principal, session_id: SessionId) -> bool:
        """Have a session belong to who had success with it; False if it is another's."""
        return await self.owners.claim(Ownership(session_id, principal))

    # Inside

    async def _claimed(self, principal: Principal, session_id: SessionId) -> tuple[Session, SessionId]:
        found, root = await self._found(principal, session_id)
        if not await self._claim(principal, root):
            raise _missing(session_id)
        return found.session, root

    async def _claim(self, principal: Principal, root: SessionId) -> bool:
        if not self.claimable:
            held = (await self.owners.of([root])).get(root)
            return held is not None and held.principal == principal
        return await self.owners.claim(Ownership(root, principal, self.clock.now() + self.claim_seconds))

    async def _found(self, principal: Principal, session_id: SessionId) -> tuple[FoundSession, SessionId]:
        """Give a session, and the one that says to whom it belongs."""
        held = (await self.owners.of([session_id])).get(session_id)
        foreign = held is not None and held.principal != principal
        found = await self.agent.find_session(self._unlike(session_id) if foreign else session_id)
        if foreign or found is None or not await self._reached(principal, found.session.directory):
            raise _missing(session_id)
        root = await self._root(found)
        if not self._open_to(principal, (await self.owners.of([root])).get(root)):
            raise _missing(session_id)
        return found, root

    async def _reached(self, principal: Principal, directory: Directory) -> bool:
        return await self.places.has(directory) and await self.places.within(principal, directory)

    async def _root(self, found: FoundSession) -> SessionId:
        above: FoundSession | None = found
        root = found.session.id
        for _ in range(_GENERATIONS):
            if above is None or above.parent is None:
                break
            root = above.parent
            above = await self.agent.find_session(root)
        return root

    def _open_to(self, principal: Principal, held: Ownership | None) -> bool:
        return self.claimable if held is None else held.principal == principal

    def _unlike(self, session_id: SessionId) -> SessionId:
        """Give an id of the same form which nothing has: asking for it takes as long as for any that is unknown."""
        return SessionId(session_id[:-_CHANCE] + self.ids.new().replace("-", "")[:_CHANCE])


@define(eq=False)
class _Holding:
    """One use of a session that is held, claimed first if need be; made of little, since some are kept for long."""

    of: UseSession
    principal: Principal
    session: Session
    root: SessionId
    use: Use | None = None
    renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Use:
        of, root = self.of, self.root
        self.use = Use(self.session)
        held = (await of.owners.of([root])).get(root)
        if held is None or not (held.until is None or held.principal != self.principal):
            of.uses[root] += 1
            self.renewing = asyncio.get_running_loop().create_task(self._renew(), name=f"claim of {root}")
        return self.use

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.renewing is None or self.use is None:
            return
        self.renewing.cancel()
        self._leave()
        if kind is None or issubclass(kind, Exception):
            self.use.failed = self.use.failed or kind is not None
            await self._settle(self.use)
        # Who was cut off does not know whether it was a success: the claim runs out by itself.

    def _leave(self) -> None:
        uses = self.of.uses
        uses[self.root] -= 1
        if not uses[self.root]:
            del uses[self.root]

    async def _settle(self, use: Use) -> None:
        with suppress(JournalUnavailable):  # the claim runs out then, and what was done is done
            if use.failed:
                await self.of.release(self.principal, self.root)
            else:
                await self.of.own(self.principal, self.root)

    async def _renew(self) -> None:
        while True:
            with suppress(JournalUnavailable):
                await self.of.hold(self.principal, self.root)
            await self.of.clock.sleep(self.of.claim_seconds / 2)


def _missing(session_id: SessionId) -> SessionNotFound:
    return SessionNotFound(f"there is no session {session_id}")


__all__ = ["Use", "UseSession"]
