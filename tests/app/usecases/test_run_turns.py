"""Running turns: they belong to the service, not to a request."""

from __future__ import annotations

import pytest

from opencode_a2a_server.adapters.outbound.scripted import AskPermission, Delay, Echo, Hang, Say, Step
from opencode_a2a_server.domain.errors import AgentRefused, AgentUnreachable, JournalUnavailable
from opencode_a2a_server.domain.ids import ContextId, Principal, SessionId
from opencode_a2a_server.domain.session import Binding, Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import TurnStarted
from tests.app.house import ALICE, CONTEXT, House, status_of, text_of
from tests.fakes.holds import FakeHolds

pytestmark = pytest.mark.anyio


def failure_of(task: Task) -> tuple[str, int]:
    """Give the name of what failed the task, and the status the runtime gave."""
    assert task.failure is not None
    return task.failure.name, task.failure.status


async def begin_held(house: House, *steps: Step, broken: bool = False) -> Task:
    """Have a task begun after whose submission the store keeps nothing more."""
    house.agent.raises["open_session"] = AgentUnreachable("not yet")
    task = await house.begin(*steps)
    house.journal.held, house.journal.broken = True, broken
    house.agent.reach()
    await house.clock.turn(1)
    return task


# Prompting


async def test_a_turn_is_durable_before_the_runtime_hears_of_it(house: House) -> None:
    task = await begin_held(house, Say("hello"))
    assert isinstance(house.log(task).updates[-1], TurnStarted)
    assert "prompt" not in house.agent.calls

    house.journal.release()
    await house.clock.turn()

    assert text_of(task) == "hello"


async def test_a_store_that_is_away_for_a_while_is_waited_for(house: House) -> None:
    task = await begin_held(house, Say("hello"), broken=True)
    await house.clock.turn(60)
    house.journal.release()

    await house.clock.turn(20)

    assert text_of(task) == "hello"


async def test_a_store_that_stays_away_fails_the_turn_before_anything_runs(house: House) -> None:
    task = await begin_held(house, Say("hello"), broken=True)

    await house.clock.turn(200)

    assert failure_of(task)[0] == JournalUnavailable.__name__
    assert "prompt" not in house.agent.calls


async def test_a_store_without_room_holds_up_a_turn_and_loses_nothing_of_it(house: House) -> None:
    task = await house.begin(Say("one "), Delay(5), Say("two "), Delay(5), Say("three"))
    house.journal.full = True
    await house.clock.turn(30)
    assert text_of(task) == "one "

    house.journal.full = False
    await house.clock.turn(5)

    assert (text_of(task), task.state) == ("one two three", TaskState.COMPLETED)


async def test_a_failure_is_kept_as_soon_as_the_store_has_room(house: House) -> None:
    task = await house.begin(Say("so far"), Hang())
    house.agent.raises["recall"] = ZeroDivisionError("a fault")
    house.journal.full = True
    await house.clock.turn(30)

    house.journal.full = False
    await house.clock.turn(5)

    assert task.state is TaskState.FAILED


async def test_a_context_keeps_the_session_it_is_bound_to(house: House) -> None:
    session = Session(SessionId("ses-known"), Directory("/"))
    await house.bindings.bind(Binding(ALICE, CONTEXT, session))

    task = await house.begin(Say("hello"))

    assert task.session == session
    assert "open_session" not in house.agent.calls


async def test_a_new_session_is_bound_to_its_context(house: House) -> None:
    task = await house.begin(Say("hello"))

    binding = await house.bindings.find(ALICE, CONTEXT)

    assert binding is not None
    assert binding.session == task.session


# A runtime with faults


async def test_a_runtime_that_is_away_for_a_while_is_waited_for(house: House) -> None:
    house.agent.cut_off()
    task = await house.begin(Say("hello"))
    await house.clock.turn(60)
    house.agent.reach()

    await house.clock.turn(20)

    assert (text_of(task), task.state) == ("hello", TaskState.COMPLETED)


@pytest.mark.parametrize("method", ["open_session", "hear", "prompt"])
async def test_a_runtime_that_stays_away_fails_the_task_with_the_reason(house: House, method: str) -> None:
    house.agent.raises[method] = AgentUnreachable("no route")
    task = await house.begin(Say("hello"))

    await house.clock.turn(200)

    assert status_of(task) == (TaskState.FAILED, "no route")
    assert failure_of(task)[0] == "UpstreamUnreachable"


