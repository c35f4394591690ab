"""Tend the inbox of a turn: deliver answers until their effect shows, and do what is due when nobody answers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.usecases import audit_interrupts
from opencode_a2a_server.app.usecases.job import Delivery, Job, Pace, keep, soon
from opencode_a2a_server.domain.errors import (
    AgentFault,
    AgentUnreachable,
    AlreadyAnswered,
    JournalUnavailable,
    Refusal,
)
from opencode_a2a_server.domain.events import Recollection
from opencode_a2a_server.domain.ids import RequestId
from opencode_a2a_server.domain.interrupt import Channel, Deadline
from opencode_a2a_server.domain.session import Session
from opencode_a2a_server.domain.turn import Turn
from opencode_a2a_server.domain.updates import AnswerDropped, AnswerGiven, InterruptResolved, Update

_log = logging.getLogger(__name__)

_NEVER = float("inf")
_NO_EFFECT = (AnswerGiven, AnswerDropped, InterruptResolved)


@define(eq=False)
class TendInbox:
    """
    What the driver of a turn does about interrupts, between what it hears.

    An answer is told to the runtime when it is journaled: a crash between the two loses none, and one that was told
    already is no longer waited for. It is told again while the runtime goes on asking.

    Deadlines are kept by the monotonic clock, from the moment an interrupt is raised or a turn is taken up: setting
    the time neither hurries nor delays anybody. Over a restart the time of day is all there is.
    """

    agent: Agent
    clock: Clock
    pace: Pace
    job: Job
    turn: Turn
    session: Session
    audit: Audit

    _resumed: frozenset[RequestId] = field(init=False)
    """Answers that were given in another life of the service, which may have told the runtime."""
    _expiries: dict[RequestId, float] = field(factory=dict, kw_only=True)
    _effect_due: float = field(default=_NEVER, init=False)
    """When a default action must have had an effect."""

    @_resumed.default
    def _given_before(self) -> frozenset[RequestId]:
        return frozenset(self.turn.inbox.given)

    @property
    def busy(self) -> bool:
        """Whether there is anything to tend."""
        return bool(self.turn.inbox.pending or self.turn.inbox.given)

    @property
    def only_waits(self) -> bool:
        """Whether nothing is to be done before somebody answers, or an interrupt's deadline comes."""
        return not self.turn.inbox.given and self._effect_due == _NEVER

    @property
    def expiries(self) -> tuple[tuple[RequestId, float], ...]:
        """When what waits for an answer waits no longer, by the monotonic clock."""
        return tuple(self._expiries.items())

    @property
    def due(self) -> bool:
        """Whether the runtime is to be told an answer now."""
        now, known = self.clock.monotonic(), self.job.deliveries
        return any(request not in known or known[request].due <= now for request in self.turn.inbox.given)

    @property
    def stuck(self) -> str:
        """Why the turn is to be stopped, in words: it goes on asking although nobody can answer; empty if not so."""
        if self.clock.monotonic() < self._effect_due:
            return ""
        return "nobody answered in time, and the runtime does not go on without an answer"

    def within(self, patience: float) -> float:
        """Shorten patience so that nothing here is late."""
        due = self._effect_due
        if self.busy:
            due = min((due, *self._expiries.values(), *(delivery.due for delivery in self._deliveries)))
        return patience if due == _NEVER else max(min(patience, due - self.clock.monotonic()), 0.0)

    async def __call__(self) -> None:
        """Do what is due now."""
        self._watch_deadlines()
        now = self.clock.monotonic()
        for request in [request for request, due in self._expiries.items() if due <= now]:
            await self._expire(request)
        for given in tuple(self.turn.inbox.given.values()):
            delivery = self.job.deliveries.setdefault(given.request, Delivery(fresh=given.request not in self._resumed))
            if delivery.due <= now:
                await self._deliver(given, delivery)

    async def note(self, updates: Sequence[Update]) -> None:
        """Take note of what the turn made of events: audit what concerns interrupts, and see whether it goes on."""
        if all(isinstance(update, _NO_EFFECT) for update in updates):
            await self._audit(updates)
        else:
            self._effect_due = _NEVER
            await self._audit([update for update in updates if isinstance(update, _NO_EFFECT)])

    def see(self, seen: Recollection) -> None:
        """Look which answers had no effect: the runtime is told them again, at growing distances."""
        if self.session.id not in seen.busy:
            return
        now = self.clock.monotonic()
        for request in self.turn.inbox.still_asked(seen.asked):
            delivery = self.job.deliveries.get(request)
            if delivery is not None and delivery.due == _NEVER:
                delivery.due = now + self._pause(delivery)

    def close(self) -> None:
        """The turn is over, or left: nobody waits for it any more."""
        for delivery in self.job.deliveries.values():
            delivery.close()
        self.job.deliveries.clear()

    @property
    def _deliveries(self) -> list[Delivery]:
        given = self.turn.inbox.given
        return [delivery for request, delivery in self.job.deliveries.items() if request in given]

    def _watch_deadlines(self) -> None:
        inbox, known = self.turn.inbox, self._expiries
        self._expiries = {
            request: known[request] if request in known else self._expiry(interrupt.deadline)
            for request, interrupt in inbox.pending.items()
            if interrupt.deadline is not None and request not in inbox.given
        }

    def _expiry(self, deadline: Deadline) -> float:
        """Give the moment of a deadline; a clock that was set back does not make it longer than it ever was."""
        left = max(deadline.at - self.clock.now(), 0.0)
        return self.clock.monotonic() + min(left, self.turn.inbox.terms.seconds or left)

    async def _expire(self, request: RequestId) -> None:
        self._expiries.pop(request, None)
        if request not in self.job.log.task.given:
            await self._keep(self.turn.inbox.expire(request, self.clock.now()))

    async def _deliver(self, given: AnswerGiven, delivery: Delivery) -> None:
        delivery.tries += 1
        with suppress(JournalUnavailable, TimeoutError):  # the intent first, so that a crash does not lose it
            await self.clock.within(self.pace.abort, self.job.log.durable())
        if delivery.tries == 1:
            again = not delivery.fresh
            await self.audit.record(audit_interrupts.given(self.job.log.task, given, again=again))
        self.turn.inbox.sending(given.request)
        try:
            call = self.agent.answer(self.session, given.interrupt, given.answer)
            taken = await soon(self.clock, self.pace.reply, call)
        except AgentUnreachable as gone:
            _log.warning("the answer to %s has to wait (try %d): %s", given.request, delivery.tries, gone)
            delivery.due = self.clock.monotonic() + self._pause(delivery)
            delivery.close()
        except AgentFault as fault:
            await self._drop(given, delivery, fault)
        else:
            if not taken and delivery.fresh and delivery.tries == 1:
                gone_before = AlreadyAnswered(f"{given.request} is no longer waiting for an answer")
                await self._drop(given, delivery, gone_before)
            delivery.due = _NEVER
            delivery.close()
        if given.by.channel is Channel.DEADLINE and self._effect_due == _NEVER:
            self._effect_due = self.clock.monotonic() + self.pace.effect
        self.turn.doubtful = self.turn.outcome is None  # the effect counts, and may go unheard

    async def _drop(self, given: AnswerGiven, delivery: Delivery, refusal: Refusal) -> None:
        _log.warning("the runtime does not take the answer to %s: %s", given.request, refusal)
        del self.job.deliveries[given.request]
        await self._keep(self.turn.inbox.drop(given.request, str(refusal)))
        delivery.close(refusal)

    def _pause(self, delivery: Delivery) -> float:
        return min(self.pace.retry * float(2 ** min(delivery.tries - 1, 10)), self.pace.retry_most)

    async def _keep(self, updates: Sequence[Update]) -> None:
        if updates:
            await keep(self.job.log, updates, self.clock, self.pace.retry)
            await self._audit(updates)

    async def _audit(self, updates: Sequence[Update]) -> None:
        task, now = self.job.log.task, self.clock.now()
        for update in updates:
            match update:
                case AnswerDropped():
                    await self.audit.record(audit_interrupts.dropped(task, update, now))
                case InterruptResolved():
                    await self.audit.record(audit_interrupts.resolved(task, update, now))
