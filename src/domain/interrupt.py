"""
Interrupts: what halts a turn until somebody answers, and which answer fits which.

Clear words answer, anything else asks again: ambiguous text must never approve.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from attrs import field, frozen

from .errors import AmbiguousAnswer, AnswerDoesNotFit, InterruptTypeMismatch
from .ids import MessageId, Principal, RequestId, SessionId
from .message import Json


class Verdict(enum.Enum):
    """How a permission is answered."""

    ONCE = "once"
    ALWAYS = "always"
    REJECT = "reject"


class Kind(enum.Enum):
    """What is asked for."""

    PERMISSION = "permission"
    QUESTION = "question"


class Action(enum.Enum):
    """What is done about an interrupt without a person. Nothing is ever allowed for always."""

    ASK = "ask"
    ALLOW_ONCE = "allow-once"
    REJECT = "reject"


_LAST = 253_402_300_799
"""The last second that has a date of four figures for the year."""


@frozen
class Deadline:
    """When nobody's answer is waited for any longer (seconds since the epoch, UTC), and what is done then."""

    at: float
    action: Action

    @property
    def prompt(self) -> str:
        """What a person reads."""
        done = "allowed once" if self.action is Action.ALLOW_ONCE else "rejected"
        return f"Without an answer by {moment(self.at)} it is {done}."


def moment(at: float) -> str:
    """Say a time as a person reads it."""
    return f"{datetime.fromtimestamp(min(at, _LAST), UTC):%Y-%m-%d %H:%M:%S} UTC"


@frozen
class Permission:
    """
    The runtime asks whether it may do something.

    `always` lists the patterns that an ALWAYS would allow from then on; `details` are the runtime's own (command,
    file path, diff). `message` is the one whose tool call asks, where the runtime says it.
    """

    id: RequestId
    session: SessionId
    permission: str
    patterns: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    details: Mapping[str, Json] = field(factory=dict)
    message: MessageId | None = None
    deadline: Deadline | None = None

    @property
    def kind(self) -> Kind:
        """What it is."""
        return Kind.PERMISSION

    @property
    def prompt(self) -> str:
        """What a person reads."""
        what = ", ".join(self.patterns)
        lines = [f"Permission needed: {self.permission}" + (f" ({what})" if what else "")]
        command = self.details.get("command")
        if isinstance(command, str) and command not in self.patterns:
            lines.append(f"Command: {command}")
        lines.append("Answer: yes (once) | always | no | no: <reason>")
        return "\n".join(lines + _due(self.deadline))


@frozen
class Option:
    """One choice of an inquiry."""

    label: str
    description: str = ""


@frozen
class Inquiry:
    """One question of a Question; with `custom`, any text answers it."""

    question: str
    header: str = ""
    options: tuple[Option, ...] = ()
    multiple: bool = False
    custom: bool = True


@frozen
class Question:
    """The runtime asks the person something; all its inquiries are answered together. `message` as for permissions."""

    id: RequestId
    session: SessionId
    inquiries: tuple[Inquiry, ...]
    message: MessageId | None = None
    deadline: Deadline | None = None

    @property
    def kind(self) -> Kind:
        """What it is."""
        return Kind.QUESTION

    @property
    def prompt(self) -> str:
        """What a person reads."""
        lines: list[str] = []
        for number, inquiry in enumerate(self.inquiries, 1):
            lines.append(inquiry.question if len(self.inquiries) == 1 else f"{number}. {inquiry.question}")
            lines += [
                f"  {index}) {option.label}" + (f": {option.description}" if option.description else "")
                for index, option in enumerate(inquiry.options, 1)
            ]
        hint = "a number or a label" + (", several with commas" if any(i.multiple for i in self.inquiries) else "")
        if any(inquiry.custom or not inquiry.options for inquiry in self.inquiries):
            hint += ", or your own words"
        one_each = "" if len(self.inquiries) == 1 else " (one line for each question)"
        lines.append(f"Answer{one_each}: {hint} | no to dismiss")
        return "\n".join(lines + _due(self.deadline))


def _due(deadline: Deadline | None) -> list[str]:
    return [] if deadline is None else [deadline.prompt]


Interrupt: TypeAlias = Permission | Question


@frozen
class PermissionAnswer:
    """A verdict; a reason given with REJECT lets the runtime go on with another plan."""

    verdict: Verdict
    reason: str = ""


@frozen
class QuestionAnswer:
    """For each inquiry the chosen labels or own words."""

    answers: tuple[tuple[str, ...], ...]


@frozen
class QuestionDismissed:
    """The person does not want to answer."""


Answer: TypeAlias = PermissionAnswer | QuestionAnswer | QuestionDismissed


class Channel(enum.Enum):
    """By which way an answer came."""

    MESSAGE = "message"
    """A person's words, in a message to the task."""
    DATA = "data"
    """A program's, in a message to the task."""
    CALLBACK = "callback"
    """A call of one of the `a2a.interrupt.*` methods."""
    POLICY = "policy"
    """A rule of the operator's, before anybody was asked."""
    DEADLINE = "deadline"
    """The default action, since nobody answered in time."""


