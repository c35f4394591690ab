"""Taking up what another life of the service left."""

from __future__ import annotations

import asyncio

import pytest

from opencode_a2a_server.adapters.outbound.scripted import AskInput, AskPermission, Delay, Echo, Hang, Recall, Say
from opencode_a2a_server.domain.errors import AgentRefused, AgentUnreachable
from opencode_a2a_server.domain.ids import ContextId
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import TurnStarted
from tests.app.house import ALICE, House, reborn, status_of, text_of

pytestmark = pytest.mark.anyio


async def recovered(house: House, task: Task, seconds: float = 0) -> Task:
    """Recover, let time pass, and give the task as it then is."""
    await house.recover()
    await house.clock.turn(seconds)
    return house.journal.logs[task.id].task


async def test_a_task_that_never_began_is_begun(house: House) -> None:
    house.agent.cut_off()
    task = await house.begin(Say("hello"))
    house.agent.reach()

    async with reborn(house) as again:
        task = await recovered(again, task)

    assert (text_of(task), task.state) == ("hello", TaskState.COMPLETED)


async def test_a_task_whose_turn_goes_on_is_followed_further(house: House) -> None:
    task = await house.begin(Say("before "), Delay(30), Say("after"))

    async with reborn(house) as again:
        task = await recovered(again, task, 30)

    assert (text_of(task), task.state) == ("before after", TaskState.COMPLETED)
    assert house.agent.calls.count("prompt") == 1


async def test_a_task_whose_turn_ended_meanwhile_is_completed_from_what_the_runtime_shows(house: House) -> None:
    task = await house.begin(Say("before "), Delay(30), Say("after"))
    await house.turns.__aexit__()
    await house.clock.turn(30)

    async with reborn(house) as again:
        task = await recovered(again, task, 1)

    assert (text_of(task), task.state) == ("before after", TaskState.COMPLETED)


async def test_a_turn_cut_in_the_midst_of_a_text_tells_each_word_once(house: House) -> None:
    task = await house.begin(Say("one two three four five six seven"))
    log = house.log(task)
    texts = set()

    for kept in range(3, len(log.entries)):
        log.kept = kept
        async with reborn(house) as again:
            texts.add(text_of(await recovered(again, task, 1)))

    assert texts == {"one two three four five six seven"}


async def test_a_task_whose_session_is_lost_fails_with_the_reason(house: House) -> None:
    task = await house.begin(Say("before"), Hang())
    house.stage.scripted._conversations.clear()

    async with reborn(house) as again:
        task = await recovered(again, task, 5)

    assert task.state is TaskState.FAILED
    assert "no longer has the session" in status_of(task)[1]


async def test_a_prompt_that_was_journaled_but_never_sent_is_sent(house: House) -> None:
    house.agent.raises["prompt"] = AgentUnreachable("no route")
    task = await house.begin(Say("hello"))
    assert isinstance(house.log(task).updates[-1], TurnStarted)
    house.agent.reach()

    async with reborn(house) as again:
        task = await recovered(again, task, 1)

    assert (text_of(task), task.state) == ("hello", TaskState.COMPLETED)


@pytest.mark.parametrize("fault", [AgentUnreachable("no route"), AgentRefused("it broke", 500)])
async def test_a_runtime_that_cannot_say_whether_a_prompt_was_sent_is_asked_again(
    house: House, fault: Exception
) -> None:
    house.agent.raises["prompt"] = AgentUnreachable("no route")
    task = await house.begin(Say("hello"))
    house.agent.reach()
    house.agent.raises["recall"] = fault

    async with reborn(house) as again:
        await recovered(again, task, 10)
        assert "abort" not in house.agent.calls
        house.agent.reach()
        await again.clock.turn(20)
        task = again.journal.logs[task.id].task

    assert (text_of(task), task.state) == ("hello", TaskState.COMPLETED)


async def test_a_store_that_cannot_be_read_for_a_moment_does_not_end_what_is_taken_up(house: House) -> None:
    task = await house.begin(Echo(), Hang())
    house.log(task).kept = 2

    async with reborn(house) as again:
        again.log(task).unread = 2
        await recovered(again, task, 1)
        assert "abort" not in house.agent.calls
        await again.clock.turn(20)
        task = again.journal.logs[task.id].task

    assert (text_of(task), task.state) == ("play", TaskState.WORKING)