@pytest.mark.parametrize("method", ["open_session", "prompt"])
async def test_a_call_that_is_never_answered_is_made_again(house: House, method: str) -> None:
    house.agent.hangs[method] = 1
    task = await house.begin(Say("hello"))

    await house.clock.turn(60)

    assert (text_of(task), task.state) == ("hello", TaskState.COMPLETED)


async def test_a_prompt_that_may_have_been_taken_is_aborted_when_it_is_given_up(house: House) -> None:
    house.agent.done_but["prompt"] = AgentUnreachable("the connection broke off")
    task = await house.begin(Say("hello"), Hang())

    await house.clock.turn(200)

    assert task.state is TaskState.FAILED
    assert house.agent.calls[-1] == "abort"
    assert task.session is not None
    assert task.prompt is not None
    assert (await house.agent.recall(task.session, task.prompt)).busy == frozenset()


async def test_a_prompt_that_was_taken_although_it_failed_runs_once(house: House) -> None:
    house.agent.done_but["prompt"] = AgentUnreachable("the connection broke off")
    task = await house.begin(Echo())
    house.agent.reach()

    await house.clock.turn(5)

    assert (text_of(task), task.state) == ("play", TaskState.COMPLETED)


async def test_a_runtime_that_refuses_the_prompt_fails_the_task_at_once(house: House) -> None:
    house.agent.raises["prompt"] = AgentRefused("no such model", 400)

    task = await house.begin(Say("hello"))

    assert status_of(task) == (TaskState.FAILED, "no such model")
    assert failure_of(task) == ("UpstreamRefused", 400)


@pytest.mark.parametrize("method", ["open_session", "hear", "prompt"])
async def test_an_unexpected_error_fails_the_task_without_its_details(
    house: House, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    house.agent.raises[method] = ZeroDivisionError("a secret")

    task = await house.begin(Say("hello"))

    assert task.state is TaskState.FAILED
    assert failure_of(task)[0] == "InternalError"
    assert "secret" not in status_of(task)[1]
    assert "a secret" in caplog.text


async def test_a_turn_that_breaks_does_not_work_on_unheard(house: House) -> None:
    task = await house.begin(Say("hello"), Delay(100))
    house.agent.raises["recall"] = ZeroDivisionError("a fault")

    await house.clock.turn(20)

    assert task.state is TaskState.FAILED
    assert house.agent.calls[-1] == "abort"


async def test_a_task_that_fails_makes_way_for_the_next(house: House) -> None:
    house.agent.raises["prompt"] = AgentRefused("no such model", 400)
    await house.begin(Say("one"))
    house.agent.reach()

    task = await house.begin(Say("two"))

    assert text_of(task) == "two"


# The end of the service


async def test_draining_waits_for_turns_at_work(house: House) -> None:
    task = await house.begin(Say("so far"), Delay(10), Say(" and on"))

    ended = await house.after(10.5, house.turns.drain(60))

    assert ended
    assert text_of(task) == "so far and on"


async def test_draining_ends_when_its_time_is_over(house: House) -> None:
    task = await house.begin(Hang())

    ended = await house.after(60, house.turns.drain(60))

    assert not ended
    assert task.state is TaskState.WORKING


async def test_draining_an_idle_service_takes_no_time(house: House) -> None:
    assert await house.after(0, house.turns.drain(60))


async def test_draining_does_not_wait_for_answers_that_nobody_can_give_any_more(house: House) -> None:
    await house.begin(AskPermission("bash"))

    ended = await house.after(0, house.turns.drain(60))

    assert not ended
    assert house.turns.active == 1


async def test_draining_stops_waiting_for_a_turn_that_begins_to_ask(house: House) -> None:
    await house.begin(Delay(5), AskPermission("bash"))

    ended = await house.after(6, house.turns.drain(60))

    assert not ended


async def test_leaving_lets_go_of_turns_and_says_nothing_of_them(house: House) -> None:
    task = await house.begin(Say("so far"), Hang())
    before = task.seq

    await house.turns.__aexit__()

    assert (task.seq, house.turns.active) == (before, 0)
    assert "abort" not in house.agent.calls


async def test_what_comes_after_leaving_is_left_to_the_next_life(house: House) -> None:
    await house.turns.__aexit__()

    task = await house.begin(Say("hello"))

    assert (task.state, house.turns.active) == (TaskState.SUBMITTED, 0)


# What jobs leave behind


async def test_nothing_is_kept_of_turns_that_ended(house: House) -> None:
    for number in range(5):
        await house.begin(Say("hello"), context=ContextId(f"c{number}"), by=Principal(f"p{number}"))

    assert isinstance(house.turns.holds, FakeHolds)
    assert (house.turns.active, house.turns._jobs, house.turns.holds.queues) == (0, {}, {})
