"""Deadlines, rules, and answers that take their time."""

from __future__ import annotations

import pytest
from attrs import evolve

from opencode_a2a_server.adapters.outbound.scripted import AskPermission, AskQuestion, Delegate, Hang, Say, Step
from opencode_a2a_server.domain.errors import AgentFault, AlreadyAnswered, InterruptExpired, InterruptNotFound
from opencode_a2a_server.domain.ids import Principal, RequestId
from opencode_a2a_server.domain.interrupt import (
    Action,
    Channel,
    Inquiry,
    Interrupt,
    Kind,
    PermissionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.terms import Rule, Terms
from opencode_a2a_server.domain.updates import (
    AnswerDropped,
    AnswerGiven,
    InterruptRaised,
    InterruptResolved,
    StatusChanged,
)
from tests.app.house import ALICE, BOB, House, Stage, living, reborn, status_of, text_of

pytestmark = pytest.mark.anyio

_PERMISSION = AskPermission(
    "bash", ("rm *",), {Verdict.ONCE: (Say("once"),), Verdict.ALWAYS: (Say("always"),), Verdict.REJECT: (Say("no"),)}
)
_QUESTION = AskQuestion((Inquiry("Which size?"),))
_YES, _NO = PermissionAnswer(Verdict.ONCE), PermissionAnswer(Verdict.REJECT)
_REJECTING = Terms(seconds=60.0, permission=Action.REJECT, question=Action.REJECT)
_ALLOWING = evolve(_REJECTING, permission=Action.ALLOW_ONCE)
_BY_RULE = Terms((Rule(Action.ALLOW_ONCE, pattern="rm *", reason="it is only a test"),))


def asked(task: Task) -> Interrupt:
    """Give what waits longest."""
    return next(iter(task.pending.values()))


def resolutions(house: House, task: Task) -> list[tuple[str, Channel | None, str]]:
    """Give how interrupts ended, by whom and why."""
    return [(update.resolution, update.channel, update.reason) for update in house.updates(task, InterruptResolved)]


# Deadlines


@pytest.mark.parametrize(
    ("terms", "step", "text", "resolution"),
    [
        (_REJECTING, _PERMISSION, "no", "reject"),
        (_ALLOWING, _PERMISSION, "once", "once"),
        (_REJECTING, _QUESTION, "", "rejected"),
    ],
)
async def test_at_its_deadline_an_interrupt_is_answered_by_default(
    terms: Terms, step: Step, text: str, resolution: str
) -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=terms) as house:
        task = await house.begin(step)
        await house.clock.turn(59)
        assert task.state is TaskState.INPUT_REQUIRED

        await house.clock.turn(2)

        assert (text_of(task), task.state) == (text, TaskState.COMPLETED)
        assert resolutions(house, task) == [(resolution, Channel.DEADLINE, "nobody answered in time")]


@pytest.mark.parametrize("terms", [Terms(), Terms(seconds=60.0), Terms(seconds=60.0, question=Action.REJECT)])
async def test_without_a_default_action_it_is_asked_for_ever(terms: Terms) -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=terms) as house:
        task = await house.begin(_PERMISSION)

        await house.clock.turn(100_000)

        assert task.state is TaskState.INPUT_REQUIRED
        assert "Without an answer" not in status_of(task)[1]


async def test_the_status_says_until_when_an_answer_is_waited_for() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(_PERMISSION)

        assert "Without an answer by 2023-11-14 22:14:20 UTC it is rejected." in status_of(task)[1]


async def test_a_turn_that_a_deadline_ended_says_why() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(AskPermission("bash"))

        await house.clock.turn(61)

        assert status_of(task) == (
            TaskState.COMPLETED,
            "Stopped: the request was rejected (deadline: nobody answered in time).",
        )


async def test_an_answer_in_time_is_the_answer() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(_PERMISSION, Hang())
        await house.clock.turn(59)

        await house.say(task, "yes")
        await house.clock.turn(100)

        assert text_of(task) == "once"
        assert resolutions(house, task) == [("once", Channel.MESSAGE, "")]


async def test_each_interrupt_has_its_own_deadline() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(_PERMISSION, _PERMISSION)
        await house.clock.turn(30)
        await house.say(task, "yes")

        await house.clock.turn(59)
        assert task.state is TaskState.INPUT_REQUIRED
        await house.clock.turn(2)

        assert (text_of(task), task.state) == ("onceno", TaskState.COMPLETED)


