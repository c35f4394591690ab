"""Answering what a task waits for."""

from __future__ import annotations

import asyncio

import pytest

from opencode_a2a_server.adapters.outbound.scripted import AskPermission, AskQuestion, Delegate, Hang, Say
from opencode_a2a_server.domain.errors import (
    AgentUnreachable,
    AlreadyAnswered,
    AmbiguousAnswer,
    AnswerDoesNotFit,
    InterruptNotFound,
    TaskIsBusy,
)
from opencode_a2a_server.domain.ids import RequestId
from opencode_a2a_server.domain.interrupt import (
    Inquiry,
    Interrupt,
    Option,
    PermissionAnswer,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.message import DataPart, Json, Message
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import InterruptResolved
from tests.app.house import ALICE, BOB, House, reborn, status_of, text_of

pytestmark = pytest.mark.anyio

_PERMISSION = AskPermission("bash", ("rm *",), {"once": (Say("once"),), "always": (Say("always"),)})
_SIZES = AskQuestion((Inquiry("Which size?", options=(Option("S"), Option("M")), custom=False),))
_YES, _NO = PermissionAnswer(Verdict.ONCE), PermissionAnswer(Verdict.REJECT)


def asked(task: Task) -> Interrupt:
    """Give what waits longest."""
    return next(iter(task.pending.values()))


def data(house: House, task: Task, **answer: Json) -> Message:
    """Give a message that answers with a data part."""
    return house.said(DataPart(answer), task=task)


@pytest.mark.parametrize(
    ("words", "text"),
    [("yes", "once"), ("OK.", "once"), ("Approve", "once"), ("always", "always"), ("no: use git", "")],
)
async def test_clear_words_answer_a_permission(house: House, words: str, text: str) -> None:
    task = await house.begin(_PERMISSION)

    await house.say(task, words)

    assert (text_of(task), task.state) == (text, TaskState.COMPLETED)


@pytest.mark.parametrize("words", ["", "maybe", "yes, but only this once", "yes: go", "do whatever you like"])
async def test_unclear_words_ask_again_and_never_approve(house: House, words: str) -> None:
    task = await house.begin(_PERMISSION)
    before = task.seq

    with pytest.raises(AmbiguousAnswer) as again:
        await house.accept(ALICE, house.message(text=words, task=task))

    assert "rm *" in str(again.value)
    assert (task.seq, task.state) == (before, TaskState.INPUT_REQUIRED)
    assert "answer" not in house.agent.calls


async def test_a_rejection_ends_the_task_with_words(house: House) -> None:
    task = await house.begin(_PERMISSION)

    await house.say(task, "no")

    state, said = status_of(task)
    assert state is TaskState.COMPLETED
    assert "rejected" in said


@pytest.mark.parametrize("words", ["2", "m", "M"])
async def test_a_number_or_a_label_answers_a_question(house: House, words: str) -> None:
    task = await house.begin(_SIZES)

    await house.say(task, words)

    assert (text_of(task), task.state) == ("M", TaskState.COMPLETED)


@pytest.mark.parametrize("words", ["XL", "3"])
async def test_what_is_no_option_asks_again(house: House, words: str) -> None:
    task = await house.begin(_SIZES)

    with pytest.raises(AmbiguousAnswer):
        await house.accept(ALICE, house.message(text=words, task=task))


async def test_a_data_part_answers_the_interrupt_it_names(house: House) -> None:
    task = await house.begin(_PERMISSION)

    await house.accept(ALICE, data(house, task, request_id=asked(task).id, reply="always"))
    await house.clock.turn()

    assert text_of(task) == "always"


@pytest.mark.parametrize("answers", [[["S"]], ["S"]])
async def test_a_data_part_may_leave_out_the_only_interrupts_name(house: House, answers: Json) -> None:
    task = await house.begin(_SIZES)

    await house.accept(ALICE, data(house, task, answers=answers))
    await house.clock.turn()

    assert text_of(task) == "S"


async def test_a_data_part_may_dismiss_a_question(house: House) -> None:
    task = await house.begin(_SIZES)

    await house.accept(ALICE, data(house, task, request_id=asked(task).id, reject=True))
    await house.clock.turn()

    assert task.state is TaskState.COMPLETED
    assert [resolved.resolution for resolved in task.resolved.values()] == ["rejected"]


@pytest.mark.parametrize("answer", [{}, {"reply": "perhaps"}, {"answers": "S"}, {"answers": [1]}, {"reject": False}])
async def test_a_data_part_that_says_nothing_clear_is_refused(house: House, answer: dict[str, Json]) -> None:
    task = await house.begin(_SIZES)

    with pytest.raises(AmbiguousAnswer):
        await house.accept(ALICE, house.said(DataPart(answer), task=task))


async def test_a_data_part_that_is_no_object_is_refused(house: House) -> None:
    task = await house.begin(_SIZES)

    with pytest.raises(AmbiguousAnswer):
        await house.accept(ALICE, house.said(DataPart([1, 2]), task=task))


async def test_an_answer_to_something_the_task_never_asked_is_refused(house: House) -> None:
    task = await house.begin(_SIZES)

    with pytest.raises(AnswerDoesNotFit):
        await house.accept(ALICE, data(house, task, request_id="another", answers=[["S"]]))


async def test_a_verdict_does_not_answer_a_question_and_leaves_no_trace(house: House) -> None:
    task = await house.begin(_SIZES)
    before = task.seq

    with pytest.raises(AnswerDoesNotFit):
        await house.accept(ALICE, data(house, task, reply="once"))

    assert task.seq == before


async def test_the_journal_says_who_answered(house: House) -> None:
    task = await house.begin(_PERMISSION)

    await house.say(task, "yes")

    assert [resolved.by for resolved in house.updates(task, InterruptResolved)] == [ALICE]


async def test_the_answer_stands_in_the_history(house: House) -> None:
    task = await house.begin(_PERMISSION)

    await house.say(task, "yes")

    assert "yes" in [message.text for message in task.history]


async def test_the_same_answer_at_the_same_time_is_the_same_result(house: House) -> None:
    task = await house.begin(_PERMISSION)
    answers = [house.answer(house.log(task), ALICE, asked(task).id, _YES) for _ in range(2)]

    await house.after(0, asyncio.gather(*answers))

    assert house.agent.calls.count("answer") == 1
    assert text_of(task) == "once"


async def test_of_two_different_answers_at_the_same_time_the_first_wins(house: House) -> None:
    task = await house.begin(_PERMISSION)
    answers = [
        house.answer(house.log(task), ALICE, asked(task).id, _YES),
        house.answer(house.log(task), BOB, asked(task).id, _NO),
    ]

    outcomes = await house.after(0, asyncio.gather(*answers, return_exceptions=True))

    assert outcomes[0] is None
    assert isinstance(outcomes[1], AlreadyAnswered)
    assert "alice" in str(outcomes[1])
    assert [(resolved.resolution, resolved.by) for resolved in task.resolved.values()] == [("once", ALICE)]


async def test_the_same_answer_again_later_is_the_same_result(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    request = asked(task).id
    await house.say(task, "yes")
    before = task.seq

    await house.accept(ALICE, data(house, task, request_id=request, reply="once"))

    assert task.seq == before


async def test_another_answer_later_is_refused_with_who_gave_the_first(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    request = asked(task).id
    await house.say(task, "yes")

    with pytest.raises(AlreadyAnswered, match="by alice: once"):
        await house.accept(ALICE, data(house, task, request_id=request, reply="reject"))


async def test_answers_to_a_question_that_has_its_answer_are_told_apart(house: House) -> None:
    task = await house.begin(_SIZES, Hang())
    request = asked(task).id
    await house.accept(ALICE, data(house, task, request_id=request, answers=[["S"]]))
    await house.clock.turn()

    with pytest.raises(AlreadyAnswered):
        await house.answer.by_request(ALICE, request, QuestionAnswer((("M",),)))
    with pytest.raises(AlreadyAnswered):
        await house.answer.by_request(ALICE, request, QuestionDismissed())


async def test_an_interrupt_can_be_answered_by_its_id(house: House) -> None:
    task = await house.begin(_PERMISSION)

    await house.answer.by_request(ALICE, asked(task).id, _YES)
    await house.clock.turn()

    assert text_of(task) == "once"


async def test_the_same_answer_by_id_again_is_the_same_result(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    request = asked(task).id
    await house.say(task, "yes")
    before = task.seq

    await house.answer.by_request(ALICE, request, _YES)

    assert task.seq == before


async def test_an_unknown_id_is_refused(house: House) -> None:
    task = await house.begin(_PERMISSION)

    assert task.pending
    with pytest.raises(InterruptNotFound):
        await house.answer.by_request(ALICE, RequestId("unknown"), _YES)


async def test_text_for_a_task_at_work_is_no_answer(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    await house.say(task, "yes")

    with pytest.raises(TaskIsBusy):
        await house.accept(ALICE, house.message(text="yes", task=task))


async def test_an_answer_that_does_not_get_through_is_given_when_the_runtime_is_back(house: House) -> None:
    task = await house.begin(_PERMISSION)
    house.agent.cut_off()
    await house.say(task, "yes")
    house.agent.reach()

    await house.clock.turn(5)

    assert text_of(task) == "once"


async def test_an_answer_on_its_way_is_the_answer(house: House) -> None:
    task = await house.begin(_PERMISSION)
    request = asked(task).id
    house.agent.cut_off()
    await house.say(task, "yes")
    seq = task.seq

    await house.answer.by_request(ALICE, request, _YES)
    with pytest.raises(AlreadyAnswered, match="its effect is awaited"):
        await house.answer.by_request(ALICE, request, _NO)

    assert task.seq == seq


async def test_an_answer_that_got_through_although_it_failed_counts(house: House) -> None:
    task = await house.begin(_PERMISSION)
    house.agent.done_but["answer"] = AgentUnreachable("the connection broke off")

    await house.say(task, "yes")

    assert (text_of(task), task.state) == ("once", TaskState.COMPLETED)


async def test_an_answer_counts_only_when_its_effect_shows(house: House) -> None:
    task = await house.begin(_PERMISSION)
    house.agent.lost.add("answer")

    await house.say(task, "yes")

    assert task.state is TaskState.INPUT_REQUIRED


async def test_the_effect_of_an_answer_is_seen_soon_although_nothing_is_heard(house: House) -> None:
    task = await house.begin(_PERMISSION)
    with house.stage.scripted.lapse():
        await house.say(task, "yes")

        await house.clock.turn(3)

        assert (text_of(task), task.state) == ("once", TaskState.COMPLETED)


async def test_what_the_runtime_no_longer_waits_for_is_refused_and_looked_after(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    session = task.session
    assert session is not None
    with house.stage.scripted.lapse():
        await house.agent.inner.answer(session, asked(task), _YES)  # somebody else, at the runtime itself
        with pytest.raises(AlreadyAnswered):
            await house.accept(ALICE, house.message(text="no", task=task))
        await house.clock.turn(1)

        assert task.state is TaskState.WORKING


async def test_an_answer_given_before_the_turn_is_taken_up_again_counts(house: House) -> None:
    task = await house.begin(_PERMISSION)
    async with reborn(house) as again:
        await again.say(task, "yes")

        await again.recover()
        await again.clock.turn(5)
        task = again.journal.logs[task.id].task

    assert (text_of(task), task.state) == ("once", TaskState.COMPLETED)


async def test_a_sub_agents_question_is_answered_like_any_other(house: House) -> None:
    task = await house.begin(Delegate((_PERMISSION,)), Say(" and thanks"))

    await house.say(task, "yes")

    assert text_of(task) == "once and thanks"


async def test_text_answers_the_question_that_waits_longest(house: House) -> None:
    task = await house.begin(AskPermission("bash", ("a",)), AskPermission("bash", ("b",)), Say("done"))

    await house.say(task, "yes")
    await house.say(task, "yes")

    assert text_of(task) == "done"


async def test_what_is_always_allowed_is_not_asked_again(house: House) -> None:
    task = await house.begin(_PERMISSION, _PERMISSION)

    await house.say(task, "always")

    assert (text_of(task), task.state) == ("alwaysalways", TaskState.COMPLETED)
