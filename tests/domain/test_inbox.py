"""The inbox of a turn."""

from __future__ import annotations

import pytest

from opencode_a2a_server.domain.ids import Principal, RequestId, SessionId
from opencode_a2a_server.domain.inbox import Inbox
from opencode_a2a_server.domain.interrupt import (
    WITHDRAWN,
    Action,
    Answerer,
    Channel,
    Interrupt,
    Permission,
    PermissionAnswer,
    Verdict,
)
from opencode_a2a_server.domain.terms import Rule, Terms
from opencode_a2a_server.domain.updates import AnswerDropped, AnswerGiven, InterruptRaised, InterruptResolved

ALICE = Answerer(Channel.MESSAGE, Principal("alice"))
FIRST, SECOND, THIRD = (Permission(RequestId(f"per_{number}"), SessionId("ses_1"), "bash") for number in (1, 2, 3))


def given(interrupt: Interrupt, verdict: Verdict = Verdict.ONCE, by: Answerer = ALICE) -> AnswerGiven:
    return AnswerGiven(interrupt, PermissionAnswer(verdict), by, 1.0)


def asking(*interrupts: Interrupt, terms: Terms | None = None) -> Inbox:
    inbox = Inbox(Principal("alice"), terms or Terms())
    for interrupt in interrupts:
        inbox.ask(interrupt, 0.0)
    return inbox


def test_what_is_resolved_shows_the_one_that_waits_longest() -> None:
    inbox = asking(FIRST, SECOND, THIRD)

    assert inbox.settle(FIRST.id, "once") == [InterruptResolved(FIRST.id, "once", shown=SECOND)]


def test_who_has_answered_the_next_one_is_not_asked_again() -> None:
    inbox = asking(FIRST, SECOND, THIRD)
    inbox.answering(given(FIRST))

    assert inbox.settle(SECOND.id, "once") == [InterruptResolved(SECOND.id, "once", shown=None)]
    (resolved,) = inbox.settle(FIRST.id, "once")

    assert isinstance(resolved, InterruptResolved)
    assert resolved.shown == THIRD


def test_what_somebody_else_answered_otherwise_is_not_ours() -> None:
    inbox = asking(FIRST)
    inbox.answering(given(FIRST))

    assert inbox.settle(FIRST.id, "reject") == [InterruptResolved(FIRST.id, "reject")]


def test_an_answer_that_was_never_sent_is_not_taken_for_the_effect() -> None:
    inbox = asking(FIRST)
    inbox.answering(given(FIRST))

    assert inbox.compare((), 0.0) == ([], True)
    assert inbox.compare((), 0.0) == ([InterruptResolved(FIRST.id, WITHDRAWN)], False)


def test_an_answer_that_was_sent_is_the_effect() -> None:
    inbox = asking(FIRST)
    inbox.answering(given(FIRST))
    inbox.sending(FIRST.id)

    updates, doubtful = inbox.compare((), 0.0)

    assert updates == [InterruptResolved(FIRST.id, "once", Principal("alice"), None, Channel.MESSAGE)]
    assert not doubtful


def test_what_has_its_answer_and_is_asked_all_the_same_is_named() -> None:
    inbox = asking(FIRST, SECOND)
    inbox.answering(given(FIRST))

    assert list(inbox.still_asked((FIRST, SECOND))) == [FIRST.id]


def test_a_dropped_answer_lets_a_person_answer_and_no_rule() -> None:
    inbox = asking(FIRST, terms=Terms((Rule(Action.ALLOW_ONCE),)))
    assert inbox.given.keys() == {FIRST.id}

    assert inbox.drop(FIRST.id, "not like that") == [AnswerDropped(FIRST.id, "not like that")]
    assert inbox.drop(FIRST.id, "again") == []

    assert inbox.ask(FIRST, 0.0) == [InterruptRaised(FIRST)]


def test_no_rule_decides_for_a_turn_that_is_to_end() -> None:
    inbox = Inbox(Principal("alice"), Terms((Rule(Action.ALLOW_ONCE),)))

    assert inbox.ask(FIRST, 0.0, by_rule=False) == [InterruptRaised(FIRST)]


@pytest.mark.parametrize("answered", [True, False])
def test_a_deadline_does_nothing_where_there_is_none_or_an_answer(answered: bool) -> None:  # noqa: FBT001
    inbox = asking(FIRST, terms=Terms(seconds=1.0, permission=Action.REJECT) if answered else Terms())
    if answered:
        inbox.answering(given(FIRST))

    assert inbox.expire(FIRST.id, 2.0) == []
    assert inbox.expire(SECOND.id, 2.0) == []


def test_a_deadline_is_an_answer_of_nobodys() -> None:
    inbox = asking(FIRST, terms=Terms(seconds=1.0, permission=Action.REJECT))

    (decided,) = inbox.expire(FIRST.id, 2.0)

    assert isinstance(decided, AnswerGiven)
    assert (decided.answer, decided.by.channel, decided.at) == (
        PermissionAnswer(Verdict.REJECT),
        Channel.DEADLINE,
        2.0,
    )
    inbox.settle(FIRST.id, "reject")
    assert inbox.refusal == "deadline: nobody answered in time"