async def test_the_deadline_of_a_sub_agents_question_holds_too() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_ALLOWING) as house:
        task = await house.begin(Delegate((Delegate((Delegate((_PERMISSION,)),)),)), Say(" and on"))

        await house.clock.turn(61)

        assert (text_of(task), task.state) == ("once and on", TaskState.COMPLETED)


async def test_a_deadline_holds_over_a_restart() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(_PERMISSION)
        await house.clock.turn(40)
        async with reborn(house) as again:
            await again.recover()
            await again.clock.turn(19)
            again_task = again.journal.logs[task.id].task
            assert again_task.state is TaskState.INPUT_REQUIRED

            await again.clock.turn(2)

            assert (text_of(again_task), again_task.state) == ("no", TaskState.COMPLETED)


async def test_a_deadline_that_passed_while_the_service_was_down_is_kept_at_once() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(_PERMISSION)
        async with reborn(house) as again:
            await again.clock.turn(3600)

            await again.recover()
            await again.clock.turn(3)

            again_task = again.journal.logs[task.id].task
            assert (text_of(again_task), again_task.state) == ("no", TaskState.COMPLETED)


async def test_setting_the_time_neither_hurries_nor_delays_a_deadline() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(_PERMISSION)
        await house.clock.turn(30)
        stage.clock._now += 86_400

        await house.clock.turn(29)
        before = task.state
        stage.clock._now -= 2 * 86_400
        await house.clock.turn(2)

        assert (before, task.state) == (TaskState.INPUT_REQUIRED, TaskState.COMPLETED)


async def test_a_clock_that_was_set_back_over_a_restart_makes_no_deadline_longer_than_it_was() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(_PERMISSION)
        async with reborn(house) as again:
            stage.clock._now -= 86_400

            await again.recover()
            await again.clock.turn(63)

            assert again.journal.logs[task.id].task.state is TaskState.COMPLETED


async def test_a_default_action_without_any_effect_ends_in_an_abort() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(_PERMISSION)
        house.agent.lost.add("answer")

        await house.clock.turn(61 + 62)

        state, said = status_of(task)
        assert state is TaskState.FAILED
        assert "nobody answered in time" in said
        assert house.agent.calls[-1] == "abort"


async def test_a_late_answer_is_told_that_it_is_late() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_REJECTING) as house:
        task = await house.begin(_PERMISSION, Hang())
        request = asked(task).id
        await house.clock.turn(61)

        with pytest.raises(InterruptExpired, match="deadline: nobody answered in time: reject"):
            await house.answer.by_request(ALICE, request, _YES)
        await house.answer.by_request(ALICE, request, _NO)  # which is what became of it

        assert text_of(task) == "no"


async def test_the_end_of_the_task_is_the_end_of_what_it_asked(house: House) -> None:
    task = await house.begin(_PERMISSION)
    request = asked(task).id
    await house.cancel(ALICE, task.id)

    with pytest.raises(InterruptExpired, match="canceled"):
        await house.answer.by_request(ALICE, request, _YES)