@frozen
class Answerer:
    """Who answers, by which way, and why if that is not a person's own affair."""

    channel: Channel
    principal: Principal | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.principal is not None:
            return self.principal
        return f"{self.channel.value}: {self.reason}" if self.reason else self.channel.value


WITHDRAWN = "withdrawn"
"""The resolution of an interrupt that is gone without an answer."""


def resolution_of(answer: Answer) -> str:
    """Give the word for an interrupt that was answered so."""
    match answer:
        case PermissionAnswer(verdict):
            return verdict.value
        case QuestionAnswer():
            return "replied"
        case QuestionDismissed():  # pragma: no branch - the last kind
            return "rejected"


def answer_by(action: Action, interrupt: Interrupt, reason: str = "") -> Answer | None:
    """Give the answer that an action amounts to; None if a person must be asked. No question is allowed."""
    if action is Action.REJECT:
        return PermissionAnswer(Verdict.REJECT, reason) if isinstance(interrupt, Permission) else QuestionDismissed()
    if action is Action.ALLOW_ONCE and isinstance(interrupt, Permission):
        return PermissionAnswer(Verdict.ONCE)
    return None


_VERDICTS: Mapping[str, Verdict] = {
    **dict.fromkeys(("yes", "y", "once", "ok", "okay", "allow", "approve", "approved"), Verdict.ONCE),
    **dict.fromkeys(("always", "yes always", "always allow", "allow always"), Verdict.ALWAYS),
    **dict.fromkeys(("no", "n", "reject", "deny", "denied", "stop"), Verdict.REJECT),
}
_DISMISSALS = frozenset({"no", "reject", "dismiss", "cancel"})


def read_answer(interrupt: Interrupt, text: str) -> Answer:
    """
    Read plain text as the answer to an interrupt.

    Raises:
        AmbiguousAnswer: The text does not say clearly what is meant; its message is the prompt to show again.

    """
    if isinstance(interrupt, Permission):
        return _read_verdict(interrupt, text)
    return _read_choices(interrupt, text)


def check_fits(interrupt: Interrupt, answer: Answer) -> None:
    """
    Refuse an answer of the wrong kind.

    Raises:
        InterruptTypeMismatch: A verdict for a question or the like.
        AnswerDoesNotFit: Not one answer for each inquiry.

    """
    if isinstance(interrupt, Permission) != isinstance(answer, PermissionAnswer):
        raise InterruptTypeMismatch(f"{interrupt.id} is a {interrupt.kind.value}, and the answer is not one for that")
    if isinstance(interrupt, Question) and isinstance(answer, QuestionAnswer):
        wanted = len(interrupt.inquiries)
        if len(answer.answers) != wanted:
            raise AnswerDoesNotFit(f"{interrupt.id} asks {wanted} questions, {len(answer.answers)} were answered")


def _read_verdict(permission: Permission, text: str) -> PermissionAnswer:
    head, colon, reason = text.partition(":")
    verdict = _VERDICTS.get(_plain(head))
    if verdict is None or (colon and verdict is not Verdict.REJECT):
        raise AmbiguousAnswer(permission.prompt)
    return PermissionAnswer(verdict, reason.strip())


def _read_choices(question: Question, text: str) -> QuestionAnswer | QuestionDismissed:
    if _plain(text) in _DISMISSALS and not _is_option(question, text):
        return QuestionDismissed()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(question.inquiries) == 1:
        lines = ["\n".join(lines)] if lines else []
    if len(lines) != len(question.inquiries):
        raise AmbiguousAnswer(question.prompt)
    return QuestionAnswer(
        tuple(_choose(question, inquiry, line) for inquiry, line in zip(question.inquiries, lines, strict=True))
    )


def _is_option(question: Question, text: str) -> bool:
    """Say whether a word which else dismisses is one of the choices: `No` may well be an answer."""
    return any(_plain(option.label) == _plain(text) for inquiry in question.inquiries for option in inquiry.options)


def _choose(question: Question, inquiry: Inquiry, line: str) -> tuple[str, ...]:
    by_name = {_plain(option.label): option.label for option in inquiry.options}
    by_number = {str(number): option.label for number, option in enumerate(inquiry.options, 1)}
    if (whole := by_name.get(_plain(line)) or by_number.get(_plain(line))) is not None:
        return (whole,)
    if inquiry.multiple:
        words = [_plain(word) for word in line.split(",")]
        chosen = [by_name.get(word) or by_number.get(word) for word in words]
        if all(label is not None for label in chosen):
            return tuple(dict.fromkeys(label for label in chosen if label is not None))
    # A bare number beyond the options is a slip, not somebody's own words.
    if (inquiry.custom or not inquiry.options) and not (inquiry.options and line.isdigit()):
        return (line,)
    raise AmbiguousAnswer(question.prompt)


def _plain(words: str) -> str:
    return " ".join(words.lower().replace(",", " ").split()).rstrip(".!")
