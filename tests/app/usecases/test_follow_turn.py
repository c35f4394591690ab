"""Following one turn: hear, or ask when hearing is not enough."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from opencode_a2a_server.adapters.outbound.scripted import AskPermission, Delay, Hang, Say, Spend, Step
from opencode_a2a_server.domain.errors import AgentFault, AgentUnreachable
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.turn import Limits
from opencode_a2a_server.domain.usage import Usage
from tests.app.house import ALICE, House, Stage, living, status_of, text_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stage(anyio_backend: str) -> AsyncIterator[Stage]:
    """Give a runtime, for a service with limits of the test's own."""
    stage = Stage()
    async with stage.scripted:
        yield stage


def failure_of(task: Task) -> str:
    """Name what failed the task."""
    assert task.failure is not None
    return task.failure.name


# When nothing, or not all, is heard


async def test_a_turn_ends_although_nothing_is_ever_heard(house: House) -> None:
    with house.stage.scripted.lapse():
        task = await house.begin(Say("hello"), Delay(30), Say(" world"))

        await house.clock.turn(45)

        assert (text_of(task), task.state) == ("hello world", TaskState.COMPLETED)


async def test_what_is_told_while_nothing_is_heard_is_shown_within_seconds(house: House) -> None:
    with house.stage.scripted.lapse():
        task = await house.begin(Say("hello"), Hang())

        await house.clock.turn(5)

        assert text_of(task) == "hello"


async def test_what_was_missed_is_made_up_for_at_once_when_the_feed_is_back(house: House) -> None:
    task = await house.begin(Say("one "), Delay(1), Say("two "), Hang())
    with house.stage.scripted.lapse():
        await house.clock.turn(1)
    assert text_of(task) == "one "

    await house.clock.turn()

    assert text_of(task) == "one two "


async def test_an_ask_that_was_missed_is_raised(house: House) -> None:
    with house.stage.scripted.lapse():
        task = await house.begin(AskPermission("bash"))

        await house.clock.turn(5)

        assert task.state is TaskState.INPUT_REQUIRED


async def test_a_turn_that_is_heard_is_not_asked_about(house: House) -> None:
    await house.begin(Say("one"), Delay(5), Say("two"), Delay(5), Say("three"))

    await house.clock.turn(20)

    assert "recall" not in house.agent.calls


async def test_a_quiet_turn_is_looked_after_without_haste(house: House) -> None:
    await house.begin(Say("one"), Hang())

    await house.clock.turn(60)

    assert 4 <= house.agent.calls.count("recall") <= 7


async def test_a_prompt_that_was_taken_but_never_run_fails_the_task(house: House) -> None:
    house.agent.lost.add("prompt")
    task = await house.begin(Say("hello"))

    await house.clock.turn(30)

    assert task.state is TaskState.FAILED
    assert failure_of(task) == "UpstreamLost"


# Faults while it is followed


async def test_a_runtime_that_cannot_be_asked_but_is_heard_is_no_matter(house: House) -> None:
    house.agent.raises["recall"] = AgentUnreachable("no route")
    task = await house.begin(Say("one "), Delay(100), Say("two "), Delay(100), Say("three"))

    await house.clock.turn(200)

    assert (text_of(task), task.state) == ("one two three", TaskState.COMPLETED)


async def test_a_runtime_that_answers_nonsense_but_is_heard_is_no_matter(house: House) -> None:
    house.agent.raises["recall"] = AgentFault("a web page")
    task = await house.begin(Say("one "), Delay(60), Say("two"))

    await house.clock.turn(60)

    assert (text_of(task), task.state) == ("one two", TaskState.COMPLETED)


