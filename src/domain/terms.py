"""
Terms: which interrupts are decided without asking anybody, and how long the others wait.

Rules are read from the top and the first that fits decides. A rule that allows fits only if it fits all that is asked
for; one that rejects or asks fits if it fits any of it. So whatever order the runtime tells its patterns in, nothing
is allowed that a rule was not written for.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from attrs import evolve, frozen

from .ids import Principal
from .interrupt import Action, Deadline, Interrupt, Kind, Permission, Question, answer_by

ANYTHING = "*"


@frozen
class Rule:
    """
    What is done about interrupts of a kind. The texts are patterns: `*` is any text, `?` one character, `[ab]` a choice.

    `pattern` is held against what a permission is asked for (a command, a path), and against a question's words.
    """

    action: Action
    principal: str = ANYTHING
    kind: Kind = Kind.PERMISSION
    permission: str = ANYTHING
    pattern: str = ANYTHING
    reason: str = ""

    def fits(self, principal: Principal, interrupt: Interrupt) -> bool:
        """Whether it decides this one."""
        if interrupt.kind is not self.kind or not fnmatchcase(principal, self.principal):
            return False
        if isinstance(interrupt, Permission) and not fnmatchcase(interrupt.permission, self.permission):
            return False
        if self.pattern == ANYTHING:
            return True
        fitting = [fnmatchcase(asked, self.pattern) for asked in _asked_for(interrupt)]
        # Who asks for nothing in particular asks for anything: a rule for something does not allow that.
        return bool(fitting) and (all if self.action is Action.ALLOW_ONCE else any)(fitting)


@frozen
class Terms:
    """The rules; and the seconds that an interrupt waits for its answer, with what is done then about each kind."""

    rules: tuple[Rule, ...] = ()
    seconds: float | None = None
    permission: Action = Action.ASK
    question: Action = Action.ASK

    def rule_for(self, principal: Principal, interrupt: Interrupt) -> Rule | None:
        """Give the rule that decides an interrupt; None if a person does."""
        rule = next((rule for rule in self.rules if rule.fits(principal, interrupt)), None)
        return None if rule is None or answer_by(rule.action, interrupt) is None else rule

    def dated(self, interrupt: Interrupt, now: float) -> Interrupt:
        """Give the interrupt with its deadline, if it has one."""
        action = self.permission if isinstance(interrupt, Permission) else self.question
        if self.seconds is None or answer_by(action, interrupt) is None:
            return interrupt
        return evolve(interrupt, deadline=Deadline(now + self.seconds, action))


def _asked_for(interrupt: Interrupt) -> tuple[str, ...]:
    match interrupt:
        case Permission():
            return interrupt.patterns
        case Question():  # pragma: no branch - the last kind
            return tuple(inquiry.question for inquiry in interrupt.inquiries)
