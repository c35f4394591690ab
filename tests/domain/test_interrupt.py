from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.domain.errors import AmbiguousAnswer, AnswerDoesNotFit
from opencode_a2a_server.domain.ids import RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Answer,
    Inquiry,
    Interrupt,
    Option,
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
    check_fits,
    read_answer,
)

PERMISSION = Permission(RequestId("per_1"), SessionId("ses_1"), "bash", ("rm *",), ("rm *",), {"command": "rm a"})
RED, BLUE, BOTH = Option("Red", "warm"), Option("Blue"), Option("Red, white")


def question(*inquiries: Inquiry) -> Question:
    return Question(RequestId("que_1"), SessionId("ses_1"), inquiries)


def choice(*options: Option, multiple: bool = False, custom: bool = False) -> Inquiry:
    return Inquiry("Which colour?", "Colour", options, multiple, custom)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("yes", PermissionAnswer(Verdict.ONCE)),
        ("  Yes. ", PermissionAnswer(Verdict.ONCE)),
        ("OK!", PermissionAnswer(Verdict.ONCE)),
        ("always", PermissionAnswer(Verdict.ALWAYS)),
        ("yes, always", PermissionAnswer(Verdict.ALWAYS)),
        ("no", PermissionAnswer(Verdict.REJECT)),
        ("No: use git rm instead: it is safer", PermissionAnswer(Verdict.REJECT, "use git rm instead: it is safer")),
        ("no:", PermissionAnswer(Verdict.REJECT)),
    ],
)
def test_clear_words_answer_a_permission(text: str, answer: Answer) -> None:
    assert read_answer(PERMISSION, text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "maybe",
        "yes but only this file",
        "yes: carefully",
        "always: x",
        "no, use git",
        "1",
        "yes\nno",
        "not yes",
    ],
)
def test_ambiguous_text_never_approves(text: str) -> None:
    with pytest.raises(AmbiguousAnswer, match="Permission needed: bash"):
        read_answer(PERMISSION, text)


_CLEAR = {"yes", "y", "once", "ok", "okay", "allow", "approve", "approved"}
_FOR_EVER = {"always", "yes always", "always allow", "allow always"}
_WORDS = sorted(
    {word for words in _CLEAR | _FOR_EVER for word in words.split()} | {"no", "not", "maybe", ":", ",", "."}
)


@given(st.lists(st.sampled_from(_WORDS), max_size=5).map(" ".join) | st.text())
def test_only_the_clear_words_approve_whatever_stands_around_them(text: str) -> None:
    try:
        answer = read_answer(PERMISSION, text)
    except AmbiguousAnswer:
        return

    words = " ".join(text.lower().replace(",", " ").split()).rstrip(".!")
    assert isinstance(answer, PermissionAnswer)
    if answer.verdict is Verdict.ONCE:
        assert words in _CLEAR
    if answer.verdict is Verdict.ALWAYS:
        assert words in _FOR_EVER


@given(st.text())
def test_no_text_approves_by_accident(text: str) -> None:
    try:
        answer = read_answer(PERMISSION, text)
    except AmbiguousAnswer:
        return

    assert isinstance(answer, PermissionAnswer)
    assert len(text.partition(":")[0].split()) <= 2


@pytest.mark.parametrize(
    ("inquiry", "text", "labels"),
    [
        (choice(RED, BLUE), "red", ("Red",)),
        (choice(RED, BLUE), " 2 ", ("Blue",)),
        (choice(RED, BLUE, multiple=True), "blue, 1", ("Blue", "Red")),
        (choice(RED, BLUE, multiple=True), "1,1", ("Red",)),
        (choice(RED, BOTH, multiple=True), "red, white", ("Red, white",)),
        (choice(RED, custom=True), "something else", ("something else",)),
        (choice(RED, custom=True), "two\n\nlines", ("two\nlines",)),
        (choice(RED, multiple=True, custom=True), "red, maybe", ("red, maybe",)),
        (choice(), "42", ("42",)),
        (choice(Option("Yes"), Option("No")), "no", ("No",)),
    ],
)
def test_a_question_is_answered_by_number_label_or_own_words(
    inquiry: Inquiry, text: str, labels: tuple[str, ...]
) -> None:
    assert read_answer(question(inquiry), text) == QuestionAnswer((labels,))


@pytest.mark.parametrize(
    ("inquiry", "text"),
    [
        (choice(RED, BLUE), "green"),
        (choice(RED, BLUE), "3"),
        (choice(RED, BLUE), "0"),
        (choice(RED, BLUE), "red, blue"),
        (choice(RED, BLUE, custom=True), "3"),
        (choice(RED, BLUE), ""),
        (choice(RED, custom=True), " \n "),
    ],
)
def test_what_is_no_choice_asks_again(inquiry: Inquiry, text: str) -> None:
    with pytest.raises(AmbiguousAnswer, match="Which colour"):
        read_answer(question(inquiry), text)


@pytest.mark.parametrize("text", ["no", "No.", "dismiss", "cancel", "reject"])
def test_a_question_may_be_dismissed(text: str) -> None:
    assert read_answer(question(choice(RED, custom=True)), text) == QuestionDismissed()


def test_questions_asked_together_are_answered_line_by_line() -> None:
    asked = question(choice(RED, BLUE), choice(RED, BLUE, multiple=True))

    assert read_answer(asked, "2\n\n red, blue \n") == QuestionAnswer((("Blue",), ("Red", "Blue")))
    for text in ("1", "1\n2\n1", ""):
        with pytest.raises(AmbiguousAnswer):
            read_answer(asked, text)


@pytest.mark.parametrize(
    ("interrupt", "answer", "fits"),
    [
        (PERMISSION, PermissionAnswer(Verdict.ONCE), True),
        (PERMISSION, QuestionAnswer((("a",),)), False),
        (PERMISSION, QuestionDismissed(), False),
        (question(choice(RED)), QuestionAnswer((("own",),)), True),
        (question(choice(RED)), QuestionAnswer(()), False),
        (question(choice(RED)), QuestionAnswer(((), ())), False),
        (question(choice(RED)), QuestionDismissed(), True),
        (question(choice(RED)), PermissionAnswer(Verdict.ONCE), False),
    ],
)
def test_only_an_answer_of_its_kind_fits(interrupt: Interrupt, answer: Answer, fits: bool) -> None:  # noqa: FBT001
    if fits:
        check_fits(interrupt, answer)
        return
    with pytest.raises(AnswerDoesNotFit, match=interrupt.id):
        check_fits(interrupt, answer)


def test_a_person_reads_what_is_asked_and_how_to_answer() -> None:
    assert PERMISSION.prompt == (
        "Permission needed: bash (rm *)\nCommand: rm a\nAnswer: yes (once) | always | no | no: <reason>"
    )
    assert question(choice(RED, BLUE)).prompt == (
        "Which colour?\n  1) Red: warm\n  2) Blue\nAnswer: a number or a label | no to dismiss"
    )
    assert question(choice(RED, multiple=True), choice()).prompt == (
        "1. Which colour?\n  1) Red: warm\n2. Which colour?\n"
        "Answer (one line for each question): a number or a label, several with commas, or your own words"
        " | no to dismiss"
    )
