"""Turns that wait for somebody: nothing runs for them, and they go on all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from attrs import define, field

from opencode_a2a_server.adapters.outbound.scripted import AskPermission, AskQuestion, Delay, Delegate, Say, Step
from opencode_a2a_server.app.ports.meter import UNMETERED, TurnEnd
from opencode_a2a_server.domain.errors import AgentUnreachable, AlreadyAnswered, JournalUnavailable
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.interrupt import Action, Inquiry, PermissionAnswer, Verdict
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.terms import Terms
from opencode_a2a_server.domain.turn import Limits
from opencode_a2a_server.domain.updates import AnswerGiven
from opencode_a2a_server.domain.usage import Usage
from tests.app.house import ALICE, House, Stage, living, reborn, text_of

pytestmark = pytest.mark.anyio

_ASK = AskPermission("bash", ("rm *",), {Verdict.ONCE: (Say("done "),), Verdict.REJECT: (Say("left "),)})
_YES = PermissionAnswer(Verdict.ONCE)
_REJECTING = Terms(seconds=3600.0, permission=Action.REJECT, question=Action.REJECT)


@define
class Ends:
    """A meter of turns' ends."""

    told: list[tuple[TurnEnd, float]] = field(factory=list)

    def turn_ended(self, end: TurnEnd, seconds: float, _usage: Usage) -> None:
        self.told.append((end, seconds))

    def __getattr__(self, name: str) -> object:
        return getattr(UNMETERED, name)


async def parked(house: House, *steps: Step, after: float = 1) -> Task:
    """Begin a task whose turn is parked."""
    task = await house.begin(Say("before "), *(steps or (_ASK, Say("after"))))
    await house.clock.turn(after)
    assert (house.turns.parked, house.turns._jobs, house.turns._running) == (1, {}, {})
    return task


@pytest.fixture
async def stage(anyio_backend: str) -> AsyncIterator[Stage]:
    stage = Stage()
    async with stage.scripted:
        yield stage


# What makes it go on


async def test_an_answer_makes_it_go_on(house: House) -> None:
    task = await parked(house)
    await house.clock.turn(5000)

    await house.say(task, "yes")

    assert (text_of(task), task.state) == ("before done after", TaskState.COMPLETED)
    assert (house.turns.active, house.turns.parked) == (0, 0)


async def test_a_cancellation_aborts_it(house: House) -> None:
    task = await parked(house)

    await house.after(0, house.cancel(ALICE, task.id))

    assert (text_of(task), task.state) == ("before ", TaskState.CANCELED)
    assert house.agent.calls.count("abort") == 1


async def test_an_answer_given_elsewhere_makes_it_go_on_at_once(house: House) -> None:
    task = await parked(house)
    (request,) = task.pending
    assert task.session is not None

    await house.stage.scripted.answer(task.session, task.pending[request], _YES)
    await house.clock.turn()

    assert (text_of(task), task.state) == ("before done after", TaskState.COMPLETED)


async def test_what_happens_while_nothing_is_heard_is_found_by_looking(house: House) -> None:
    task = await parked(house)
    (request,) = task.pending
    assert task.session is not None
    with house.stage.scripted.lapse():
        await house.clock.turn(1)
        await house.stage.scripted.answer(task.session, task.pending[request], _YES)

        await house.clock.turn(130)

        assert (text_of(task), task.state) == ("before done after", TaskState.COMPLETED)


async def test_a_gap_has_the_runtime_asked_and_it_waits_on(house: House) -> None:
    task = await parked(house)
    asked = house.agent.calls.count("recall")

    with house.stage.scripted.lapse():
        pass
    await house.clock.turn()

    assert house.agent.calls.count("recall") == asked + 1
    assert (house.turns.parked, task.state) == (1, TaskState.INPUT_REQUIRED)


async def test_it_is_looked_after_more_and_more_rarely(house: House) -> None:
    await parked(house)
    looked = []

    for _ in range(4):
        asked = house.agent.calls.count("recall")
        await house.clock.turn(1000)
        looked.append(house.agent.calls.count("recall") - asked)

    assert looked == [4, 1, 1, 1]


async def test_a_second_question_is_heard_meanwhile(house: House) -> None:
    asking = Delegate((Delay(30), AskQuestion((Inquiry("Which size?"),)), Say("below")))
    task = await house.begin(asking, Delay(1), _ASK)
    await house.clock.turn(2)
    first = len(task.pending)

    await house.clock.turn(30)

    assert (first, len(task.pending)) == (0, 1)
    assert house.turns.parked == 1


async def test_at_the_deadline_it_is_answered_by_default(stage: Stage) -> None:
    async with living(stage, terms=_REJECTING) as house:
        task = await parked(house)
        await house.clock.turn(3590)
        assert task.state is TaskState.INPUT_REQUIRED

        await house.clock.turn(10)

        assert (text_of(task), task.state) == ("before left after", TaskState.COMPLETED)


@pytest.mark.parametrize("by", [-86_400.0, 86_400.0])
async def test_who_sets_the_clock_neither_hurries_nor_delays_a_deadline(stage: Stage, by: float) -> None:
    async with living(stage, terms=_REJECTING) as house:
        task = await parked(house)
        house.clock._now += by
        with stage.scripted.lapse():  # it is looked after, and parked anew
            pass
        await house.clock.turn(3590)
        before = task.state

        await house.clock.turn(10)

        assert (before, task.state) == (TaskState.INPUT_REQUIRED, TaskState.COMPLETED)