async def test_a_prompt_that_was_sent_is_not_sent_again(house: House) -> None:
    task = await house.begin(Echo(), Hang())
    house.log(task).kept = 2

    async with reborn(house) as again:
        task = await recovered(again, task, 1)

    assert text_of(task) == "play"
    assert house.agent.calls.count("prompt") == 1


async def test_a_message_that_went_on_is_not_lost_when_the_service_ends_before_it_was_sent(house: House) -> None:
    task = await house.begin(AskInput("and?"), Recall(), Echo(" / "))
    house.agent.raises["prompt"] = AgentUnreachable("no route")
    await house.say(task, "this")
    house.agent.reach()

    async with reborn(house) as again:
        task = await recovered(again, task, 1)

    assert (text_of(task), task.state) == ("play / this", TaskState.COMPLETED)


async def test_a_task_that_halted_goes_on_halting(house: House) -> None:
    task = await house.begin(AskInput("and?"), Echo())

    async with reborn(house) as again:
        task = await recovered(again, task, 60)
        assert task.state is TaskState.INPUT_REQUIRED

        await again.say(task, "this")

    assert text_of(task) == "this"


async def test_what_waited_for_an_answer_can_still_be_answered(house: House) -> None:
    task = await house.begin(AskPermission("bash"), Say("done"))

    async with reborn(house) as again:
        task = await recovered(again, task, 60)
        assert task.state is TaskState.INPUT_REQUIRED

        await again.say(task, "yes")

    assert (text_of(task), task.state) == ("done", TaskState.COMPLETED)


async def test_what_was_answered_meanwhile_goes_on(house: House) -> None:
    task = await house.begin(AskPermission("bash"), Say("done"))
    await house.turns.__aexit__()
    assert task.session is not None
    await house.agent.inner.abort(task.session)

    async with reborn(house) as again:
        task = await recovered(again, task, 5)

    assert task.state is TaskState.CANCELED
    assert task.pending == {}


async def test_a_cancellation_that_was_only_written_down_is_done(house: House) -> None:
    task = await house.begin(Say("so far"), Hang())
    house.agent.lost.add("abort")
    canceling = asyncio.ensure_future(house.cancel(ALICE, task.id))
    await house.clock.turn()
    canceling.cancel()
    house.agent.reach()

    async with reborn(house) as again:
        task = await recovered(again, task, 1)

    assert (text_of(task), task.state) == ("so far", TaskState.CANCELED)


async def test_a_canceled_task_that_never_began_does_not_begin(house: House) -> None:
    house.agent.cut_off()
    task = await house.begin(Say("never"))
    log = house.log(task)
    canceling = asyncio.ensure_future(house.cancel(ALICE, task.id))
    await house.clock.turn()
    await canceling
    log.kept = len(log.entries) - 1
    house.agent.reach()

    async with reborn(house) as again:
        task = await recovered(again, task)

    assert (text_of(task), task.state) == ("", TaskState.CANCELED)
    assert "prompt" not in house.agent.calls


async def test_a_canceled_task_that_had_halted_is_canceled(house: House) -> None:
    task = await house.begin(AskInput("and?"))
    log = house.log(task)
    await house.after(0, house.cancel(ALICE, task.id))
    log.kept = len(log.entries) - 1

    async with reborn(house) as again:
        task = await recovered(again, task)

    assert task.state is TaskState.CANCELED


async def test_tasks_of_one_session_are_taken_up_in_their_order(house: House) -> None:
    first = await house.begin(Say("one"), Delay(30))
    second = await house.begin(Recall())

    async with reborn(house) as again:
        await again.recover()
        await house.clock.turn(10)
        assert again.journal.logs[second.id].task.state is TaskState.SUBMITTED

        await house.clock.turn(30)
        states = [again.journal.logs[task.id].task.state for task in (first, second)]

    assert states == [TaskState.COMPLETED] * 2


async def test_a_runtime_that_starts_later_than_the_service_is_waited_for(house: House) -> None:
    task = await house.begin(Say("before "), Delay(30), Say("after"))
    house.agent.cut_off()

    async with reborn(house) as again:
        await recovered(again, task, 60)
        house.agent.reach()
        await again.clock.turn(20)
        task = again.journal.logs[task.id].task

    assert (text_of(task), task.state) == ("before after", TaskState.COMPLETED)