async def test_what_was_withdrawn_is_over(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    request, session = asked(task).id, task.session
    assert session is not None
    with house.stage.scripted.lapse():
        await house.agent.inner.answer(session, asked(task), _YES)
        await house.clock.turn(120)

        with pytest.raises(InterruptExpired, match="withdrawn"):
            await house.answer.by_request(ALICE, request, _YES)


async def test_what_ended_long_ago_is_not_known_any_more(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    request = asked(task).id
    await house.say(task, "yes")
    await house.clock.turn(599)
    await house.answer.by_request(ALICE, request, _YES)

    await house.clock.turn(2)

    with pytest.raises(InterruptNotFound):
        await house.answer.by_request(ALICE, request, _YES)


async def test_nobody_else_has_the_interrupt(house: House) -> None:
    task = await house.begin(_PERMISSION)

    with pytest.raises(InterruptNotFound):
        await house.answer.by_request(BOB, asked(task).id, _YES)

    assert task.state is TaskState.INPUT_REQUIRED


async def test_who_answered_and_when_is_told_to_who_answers_otherwise(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    request = asked(task).id
    await house.say(task, "yes")

    with pytest.raises(AlreadyAnswered, match="answered at 2023-11-14 22:13:20 UTC by alice: once"):
        await house.answer.by_request(ALICE, request, _NO)


# Rules


async def test_a_rule_that_allows_lets_the_task_work_on() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_BY_RULE) as house:
        task = await house.begin(_PERMISSION)

        assert (text_of(task), task.state) == ("once", TaskState.COMPLETED)
        assert house.updates(task, InterruptRaised) == []
        assert resolutions(house, task) == [("once", Channel.POLICY, "it is only a test")]
        states = [update.state for update in house.updates(task, StatusChanged)]
        assert TaskState.INPUT_REQUIRED not in states


async def test_a_rule_that_rejects_tells_the_agent_why() -> None:
    stage = Stage()
    terms = Terms((Rule(Action.REJECT, reason="never here"),))
    async with stage.scripted, living(stage, terms=terms) as house:
        task = await house.begin(_PERMISSION)

        (given,) = house.updates(task, AnswerGiven)
        assert given.answer == PermissionAnswer(Verdict.REJECT, "never here")
        assert (text_of(task), task.state) == ("no", TaskState.COMPLETED)


async def test_a_rule_may_dismiss_a_question() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=Terms((Rule(Action.REJECT, kind=Kind.QUESTION),))) as house:
        task = await house.begin(_QUESTION)

        (given,) = house.updates(task, AnswerGiven)
        assert given.answer == QuestionDismissed()
        assert task.state is TaskState.COMPLETED


async def test_a_rule_for_somebody_else_is_none() -> None:
    stage = Stage()
    terms = Terms((Rule(Action.ALLOW_ONCE, principal="bob"),))
    async with stage.scripted, living(stage, terms=terms) as house:
        task = await house.begin(_PERMISSION)

        assert task.state is TaskState.INPUT_REQUIRED


async def test_a_rule_decides_beside_a_question_that_waits() -> None:
    stage = Stage()
    terms = Terms((Rule(Action.ALLOW_ONCE, pattern="rm *"),))
    async with stage.scripted, living(stage, terms=terms) as house:
        task = await house.begin(Delegate((_PERMISSION, AskPermission("bash", ("make",)))), Say("done"))
        before = status_of(task)

        assert before[0] is TaskState.INPUT_REQUIRED
        assert "make" in before[1]
        await house.say(task, "yes")
        assert (text_of(task), task.state) == ("oncedone", TaskState.COMPLETED)


async def test_what_a_rule_decided_and_a_crash_cut_off_is_delivered_by_the_next_life() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_BY_RULE) as house:
        house.agent.cut_off()
        house.agent.raises = {"answer": house.agent.raises["answer"]}
        task = await house.begin(_PERMISSION)
        assert task.state is TaskState.WORKING
        async with reborn(house) as again:
            again.agent.reach()

            await again.recover()
            await again.clock.turn(3)

            again_task = again.journal.logs[task.id].task
            assert (text_of(again_task), again_task.state) == ("once", TaskState.COMPLETED)


async def test_what_the_runtime_refuses_of_a_rule_a_person_is_asked() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=_BY_RULE) as house:
        house.agent.raises["answer"] = AgentFault("not like that")
        task = await house.begin(_PERMISSION)
        await house.clock.turn(3)

        assert task.state is TaskState.INPUT_REQUIRED
        assert len(house.updates(task, AnswerDropped)) == 1


# Answers on their way


async def test_an_answer_is_journaled_before_the_runtime_hears_of_it(house: House) -> None:
    task = await house.begin(_PERMISSION)
    house.agent.lost.add("answer")

    await house.say(task, "yes")

    assert [given.by.principal for given in house.updates(task, AnswerGiven)] == [ALICE]
    assert task.given.keys() == task.pending.keys()


async def test_an_answer_without_effect_is_given_again(house: House) -> None:
    task = await house.begin(_PERMISSION)
    house.agent.lost.add("answer")
    await house.say(task, "yes")
    house.agent.lost.clear()

    await house.clock.turn(5)

    assert (text_of(task), task.state) == ("once", TaskState.COMPLETED)


async def test_an_answer_that_a_crash_cut_off_is_given_by_the_next_life(house: House) -> None:
    task = await house.begin(_PERMISSION)
    house.agent.lost.add("answer")
    await house.say(task, "yes")
    async with reborn(house) as again:
        again.agent.reach()

        await again.recover()
        await again.clock.turn(3)

        again_task = again.journal.logs[task.id].task
        assert (text_of(again_task), again_task.state) == ("once", TaskState.COMPLETED)
        assert [given.by.principal for given in again.updates(again_task, AnswerGiven)] == [ALICE]
        assert [record.outcome for record in again.audit.records] == ["given-again", "once"]