async def test_what_follows_a_gap_is_told_although_what_was_missed_is_never_shown(house: House) -> None:
    more = [step for _ in range(8) for step in (Delay(20), Say("more "))]
    task = await house.begin(Say("one "), Delay(1), Say("two "), *more)
    house.agent.raises["recall"] = AgentFault("a web page")
    with house.stage.scripted.lapse():
        await house.clock.turn(2)
    await house.clock.turn(60)
    assert text_of(task) == "one "  # what comes has its place behind what was missed

    await house.clock.turn(120)

    assert (text_of(task), task.state) == ("one " + "more " * 8, TaskState.COMPLETED)


@pytest.mark.parametrize(
    ("error", "name"), [(AgentUnreachable("gone"), "UpstreamUnreachable"), (AgentFault("odd"), "UpstreamRefused")]
)
async def test_a_runtime_without_any_sign_of_life_fails_the_task(house: House, error: Exception, name: str) -> None:
    task = await house.begin(Say("so far"), Hang())
    house.agent.raises["recall"] = error

    await house.clock.turn(150)

    assert (text_of(task), task.state) == ("so far", TaskState.FAILED)
    assert failure_of(task) == name


async def test_a_runtime_that_comes_back_is_gone_on_with(house: House) -> None:
    task = await house.begin(Say("so far"), Delay(90), Say(" and on"))
    house.agent.cut_off()
    with house.stage.scripted.lapse():
        await house.clock.turn(100)
    house.agent.reach()

    await house.clock.turn(2)

    assert (text_of(task), task.state) == ("so far and on", TaskState.COMPLETED)


# Limits


async def limited(stage: Stage, limits: Limits, seconds: float, *steps: Step) -> Task:
    """Give what became of a task under limits."""
    async with living(stage, limits=limits) as house:
        task = await house.begin(*steps)
        await house.clock.turn(seconds)
        return task


async def test_a_turn_may_not_take_longer_than_its_limit(stage: Stage) -> None:
    task = await limited(stage, Limits(seconds=30), 60, Say("so far"), Hang())

    assert status_of(task) == (TaskState.FAILED, "the turn passed its limit of 30 seconds")
    assert failure_of(task) == "LimitExceeded"
    assert stage.agent.calls[-1] == "abort"


async def test_a_turn_without_limits_takes_as_long_as_it_takes(stage: Stage) -> None:
    task = await limited(stage, Limits(seconds=None), 100_000, Hang())

    assert task.state is TaskState.WORKING


async def test_the_time_somebody_takes_to_answer_is_not_the_turns(stage: Stage) -> None:
    task = await limited(stage, Limits(seconds=30), 3600, AskPermission("bash"), Hang())

    assert task.state is TaskState.INPUT_REQUIRED


async def test_a_turn_may_not_take_more_steps_than_its_limit(stage: Stage) -> None:
    steps: list[Step] = [Spend(Usage()), Spend(Usage()), Spend(Usage()), Hang()]

    task = await limited(stage, Limits(steps=2), 1, *steps)

    assert "limit of 2 steps" in status_of(task)[1]


async def test_a_turn_may_not_cost_more_than_its_limit(stage: Stage) -> None:
    task = await limited(stage, Limits(cost=0.5), 1, Spend(Usage(cost=0.4)), Spend(Usage(cost=0.2)), Hang())

    assert task.state is TaskState.FAILED
    assert task.usage is not None
    assert task.usage.cost == pytest.approx(0.6)


async def test_a_turn_may_not_tell_more_than_its_limit(stage: Stage) -> None:
    task = await limited(stage, Limits(output_bytes=10), 1, Say("far too many words for that"), Hang())

    assert "bytes of output" in status_of(task)[1]


async def test_a_model_that_never_says_why_it_stops_is_stopped(stage: Stage) -> None:
    aimless = [Spend(Usage(), "unknown")] * 4

    task = await limited(stage, Limits(aimless_steps=3), 1, *aimless, Hang())

    assert "without a finish reason" in status_of(task)[1]


