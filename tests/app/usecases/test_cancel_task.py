"""Canceling a task."""

from __future__ import annotations

import asyncio

import pytest

from opencode_a2a_server.adapters.outbound.scripted import AskInput, AskPermission, Delay, Hang, Say
from opencode_a2a_server.domain.errors import AgentFault, AgentUnreachable, TaskNotCancelable, TaskNotFound
from opencode_a2a_server.domain.ids import ContextId
from opencode_a2a_server.domain.interrupt import PermissionAnswer, Verdict
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import CancelRequested
from tests.app.house import ALICE, BOB, House, reborn, status_of, text_of
from tests.fakes.holds import FakeHolds

pytestmark = pytest.mark.anyio


async def test_a_task_at_work_is_canceled_when_the_abort_shows_its_effect(house: House) -> None:
    task = await house.begin(Say("so far"), Hang())

    log = await house.after(0, house.cancel(ALICE, task.id))

    assert log.task is task
    assert (text_of(task), task.state) == ("so far", TaskState.CANCELED)
    assert all(artifact.closed for artifact in task.artifacts.values())


async def test_the_intent_is_durable_before_the_runtime_hears_of_it(house: House) -> None:
    task = await house.begin(Hang())
    house.journal.held = True
    canceling = asyncio.ensure_future(house.cancel(ALICE, task.id))
    await house.clock.turn()
    assert "abort" not in house.agent.calls

    house.journal.release()
    await house.clock.turn()

    assert canceling.done()
    assert house.updates(task, CancelRequested) == [CancelRequested(ALICE)]


async def test_a_task_that_waits_for_its_session_is_canceled_at_once(house: House) -> None:
    await house.begin(Hang())
    queued = await house.begin(Say("never"))

    await house.after(0, house.cancel(ALICE, queued.id))
    await house.clock.turn(100)

    assert (text_of(queued), queued.state) == ("", TaskState.CANCELED)
    assert house.agent.calls.count("prompt") == 1


async def test_a_job_told_to_stop_twice_stops_once(house: House) -> None:
    await house.begin(Hang())
    queued = await house.begin(Say("never"))

    log = await house.journal.open(queued.id)

    assert house.turns.cancel(log)
    assert house.turns.cancel(log)

    assert queued.state is TaskState.CANCELED


async def test_a_canceled_task_in_the_queue_does_not_hold_up_the_next(house: House) -> None:
    first = await house.begin(Hang())
    queued = await house.begin(Say("never"))
    last = await house.begin(Say("at last"))

    await house.after(0, house.cancel(ALICE, queued.id))
    await house.after(0, house.cancel(ALICE, first.id))

    assert text_of(last) == "at last"


async def test_a_task_whose_session_cannot_be_opened_is_canceled_at_once(house: House) -> None:
    house.agent.cut_off()
    task = await house.begin(Say("never"))

    await house.after(0, house.cancel(ALICE, task.id))
    house.agent.reach()
    await house.clock.turn(200)

    assert task.state is TaskState.CANCELED
    assert "prompt" not in house.agent.calls


async def test_a_task_whose_prompt_does_not_get_through_is_canceled_at_once(house: House) -> None:
    house.agent.raises["prompt"] = AgentUnreachable("no route")
    task = await house.begin(Say("never"))

    await house.after(0, house.cancel(ALICE, task.id))

    assert task.state is TaskState.CANCELED
    assert house.agent.calls[-1] == "abort"


async def test_a_task_that_waits_for_an_answer_is_canceled(house: House) -> None:
    task = await house.begin(AskPermission("bash"), Say("never"))

    await house.after(0, house.cancel(ALICE, task.id))

    assert (task.state, task.pending) == (TaskState.CANCELED, {})


async def test_a_task_that_halted_is_canceled_without_the_runtime(house: House) -> None:
    task = await house.begin(AskInput("and?"))

    await house.after(0, house.cancel(ALICE, task.id))

    assert task.state is TaskState.CANCELED
    assert "abort" not in house.agent.calls


async def test_a_runtime_that_cannot_be_reached_does_not_keep_a_task_alive(house: House) -> None:
    task = await house.begin(Say("so far"), Hang())
    house.agent.cut_off()

    await house.after(30, house.cancel(ALICE, task.id))

    assert task.state is TaskState.CANCELED
    assert house.agent.calls.count("abort") >= 3


