"""What is decided without asking anybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.domain.ids import Principal, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Action,
    Deadline,
    Inquiry,
    Kind,
    Permission,
    Question,
    QuestionDismissed,
    answer_by,
    moment,
)
from opencode_a2a_server.domain.terms import Rule, Terms

ALICE = Principal("alice")
ALLOW, REJECT, ASK = Action.ALLOW_ONCE, Action.REJECT, Action.ASK


def permission(*patterns: str, permission: str = "bash") -> Permission:
    return Permission(RequestId("per_1"), SessionId("ses_1"), permission, patterns)


def question(words: str = "Which colour?") -> Question:
    return Question(RequestId("que_1"), SessionId("ses_1"), (Inquiry(words),))


@pytest.mark.parametrize(
    ("rule", "patterns", "fits"),
    [
        (Rule(ALLOW), ("rm -rf /",), True),
        (Rule(ALLOW), (), True),
        (Rule(ALLOW, pattern="git status*"), ("git status", "git status --short"), True),
        (Rule(ALLOW, pattern="git status*"), ("git status", "rm x"), False),
        (Rule(ALLOW, pattern="git status*"), (), False),
        (Rule(ALLOW, pattern="git status*"), ("Git status",), False),
        (Rule(ALLOW, pattern="git status*"), ("sudo git status",), False),
        (Rule(REJECT, pattern="rm *"), ("ls", "rm x"), True),
        (Rule(REJECT, pattern="rm *"), (), False),
        (Rule(ASK, pattern="rm *"), ("ls", "rm x"), True),
        (Rule(ALLOW, permission="edit"), ("ls",), False),
        (Rule(ALLOW, permission="b*"), ("ls",), True),
        (Rule(ALLOW, principal="ci*"), ("ls",), False),
        (Rule(ALLOW, principal="al?ce"), ("ls",), True),
        (Rule(REJECT, kind=Kind.QUESTION), ("ls",), False),
    ],
)
def test_a_rule_fits_what_it_was_written_for(rule: Rule, patterns: tuple[str, ...], fits: bool) -> None:  # noqa: FBT001
    assert rule.fits(ALICE, permission(*patterns)) is fits


def test_a_rule_for_questions_is_held_against_their_words() -> None:
    rule = Rule(REJECT, kind=Kind.QUESTION, pattern="*colour*")

    assert rule.fits(ALICE, question())
    assert not rule.fits(ALICE, question("Which size?"))


def test_the_first_rule_that_fits_decides() -> None:
    terms = Terms((Rule(ASK, pattern="git push*"), Rule(ALLOW, pattern="git *"), Rule(REJECT)))

    assert terms.rule_for(ALICE, permission("git log")) == terms.rules[1]
    assert terms.rule_for(ALICE, permission("git push")) is None
    assert terms.rule_for(ALICE, permission("git log", "git push")) is None
    assert terms.rule_for(ALICE, permission("make")) == terms.rules[2]


def test_without_a_rule_a_person_is_asked() -> None:
    assert Terms().rule_for(ALICE, permission("ls")) is None


def test_no_rule_allows_a_question() -> None:
    assert Terms((Rule(ALLOW, kind=Kind.QUESTION),)).rule_for(ALICE, question()) is None
    assert answer_by(REJECT, question(), "why") == QuestionDismissed()


@given(st.lists(st.text(max_size=8), max_size=4), st.text(max_size=8))
def test_nothing_is_allowed_of_which_a_part_does_not_fit(patterns: list[str], wanted: str) -> None:
    rule = Rule(ALLOW, pattern="safe*")

    assert not rule.fits(ALICE, permission(*patterns, "x" + wanted))


def test_an_interrupt_waits_until_its_deadline() -> None:
    terms = Terms(seconds=60.0, permission=ALLOW, question=REJECT)

    assert terms.dated(permission("ls"), 5.0).deadline == Deadline(65.0, ALLOW)
    assert terms.dated(question(), 5.0).deadline == Deadline(65.0, REJECT)


@pytest.mark.parametrize("terms", [Terms(), Terms(seconds=60.0), Terms(seconds=None, permission=REJECT)])
def test_who_is_to_be_asked_for_ever_has_no_deadline(terms: Terms) -> None:
    assert terms.dated(permission("ls"), 5.0) == permission("ls")


def test_a_person_reads_until_when_an_answer_is_waited_for() -> None:
    asked = Terms(seconds=60.0, permission=ALLOW, question=REJECT)

    said = asked.dated(permission("ls"), 1_700_000_000.0).prompt
    assert said.splitlines()[-1] == "Without an answer by 2023-11-14 22:14:20 UTC it is allowed once."
    assert asked.dated(question(), 0.0).prompt.endswith(f"Without an answer by {moment(60.0)} it is rejected.")