async def test_a_task_of_which_the_store_has_lost_a_part_holds_up_no_other(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    lost = await house.begin(Say("one"), Delay(30))
    other = await house.begin(Say("two"), Delay(30), context=None)

    async with reborn(house) as again:
        again.journal.damaged.add(lost.id)
        other = await recovered(again, other, 30)

    assert (text_of(other), other.state) == ("two", TaskState.COMPLETED)
    assert f"task {lost.id} cannot be taken up: the journal of task {lost.id} is empty" in caplog.text


async def test_ended_tasks_are_left_alone(house: House) -> None:
    await house.begin(Say("done"))

    async with reborn(house) as again:
        taken_up = await again.recover()

        assert (taken_up, again.turns.active) == (0, 0)


async def test_no_task_works_for_ever_whatever_was_lost_when(house: House) -> None:
    task = await house.begin(Say("one"), AskPermission("bash"), Say("two"))
    await house.say(task, "yes")
    log = house.log(task)

    for kept in range(2, len(log.entries) + 1):
        log.kept = kept
        async with reborn(house) as again:
            assert (await recovered(again, task, 300)).state is TaskState.COMPLETED, f"after {kept} entries"


async def test_of_many_that_wait_a_few_at_a_time_are_asked_about(house: House) -> None:
    for number in range(30):
        await house.begin(AskPermission("bash"), context=ContextId(f"context {number}"))
    before = house.agent.calls.count("recall")
    house.agent.hangs = {"recall": 1000}

    async with reborn(house) as again:
        await again.recover()
        await again.clock.turn(1)
        at_once = house.agent.calls.count("recall") - before
        waiting = (again.turns.active, again.turns.waiting)
        house.agent.reach()
        await again.clock.turn(120)

        assert (at_once, waiting) == (8, (30, 30))
        assert (again.turns.parked, again.turns.active, again.turns.waiting) == (30, 30, 30)


async def test_of_many_that_work_not_all_are_asked_about_at_once(house: House) -> None:
    for number in range(30):
        await house.begin(Say("before "), Hang(), context=ContextId(f"context {number}"))
    house.agent.hangs = {"recall": 1000}

    async with reborn(house) as again:
        await again.recover()
        await again.clock.turn(1)

        assert house.agent.calls.count("recall") == 16


async def test_one_that_waits_is_taken_up_at_once_by_who_answers_it(house: House) -> None:
    for number in range(30):
        task = await house.begin(AskPermission("bash"), context=ContextId(f"context {number}"))
    house.agent.hangs = {"recall": 8}

    async with reborn(house) as again:
        await again.recover()
        await again.clock.turn(1)
        task = again.journal.logs[task.id].task
        await again.say(task, "yes")
        await again.clock.turn(2)

        assert task.state is TaskState.COMPLETED


async def test_one_that_waits_is_aborted_by_who_cancels_it_before_it_is_taken_up(house: House) -> None:
    for number in range(30):
        task = await house.begin(AskPermission("bash"), context=ContextId(f"context {number}"))
    house.agent.hangs = {"recall": 8}

    async with reborn(house) as again:
        await again.recover()
        await again.clock.turn(1)
        await again.after(2, again.cancel(ALICE, task.id))

        assert again.journal.logs[task.id].task.state is TaskState.CANCELED
        assert house.agent.calls.count("abort") == 1


async def test_of_one_that_waits_nobody_else_gets_the_session_before_it_is_taken_up(house: House) -> None:
    for number in range(30):
        await house.begin(AskPermission("bash"), context=ContextId(f"context {number}"))
    house.agent.hangs = {"recall": 1000}

    async with reborn(house) as again:
        await again.recover()
        other = await again.begin(Say("other"), context=ContextId("context 29"))
        await again.clock.turn(10)

        assert (other.state, house.agent.calls.count("prompt")) == (TaskState.SUBMITTED, 30)


async def test_tasks_that_are_removed_meanwhile_are_left_out(house: House) -> None:
    kept, removed = await house.begin(AskPermission("bash")), await house.begin(Hang(), context=ContextId("other"))

    async with reborn(house) as again:
        left = await again.recover.replicas.inherit()
        again.recover._left += left
        del again.journal.logs[removed.id]

        assert await again.recover() == 1
        assert again.turns.job(again.journal.logs[kept.id]) is not None