async def test_a_runtime_that_refuses_to_abort_does_not_keep_a_task_alive(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.raises["abort"] = AgentFault("no such endpoint")

    await house.after(30, house.cancel(ALICE, task.id))

    assert task.state is TaskState.CANCELED


async def test_an_abort_without_effect_is_sent_again_and_then_done_without(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.lost.add("abort")

    await house.after(15, house.cancel(ALICE, task.id))

    state, said = status_of(task)
    assert state is TaskState.CANCELED
    assert "did not confirm" in said
    assert house.agent.calls.count("abort") == 3


async def test_what_is_said_till_a_task_is_canceled_without_the_runtime_is_told(house: House) -> None:
    task = await house.begin(Say("one "), Delay(14.8), Say("two "), Delay(1), Say("three"), Hang())
    house.agent.lost.add("abort")
    with house.stage.scripted.lapse():
        house.agent.hangs["recall"] = 2
        await house.after(15, house.cancel(ALICE, task.id))
        await house.clock.turn(60)

    assert text_of(task) == "one two "
    assert "did not confirm" in status_of(task)[1]


async def test_a_runtime_that_shows_nothing_does_not_keep_a_task_alive(house: House) -> None:
    task = await house.begin(Say("one "), Delay(17), Say("two "), Hang())
    house.agent.lost.add("abort")
    house.agent.hangs["recall"] = 1_000

    await house.after(20, house.cancel(ALICE, task.id))

    assert (text_of(task), task.state) == ("one two ", TaskState.CANCELED)


async def test_a_turn_that_ends_while_it_is_looked_at_for_the_last_time_is_not_ended_by_force(house: House) -> None:
    task = await house.begin(Say("so far"), Hang())
    house.agent.lost.add("abort")
    house.agent.hangs["recall"] = 3
    canceling = asyncio.ensure_future(house.cancel(ALICE, task.id))
    await house.clock.turn(14)
    assert task.session is not None
    with house.stage.scripted.lapse():
        await house.agent.inner.abort(task.session)  # somebody else, at the runtime itself
        house.agent.hangs["recall"] = 0
        await house.clock.turn(1)

    assert canceling.done()
    assert status_of(task) == (TaskState.CANCELED, "")


@pytest.mark.parametrize("fault", ["lost", "refused", "never answered"])
async def test_a_session_that_works_on_is_aborted_until_it_rests_before_it_is_used_again(
    house: House, fault: str
) -> None:
    task = await house.begin(Say("so far"), Hang())
    break_abort(house, fault)
    await house.after(15, house.cancel(ALICE, task.id))
    later = await house.begin(Say("hello"))
    await house.clock.turn(30)
    assert (later.state, house.agent.calls.count("prompt")) == (TaskState.SUBMITTED, 1)

    house.agent.reach()
    await house.clock.turn(20)

    assert later.session == task.session
    assert (text_of(task), text_of(later), later.state) == ("so far", "hello", TaskState.COMPLETED)
    assert held(house) == 0


def held(house: House) -> int:
    """Count what somebody has alone, or waits for."""
    holds = house.turns.holds
    assert isinstance(holds, FakeHolds)
    return len(holds.queues)


def break_abort(house: House, fault: str) -> None:
    """Have the runtime abort nothing any more."""
    match fault:
        case "lost":
            house.agent.lost.add("abort")
        case "refused":
            house.agent.raises["abort"] = AgentFault("no such endpoint")
        case _:
            house.agent.hangs["abort"] = 1_000


async def test_a_session_that_never_rests_is_used_again_after_some_time(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.lost.add("abort")
    await house.after(15, house.cancel(ALICE, task.id))
    later = await house.begin(Say("hello"))

    await house.clock.turn(130)

    assert house.agent.calls.count("prompt") == 2
    assert later.state is TaskState.WORKING


async def test_who_waits_for_a_session_that_works_on_can_be_canceled(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.lost.add("abort")
    await house.after(15, house.cancel(ALICE, task.id))
    later = await house.begin(Say("never"))

    await house.after(0, house.cancel(ALICE, later.id))
    house.agent.reach()
    await house.clock.turn(20)

    assert later.state is TaskState.CANCELED
    assert house.agent.calls.count("prompt") == 1


async def test_a_service_that_ends_holds_no_session_that_works_on(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.lost.add("abort")
    await house.after(15, house.cancel(ALICE, task.id))
    assert (house.turns.active, held(house)) == (0, 1)

    await house.turns.__aexit__()

    assert held(house) == 0


async def test_a_replica_taken_for_dead_holds_no_session_that_works_on(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.lost.add("abort")
    await house.after(15, house.cancel(ALICE, task.id))

    house.turns.let_go()
    await house.clock.turn()

    assert held(house) == 0


async def test_an_abort_that_got_lost_once_works_the_second_time(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.lost.add("abort")
    canceling = asyncio.ensure_future(house.cancel(ALICE, task.id))
    await house.clock.turn(4)
    house.agent.reach()

    await house.clock.turn(6)

    assert canceling.done()
    assert status_of(task) == (TaskState.CANCELED, "")


async def test_an_abort_whose_effect_goes_unheard_is_looked_after(house: House) -> None:
    task = await house.begin(Hang())
    with house.stage.scripted.lapse():
        await house.after(10, house.cancel(ALICE, task.id))

    assert task.state is TaskState.CANCELED


async def test_a_cancellation_that_comes_with_a_gap_does_not_wait_for_what_was_missed(house: House) -> None:
    task = await house.begin(Say("so far"), Hang())
    house.agent.hangs["recall"] = 1

    house.turns.cancel(house.log(task))
    with house.stage.scripted.lapse():
        await house.clock.turn()

    assert house.agent.calls[-1] == "abort"


async def test_a_task_that_is_about_to_be_taken_up_is_canceled_by_way_of_the_runtime(house: House) -> None:
    task = await house.begin(Say("so far "), Hang())
    async with reborn(house) as again:
        log = await again.journal.open(task.id)
        canceling = asyncio.ensure_future(again.cancel(ALICE, task.id))
        await again.clock.turn()
        assert log.task.state is TaskState.WORKING

        await again.recover()
        await again.clock.turn(1)

        assert canceling.done()
        assert (text_of(log.task), log.task.state) == ("so far ", TaskState.CANCELED)
        assert "abort" in again.agent.calls


async def test_two_cancellations_at_once_end_the_same(house: House) -> None:
    task = await house.begin(Hang())

    logs = await house.after(0, asyncio.gather(house.cancel(ALICE, task.id), house.cancel(ALICE, task.id)))

    assert [log.task.state for log in logs] == [TaskState.CANCELED] * 2
    assert len(house.updates(task, CancelRequested)) == 1


@pytest.mark.parametrize("waiting", [True, False])
async def test_the_second_of_two_cancellations_of_what_is_not_at_work_is_told_that_it_is_done(
    house: House, *, waiting: bool
) -> None:
    task = await house.begin(Hang() if waiting else AskInput("and?"))
    task = await house.begin(Say("never")) if waiting else task
    both = asyncio.gather(*(house.cancel(ALICE, task.id) for _ in range(2)), return_exceptions=True)

    first, second = await house.after(0, both)

    assert getattr(first, "task", None) is task
    assert isinstance(second, TaskNotCancelable)
    assert task.state is TaskState.CANCELED


async def test_a_cancellation_is_done_although_who_asked_for_it_goes_away(house: House) -> None:
    task = await house.begin(Hang())
    house.journal.held = True
    canceling = asyncio.ensure_future(house.cancel(ALICE, task.id))
    await house.clock.turn()
    canceling.cancel()

    house.journal.release()
    await house.clock.turn()

    assert task.state is TaskState.CANCELED


async def test_a_cancellation_that_cannot_be_written_down_is_done_all_the_same(house: House) -> None:
    task = await house.begin(Hang())
    house.journal.held = True
    canceling = asyncio.ensure_future(house.cancel(ALICE, task.id))
    await house.clock.turn(10)
    assert "abort" in house.agent.calls

    house.journal.release()
    await house.clock.turn()

    assert canceling.done()


async def test_an_ended_task_cannot_be_canceled(house: House) -> None:
    task = await house.begin(Say("done"))

    with pytest.raises(TaskNotCancelable):
        await house.cancel(ALICE, task.id)

    assert task.state is TaskState.COMPLETED


async def test_a_task_that_ends_while_its_cancellation_is_written_stays_as_it_ended(house: House) -> None:
    task = await house.begin(AskPermission("bash"), Say("done"))
    house.journal.held = True
    canceling = asyncio.ensure_future(house.cancel(ALICE, task.id))
    await house.clock.turn()
    assert task.session is not None
    asked, yes = next(iter(task.pending.values())), PermissionAnswer(Verdict.ONCE)
    await house.agent.inner.answer(task.session, asked, yes)  # somebody else, at the runtime itself
    await house.clock.turn()

    house.journal.release()
    await house.clock.turn()

    with pytest.raises(TaskNotCancelable):
        canceling.result()
    assert task.state is TaskState.COMPLETED


async def test_a_foreign_task_cannot_be_canceled(house: House) -> None:
    task = await house.begin(Hang())

    with pytest.raises(TaskNotFound):
        await house.cancel(BOB, task.id)

    assert not task.canceling


async def test_a_cancellation_touches_no_other_session(house: House) -> None:
    task = await house.begin(Hang())
    other = await house.begin(Hang(), context=ContextId("other"))

    await house.after(0, house.cancel(ALICE, task.id))

    assert other.state is TaskState.WORKING


async def test_a_session_is_free_again_after_a_cancellation(house: House) -> None:
    task = await house.begin(Hang())
    await house.after(0, house.cancel(ALICE, task.id))

    later = await house.begin(Say("hello"))

    assert text_of(later) == "hello"
    assert later.session == task.session


async def test_who_waits_for_a_cancellation_is_let_go_when_the_service_stops(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.lost.add("abort")
    house.turns.stopping = True

    log = await house.after(1, house.cancel(ALICE, task.id))

    assert (log.task.state, log.task.canceling) == (TaskState.WORKING, True)
