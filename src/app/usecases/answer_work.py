"""What sessions ask that work without a task: for whom they work sees it, and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from opencode_a2a_server.app.ports.works import Working
from opencode_a2a_server.app.usecases import audit_interrupts
from opencode_a2a_server.app.usecases.follow_work import FollowWork
from opencode_a2a_server.domain.errors import AlreadyAnswered, Refusal
from opencode_a2a_server.domain.ids import Principal, RequestId
from opencode_a2a_server.domain.inbox import Inbox
from opencode_a2a_server.domain.interrupt import Answer, Answerer, Channel, Interrupt, check_fits, resolution_of
from opencode_a2a_server.domain.updates import AnswerGiven

_AT_REST: Final = 60.0
"""Seconds after its begin from which on a session that nobody follows, and that rests, has ended its work."""


@frozen
class AnswerWork:
    """
    Answer what is asked by work of a principal's, whichever process follows it: the runtime itself says what waits.

    So an answer counts when the runtime has taken it, and is then known no more. Deadlines are shown, and kept, by the
    process that follows the work; a rule of the operator's decides wherever it is seen first.

    Raises:
        AnswerDoesNotFit, InterruptTypeMismatch: It is of the wrong kind.
        AlreadyAnswered: Another answer came first.
        AgentUnreachable, JournalUnavailable: It cannot be found out now.

    """

    follow: FollowWork

    async def asked(self, principal: Principal) -> Sequence[Interrupt]:
        """Give what waits for an answer of this principal."""
        works = await self.follow.works.of(principal)
        return [interrupt for working in works for interrupt in await self._asked(working)]

    async def __call__(self, principal: Principal, request: RequestId, answer: Answer) -> bool:
        """Answer; False if no work of this principal's asks that."""
        for working in await self.follow.works.of(principal):
            for interrupt in await self._asked(working):
                if interrupt.id == request:
                    await self._answer(working, interrupt, answer)
                    return True
        return False

    async def _asked(self, working: Working) -> Sequence[Interrupt]:
        inbox = self.follow.inboxes.get(working.session.id)
        if inbox is not None:
            asked = await self.follow.asked(working)
            return [inbox.pending.get(one.id, one) for one in asked if one.id not in inbox.given]
        if await self._rests(working):
            await self.follow.settle(working)
            return ()
        asked = await self.follow.asked(working)
        return [one for one in asked if not await self._is_decided(working, one)]

    async def _rests(self, working: Working) -> bool:
        if self.follow.clock.now() - working.begun_at < _AT_REST:
            return False
        states = await self.follow.reader.states(working.session.directory)
        return all(state.session_id != working.session.id for state in states)

    async def _is_decided(self, working: Working, interrupt: Interrupt) -> bool:
        """Decide by a rule what nobody here follows, if one fits."""
        for update in Inbox(working.principal, self.follow.terms).ask(interrupt, self.follow.clock.now()):
            if isinstance(update, AnswerGiven):
                await self.follow.give(working, update)
                return True
        return False

    async def _answer(self, working: Working, interrupt: Interrupt, answer: Answer) -> None:
        now, by = self.follow.clock.now(), Answerer(Channel.CALLBACK, working.principal)
        try:
            check_fits(interrupt, answer)
            if not await self.follow.give(working, AnswerGiven(interrupt, answer, by, now)):
                raise AlreadyAnswered(f"{interrupt.id} is no longer waiting for an answer")
        except Refusal as refusal:
            record = audit_interrupts.refused_outside(working.session.id, interrupt.id, by, now, refusal)
            await self.follow.audit.record(record)
            raise
        if (inbox := self.follow.inboxes.get(working.session.id)) is not None:
            inbox.settle(interrupt.id, resolution_of(answer))