async def test_an_answer_that_got_through_before_a_crash_is_not_given_twice(house: House) -> None:
    task = await house.begin(_PERMISSION, _PERMISSION)
    session, interrupt = task.session, asked(task)
    assert session is not None
    house.agent.lost.add("answer")
    with house.stage.scripted.lapse():
        await house.say(task, "yes")
        await house.agent.inner.answer(session, interrupt, _YES)  # it got through, and nobody heard of it
        async with reborn(house) as again:
            again.agent.reach()

            await again.recover()
            await again.clock.turn(3)

            again_task = again.journal.logs[task.id].task
            assert (text_of(again_task), len(again_task.pending)) == ("once", 1)
            assert [settled.by for settled in again_task.resolved.values()] == [ALICE]


async def test_what_the_runtime_refuses_can_be_answered_otherwise(house: House) -> None:
    task = await house.begin(_PERMISSION)
    house.agent.raises["answer"] = AgentFault("not like that")
    with pytest.raises(AgentFault, match="not like that"):
        await house.accept(ALICE, house.message(text="yes", task=task))
    house.agent.reach()

    await house.say(task, "no: use git")

    assert text_of(task) == "no"


async def test_one_message_answers_several_interrupts_or_none(house: House) -> None:
    both = (_PERMISSION,)
    first, second = await house.begin(*both), await house.begin(*both, context=None)
    request, other = asked(first).id, asked(second).id
    seq = first.seq

    from opencode_a2a_server.domain.errors import AnswerDoesNotFit
    from opencode_a2a_server.domain.message import DataPart

    mixed = house.said(
        DataPart({"request_id": request, "reply": "once"}),
        DataPart({"request_id": other, "reply": "once"}),
        task=first,
    )
    with pytest.raises(AnswerDoesNotFit):
        await house.accept(ALICE, mixed)

    assert first.seq == seq


# The audit


async def test_the_audit_says_who_answered_what_and_how(house: House) -> None:
    task = await house.begin(_PERMISSION)
    request = asked(task).id

    await house.say(task, "yes")

    given, resolved = house.audit.records
    assert (given.action, given.outcome, given.principal, given.channel) == (
        "interrupt.answer",
        "given",
        ALICE,
        "message",
    )
    assert given.subject["request"] == resolved.subject["request"] == request
    assert given.details == {"kind": "permission", "permission": "bash", "patterns": ["rm *"], "answer": "once"}
    assert (resolved.action, resolved.outcome, resolved.principal) == ("interrupt.resolved", "once", ALICE)


async def test_the_audit_says_what_rules_and_deadlines_did() -> None:
    stage = Stage()
    async with stage.scripted, living(stage, terms=evolve(_REJECTING, rules=_BY_RULE.rules)) as house:
        await house.begin(_PERMISSION, AskPermission("edit"))
        await house.clock.turn(61)

        told = [(record.channel, record.principal, record.outcome) for record in house.audit.records]
        assert told == [
            ("policy", None, "given"),
            ("policy", None, "once"),
            ("deadline", None, "given"),
            ("deadline", None, "reject"),
        ]


async def test_the_audit_says_what_was_refused(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    request = asked(task).id
    await house.say(task, "yes")

    with pytest.raises(AlreadyAnswered):
        await house.answer.by_request(ALICE, request, _NO)

    last = house.audit.records[-1]
    assert (last.outcome, last.channel, last.details["error"]) == ("refused", "callback", "AlreadyAnswered")


async def test_the_audit_says_what_was_answered_elsewhere(house: House) -> None:
    task = await house.begin(_PERMISSION, Hang())
    session = task.session
    assert session is not None

    await house.agent.inner.answer(session, asked(task), _YES)
    await house.clock.turn(1)

    (record,) = house.audit.records
    assert (record.outcome, record.principal, record.channel) == ("once", None, "")


# What waits


async def test_what_waits_is_listed_by_kind_for_its_own_principal(house: House) -> None:
    permission = await house.begin(_PERMISSION, context=None)
    question = await house.begin(_QUESTION, context=None)
    await house.begin(_PERMISSION, context=None, by=BOB)

    (one,) = await house.waiting(ALICE, Kind.PERMISSION)
    (other,) = await house.waiting(ALICE, Kind.QUESTION)

    assert (one.task_id, one.interrupt) == (permission.id, asked(permission))
    assert (other.task_id, other.context_id) == (question.id, question.context_id)
    assert await house.waiting(Principal("carol"), Kind.PERMISSION) == []


async def test_what_has_its_answer_is_not_listed(house: House) -> None:
    task = await house.begin(_PERMISSION)
    house.agent.lost.add("answer")
    await house.say(task, "yes")

    assert await house.waiting(ALICE, Kind.PERMISSION) == []
    assert await house.interrupts.find(ALICE, RequestId("unknown")) is None