async def test_a_limit_that_cannot_be_enforced_there_is_enforced_here(stage: Stage) -> None:
    stage.agent.raises["abort"] = AgentUnreachable("no route")

    task = await limited(stage, Limits(seconds=30), 60, Hang())

    assert task.state is TaskState.FAILED


async def test_what_is_said_till_a_limit_is_passed_is_told(stage: Stage) -> None:
    async with living(stage, limits=Limits(seconds=29)) as house:
        with stage.scripted.lapse():
            task = await house.begin(Say("one "), Delay(28.5), Say("two "), Delay(10), Say("three"))

            await house.clock.turn(60)

    assert (text_of(task), task.state) == ("one two ", TaskState.FAILED)


async def test_a_turn_that_has_ended_unheard_when_its_limit_is_passed_is_not_failed(stage: Stage) -> None:
    async with living(stage, limits=Limits(seconds=29)) as house:
        with stage.scripted.lapse():
            task = await house.begin(Say("one "), Delay(28.5), Say("two"))

            await house.clock.turn(60)

    assert (text_of(task), task.state) == ("one two", TaskState.COMPLETED)
    assert "abort" not in house.agent.calls


async def test_a_session_that_works_on_beyond_a_limit_is_aborted_until_it_rests(stage: Stage) -> None:
    stage.agent.raises["abort"] = AgentUnreachable("no route")
    async with living(stage, limits=Limits(seconds=30)) as house:
        task = await house.begin(Hang())
        await house.clock.turn(41)
        later = await house.begin(Say("hello"))
        assert (task.state, later.state) == (TaskState.FAILED, TaskState.SUBMITTED)

        stage.agent.reach()
        await house.clock.turn(10)

    assert (text_of(later), later.state) == ("hello", TaskState.COMPLETED)


async def test_a_session_of_a_runtime_that_was_away_is_aborted_when_it_is_back(house: House) -> None:
    task = await house.begin(Say("so far"), Hang())
    house.agent.raises["recall"] = house.agent.raises["abort"] = AgentUnreachable("no route")
    await house.clock.turn(150)
    assert task.state is TaskState.FAILED

    house.agent.reach()
    later = await house.begin(Say("hello"))
    await house.clock.turn(20)

    assert (text_of(later), later.state) == ("hello", TaskState.COMPLETED)


async def test_a_call_that_is_never_answered_is_made_again(house: House) -> None:
    house.agent.hangs["recall"] = 2
    with house.stage.scripted.lapse():
        task = await house.begin(Say("hello"))

        await house.clock.turn(65)

        assert (text_of(task), task.state) == ("hello", TaskState.COMPLETED)


async def test_a_runtime_that_answers_nothing_any_more_fails_the_task(house: House) -> None:
    house.agent.hangs["recall"] = 1_000
    with house.stage.scripted.lapse():
        task = await house.begin(Say("hello"))

        await house.clock.turn(400)

        assert task.state is TaskState.FAILED
        assert "not answered" in status_of(task)[1]


async def test_an_abort_that_is_never_answered_is_sent_again(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.hangs["abort"] = 1

    await house.after(6, house.cancel(ALICE, task.id))

    assert task.state is TaskState.CANCELED
    assert house.agent.calls.count("abort") == 2


async def test_a_runtime_that_answers_no_abort_cannot_keep_a_task_from_being_canceled(house: House) -> None:
    task = await house.begin(Hang())
    house.agent.hangs["abort"] = 1_000

    await house.after(20, house.cancel(ALICE, task.id))

    assert status_of(task) == (TaskState.CANCELED, "The runtime did not confirm the abort.")


async def test_a_limit_is_enforced_although_the_abort_is_never_answered(stage: Stage) -> None:
    stage.agent.hangs["abort"] = 1_000
    async with living(stage, limits=Limits(seconds=30)) as house:
        task = await house.begin(Hang())

        await house.clock.turn(60)

        assert task.state is TaskState.FAILED
        assert house.turns.active == 0
