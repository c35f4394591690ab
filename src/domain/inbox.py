"""The inbox of a turn: what it asked, what was decided about it, and what became of that."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import define, field

from .ids import Principal, RequestId
from .interrupt import WITHDRAWN, Answer, Answerer, Channel, Interrupt, answer_by, resolution_of
from .task import Task
from .terms import Terms
from .updates import AnswerDropped, AnswerGiven, InterruptRaised, InterruptResolved, Update

_OVERDUE = "nobody answered in time"


@define(eq=False)
class Inbox:
    """
    The interrupts of one turn, sans-IO.

    An answer that is given counts when the runtime shows its effect, by word or by no longer asking.
    """

    principal: Principal | None = None
    terms: Terms = field(factory=Terms)
    pending: dict[RequestId, Interrupt] = field(factory=dict)
    """What somebody was asked and is not resolved, oldest first."""
    given: dict[RequestId, AnswerGiven] = field(factory=dict)
    """Answers that the runtime is to have, until their effect shows."""
    refusal: str = field(default="", init=False)
    """Why something was refused without a person, if the last answer was such a one."""

    _settled: set[RequestId] = field(factory=set)
    _sent: set[RequestId] = field(factory=set)
    """Answers that may have reached the runtime."""
    _dropped: set[RequestId] = field(factory=set, init=False)
    """What the runtime took no answer to: the rules have had their turn, a person is asked."""
    _missing: set[RequestId] = field(factory=set, init=False)
    """What the last comparison did not show."""

    @classmethod
    def of(cls, task: Task, terms: Terms) -> Inbox:
        """Go on with a task's. Of an answer that a crash may have cut off nobody knows whether it was sent."""
        return cls(
            task.principal,
            terms,
            dict(task.pending),
            dict(task.given),
            settled={request for request, settled in task.resolved.items() if settled.resolution != WITHDRAWN},
            sent=set(task.given),
        )

    @property
    def shown(self) -> Interrupt | None:
        """The interrupt that waits longest."""
        return next(iter(self.pending.values()), None)

    def knows(self, request: RequestId) -> bool:
        """Whether it waits for an answer, or for an answer's effect."""
        return request in self.pending or request in self.given

    def ask(self, interrupt: Interrupt, now: float, *, by_rule: bool = True) -> list[Update]:
        """Take what the runtime asks: a rule decides it, or somebody is to answer by a time that begins now."""
        if interrupt.id in self._settled or self.knows(interrupt.id):
            return []
        if by_rule and (decided := self._by_rule(interrupt, now)) is not None:
            return [decided]
        interrupt = self.terms.dated(interrupt, now)
        oldest = self.shown
        self.pending[interrupt.id] = interrupt
        return [InterruptRaised(interrupt, oldest)]

    def answering(self, given: AnswerGiven) -> None:
        """Note the answer to an interrupt."""
        self.given[given.request] = given

    def sending(self, request: RequestId) -> None:
        """Note that the runtime is told the answer now: from here on, that it no longer asks may be the effect."""
        self._sent.add(request)

    def drop(self, request: RequestId, reason: str) -> list[Update]:
        """Note that the runtime did not take the answer."""
        if self.given.pop(request, None) is None:
            return []
        self._dropped.add(request)
        return [AnswerDropped(request, reason)]

    def expire(self, request: RequestId, now: float) -> list[Update]:
        """Do what is to be done when an interrupt's deadline has come; nothing if it has its answer."""
        interrupt = self.pending.get(request)
        if interrupt is None or interrupt.deadline is None or request in self.given:
            return []
        answer = answer_by(interrupt.deadline.action, interrupt)
        return (
            [] if answer is None else [self._decide(interrupt, answer, Answerer(Channel.DEADLINE, None, _OVERDUE), now)]
        )

    def settle(self, request: RequestId, resolution: str) -> list[Update]:
        """Take that an interrupt is gone."""
        given = self.given.pop(request, None)
        asked = self.pending.pop(request, None) is not None
        if not asked and given is None:
            return []
        if resolution != WITHDRAWN:
            self._settled.add(request)
        by = given.by if given is not None and resolution_of(given.answer) == resolution else None
        # Who has answered the next one is not asked again: the task works until the effect shows, or the one after.
        shown = None if self.shown is None or self.shown.id in self.given else self.shown
        if by is None:
            self.refusal = ""
            return [InterruptResolved(request, resolution, shown=shown, asked=asked)]
        self.refusal = "" if by.principal is not None else str(by)
        return [InterruptResolved(request, resolution, by.principal, shown, by.channel, by.reason, asked)]

    def compare(self, asked: Iterable[Interrupt], now: float, *, by_rule: bool = True) -> tuple[list[Update], bool]:
        """
        Bring what is known in line with what the runtime asks; also says whether something is doubtful.

        What is gone unanswered must be missed twice: a list is made while the runtime goes on.
        """
        waiting = {interrupt.id: interrupt for interrupt in asked}
        known = dict.fromkeys((*self.pending, *self.given))
        missing = known.keys() - waiting.keys()
        updates: list[Update] = []
        for request in [request for request in known if request in missing]:
            updates += self._miss(request)
        self._missing = {request for request in missing if self.knows(request)}
        for interrupt in waiting.values():
            updates += self.ask(interrupt, now, by_rule=by_rule)
        return updates, bool(self._missing)

    def still_asked(self, asked: Iterable[Interrupt]) -> Collection[RequestId]:
        """Name those which have an answer, and are asked all the same."""
        return [interrupt.id for interrupt in asked if interrupt.id in self.given]

    def _miss(self, request: RequestId) -> list[Update]:
        given = self.given.get(request)
        if given is not None and request in self._sent:
            return self.settle(request, resolution_of(given.answer))
        return self.settle(request, WITHDRAWN) if request in self._missing else []

    def _by_rule(self, interrupt: Interrupt, now: float) -> AnswerGiven | None:
        """Decide without a person, if a rule says so and the runtime did not refuse that before."""
        if interrupt.id in self._dropped:
            return None
        rule = self.terms.rule_for(self.principal or Principal(""), interrupt)
        if rule is None or (answer := answer_by(rule.action, interrupt, rule.reason)) is None:
            return None
        return self._decide(interrupt, answer, Answerer(Channel.POLICY, None, rule.reason), now)

    def _decide(self, interrupt: Interrupt, answer: Answer, by: Answerer, now: float) -> AnswerGiven:
        given = self.given[interrupt.id] = AnswerGiven(interrupt, answer, by, now)
        return given