# What is kept meanwhile


async def test_nobody_else_gets_the_session(house: House) -> None:
    task = await parked(house)

    other = await house.begin(Say("other"))
    await house.clock.turn(100)
    assert (other.state, house.agent.calls.count("prompt")) == (TaskState.SUBMITTED, 1)
    await house.say(task, "yes")

    assert (text_of(task), text_of(other)) == ("before done after", "other")


async def test_the_time_of_the_turn_stands_still(stage: Stage) -> None:
    async with living(stage, limits=Limits(seconds=30)) as house:
        task = await parked(house, Delay(20), _ASK, Delay(20), Say("never"), after=21)
        await house.clock.turn(3600)
        await house.say(task, "yes")
        await house.clock.turn(9)
        before = task.state

        await house.clock.turn(12)

        assert (before, task.state) == (TaskState.WORKING, TaskState.FAILED)
        assert task.failure is not None
        assert task.failure.name == "LimitExceeded"


async def test_a_turn_counts_as_one_however_often_it_was_parked(house: House) -> None:
    house.turns.meter = ends = Ends()  # type: ignore[assignment] # the rest is the unmetered one's
    task = await parked(house, _ASK, _ASK)
    await house.clock.turn(9)
    await house.say(task, "yes")
    await house.clock.turn(10)
    assert (house.turns.parked, ends.told) == (1, [])

    await house.say(task, "yes")

    assert ends.told == [(TurnEnd.COMPLETED, 20.0)]


async def test_what_it_used_is_charged_once(house: House) -> None:
    charged: list[tuple[Principal, Usage | None, Usage | None]] = []

    async def charge(principal: Principal, before: Usage | None, after: Usage | None) -> None:
        charged.append((principal, before, after))

    house.turns.charge = charge
    task = await parked(house)

    await house.say(task, "yes")

    assert task.usage is not None
    assert [(before, after) for _, before, after in charged] == [(None, None), (None, task.usage)]


async def test_who_counts_turns_counts_it(house: House) -> None:
    await parked(house)

    assert (house.turns.active, house.turns.waiting, house.turns.working_for(ALICE)) == (1, 1, 0)


# What goes wrong


async def test_an_answer_for_which_the_runtime_no_longer_waits_is_refused(house: House) -> None:
    task = await parked(house)
    (request,) = task.pending
    assert task.session is not None
    with house.stage.scripted.lapse():
        await house.clock.turn(1)
        await house.stage.scripted.answer(task.session, task.pending[request], PermissionAnswer(Verdict.REJECT))

        with pytest.raises(AlreadyAnswered):
            await house.after(1, house.answer(house.log(task), ALICE, request, _YES))


async def test_an_answer_is_told_when_the_runtime_is_back(house: House) -> None:
    task = await parked(house)
    house.agent.raises["answer"] = AgentUnreachable("no route")
    await house.say(task, "yes")
    await house.clock.turn(10)
    assert (text_of(task), house.turns.parked) == ("before ", 0)

    house.agent.raises.clear()
    await house.clock.turn(30)

    assert (text_of(task), task.state) == ("before done after", TaskState.COMPLETED)
    assert len(house.updates(task, AnswerGiven)) == 1


async def test_while_the_store_cannot_be_read_it_is_looked_after_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await parked(house)
    (request,) = task.pending
    assert task.session is not None

    async def broken(_: object) -> None:
        raise JournalUnavailable("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(type(house.journal), "open", lambda _, task_id: broken(task_id))
        await house.stage.scripted.answer(task.session, task.pending[request], _YES)
        await house.clock.turn(20)
        assert (house.turns.parked, task.state) == (1, TaskState.INPUT_REQUIRED)
    await house.clock.turn(20)

    assert (text_of(task), task.state) == ("before done after", TaskState.COMPLETED)


async def test_a_fault_while_one_is_looked_after_leaves_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = await parked(house)

    async def broken(_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(type(house.journal), "open", lambda _, task_id: broken(task_id))
        await house.clock.turn(200)
    assert "looking after task" in caplog.text

    await house.say(task, "yes")

    assert (text_of(task), task.state) == ("before done after", TaskState.COMPLETED)


# When the service ends


async def test_the_next_life_takes_it_up(house: House) -> None:
    task = await parked(house)

    async with reborn(house) as again:
        await again.recover()
        await again.clock.turn(1)
        assert again.turns.parked == 1
        task = again.journal.logs[task.id].task
        await again.say(task, "yes")

        assert (text_of(task), task.state) == ("before done after", TaskState.COMPLETED)


async def test_at_the_end_its_session_is_left(house: House) -> None:
    task = await parked(house)
    assert task.session is not None

    await house.turns.__aexit__()

    assert (house.turns.parked, house.turns.holds.queues) == (0, {})  # type: ignore[attr-defined] # the fake's
    assert house.stage.scripted._hearings.get(task.session.id, []) == []
    assert not house.turns.cancel(house.log(task))


async def test_what_another_replica_runs_now_is_let_go_of(house: House) -> None:
    task = await parked(house)

    house.turns.let_go()
    await house.clock.turn(1000)

    assert (house.turns.active, house.turns.holds.queues) == (0, {})  # type: ignore[attr-defined] # the fake's
    assert task.state is TaskState.INPUT_REQUIRED


async def test_who_drains_does_not_wait_for_it(house: House) -> None:
    await parked(house)

    assert not await house.after(0, house.turns.drain(30))
