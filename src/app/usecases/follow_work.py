"""Follow what a session does without a task: it counts as a turn, is charged, and what it asks is tended."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from typing import Final

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Agent, Hearing
from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.sessions import SessionReader
from opencode_a2a_server.app.ports.works import Working, Works
from opencode_a2a_server.app.usecases import audit_interrupts
from opencode_a2a_server.app.usecases.beside import Beside
from opencode_a2a_server.app.usecases.keep_quotas import KeepQuotas
from opencode_a2a_server.domain.errors import AgentFault, JournalUnavailable, SessionNotFound, Unavailable
from opencode_a2a_server.domain.events import Answered, Asked, Event, Gap
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.inbox import Inbox
from opencode_a2a_server.domain.interrupt import Interrupt, resolution_of
from opencode_a2a_server.domain.session import Session
from opencode_a2a_server.domain.terms import Terms
from opencode_a2a_server.domain.updates import AnswerGiven
from opencode_a2a_server.domain.usage import Usage

_log = logging.getLogger(__name__)

_PAGE: Final = 100
_PAGES: Final = 50
_GENERATIONS: Final = 8
"""How deep sub-agents of sub-agents are looked for."""
_RETRY: Final = 5.0
"""Seconds after which a runtime that could not be asked is asked again."""


@define(eq=False)
class FollowWork:
    """
    Follow a session as long as the body works in it; its asynchronous context manager.

    What is asked is decided by the operator's rules and deadlines as in a turn; a person answers by `AnswerWork`. What was
    used is read in the session's history when it ends, sub-agents included. If the service ends before, the register still
    has the work: the next life goes on with it, by `again`.

    Raises what `KeepQuotas` and the runtime raise, before the body runs.
    """

    agent: Agent
    reader: SessionReader
    works: Works
    clock: Clock
    audit: Audit
    terms: Terms
    quotas: KeepQuotas
    turns_of: Callable[[Principal], int]
    """Counts the turns of a principal's that are under way."""
    inboxes: dict[SessionId, Inbox] = field(factory=dict, init=False)
    """What is asked in the sessions that are followed here."""

    def __call__(self, principal: Principal, session: Session) -> AbstractAsyncContextManager[None]:
        """Follow what begins now."""
        return self._followed(principal, session)

    def again(self, working: Working) -> AbstractAsyncContextManager[None]:
        """Follow what another life of the service began."""
        return self._until_settled(working, doubtful=True)

    @asynccontextmanager
    async def _followed(self, principal: Principal, session: Session) -> AsyncIterator[None]:
        before = await self.reader.get(session.id)
        working = Working(session, principal, self.clock.now(), before.updated or before.created or 0.0)
        with ExitStack() as counted:
            async with self.quotas.admitted(principal, lambda: self.turns_of(principal)):
                counted.enter_context(self.quotas.working(principal))
                await self.works.begin(working)
            async with self._until_settled(working):
                yield

    @asynccontextmanager
    async def _until_settled(self, working: Working, *, doubtful: bool = False) -> AsyncIterator[None]:
        try:
            async with self._tended(working, doubtful=doubtful):
                yield
        except Exception:
            await self.settle(working)
            raise
        await self.settle(working)

    async def settle(self, working: Working) -> None:
        """Charge what was used, and forget the work."""
        if self.quotas.charges(working.principal):
            try:
                used = await self._used(working.session.id, working.since)
            except (Unavailable, AgentFault, SessionNotFound) as fault:
                _log.error(
                    "what session %s used is not charged to %s: %s", working.session.id, working.principal, fault
                )
            else:
                await self.quotas.charge(working.principal, None, used)
        with suppress(JournalUnavailable):  # whoever looks for it next finds the session at rest
            await self.works.end(working.session.id)

    async def _used(self, session: SessionId, since: float, generation: int = 0) -> Usage:
        used, before = Usage(), None
        for _ in range(_PAGES):
            page = await self.reader.messages(session, _PAGE, before)
            new = [spoken for spoken in page.messages if (spoken.created or 0.0) > since]
            used = sum((spoken.usage for spoken in new if spoken.usage is not None), start=used)
            before = page.before
            if before is None or len(new) < len(page.messages):
                break
        for child in await self.reader.children(session) if generation < _GENERATIONS else ():
            if child.updated is None or child.updated > since:
                used += await self._used(child.id, since, generation + 1)
        return used

    # What is asked

    @asynccontextmanager
    async def _tended(self, working: Working, *, doubtful: bool) -> AsyncIterator[None]:
        session, beside = working.session, Beside()
        async with self.agent.hear(session) as hearing:
            inbox = self.inboxes[session.id] = Inbox(working.principal, self.terms)
            beside.begin(self._tend(working, inbox, hearing, doubtful=doubtful), f"interrupts in {session.id}")
            try:
                yield
            finally:
                await beside.end()
                del self.inboxes[session.id]

    async def _tend(self, working: Working, inbox: Inbox, hearing: Hearing, *, doubtful: bool) -> None:
        while True:
            told = () if doubtful else await self._heard(inbox, hearing)
            try:
                _take(inbox, told, self.clock.now())
                if doubtful or any(isinstance(event, Gap) for event in told):
                    inbox.compare(await self.asked(working), self.clock.now())
                self._expire(inbox)
                for given in tuple(inbox.given.values()):
                    await self.give(working, given)
                    inbox.settle(given.request, resolution_of(given.answer))
                doubtful = False
            except (Unavailable, AgentFault) as gone:
                _log.warning("what session %s asks has to wait: %s", working.session.id, gone)
                await self.clock.sleep(_RETRY)
                doubtful = True

    async def _heard(self, inbox: Inbox, hearing: Hearing) -> Sequence[Event]:
        """Wait for what is told, or for the next deadline."""
        due = [interrupt.deadline.at for interrupt in inbox.pending.values() if interrupt.deadline is not None]
        if not due:
            return await hearing.next()
        try:
            return await self.clock.within(max(min(due) - self.clock.now(), 0.0), hearing.next())
        except TimeoutError:
            return ()

    def _expire(self, inbox: Inbox) -> None:
        now = self.clock.now()
        for interrupt in tuple(inbox.pending.values()):
            if interrupt.deadline is not None and interrupt.deadline.at <= now:
                inbox.expire(interrupt.id, now)

    async def asked(self, working: Working) -> Sequence[Interrupt]:
        """Give what the session of some work asks, its sub-agents included."""
        asked = await self.reader.interrupts(working.session)
        return [interrupt for interrupt in asked if await self._is_of(working, interrupt.session)]

    async def _is_of(self, working: Working, session: SessionId) -> bool:
        above: SessionId | None = session
        for _ in range(_GENERATIONS):
            if above is None or above == working.session.id:
                break
            found = await self.agent.find_session(above)
            above = None if found is None else found.parent
        return above == working.session.id

    async def give(self, working: Working, given: AnswerGiven) -> bool:
        """Tell the runtime an answer, and the audit; False if it no longer waits for one."""
        taken = await self.agent.answer(working.session, given.interrupt, given.answer)
        if taken:
            await self.audit.record(audit_interrupts.given_outside(given, working.session.id))
        return taken


def _take(inbox: Inbox, told: Sequence[Event], now: float) -> None:
    for event in told:
        match event:
            case Asked(interrupt):
                inbox.ask(interrupt, now)
            case Answered():
                inbox.settle(event.request, event.resolution)
