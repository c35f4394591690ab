"""Messages to a task at work which wait for a turn of their own."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable

import pytest

from opencode_a2a_server.adapters.outbound.scripted import AskInput, AskPermission, Delay, Fail, Hang, Say, Step
from opencode_a2a_server.app.usecases.accept_message import ToWorking
from opencode_a2a_server.domain.errors import AgentUnreachable, Draining, TaskIsBusy, TaskIsTerminal
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import MessageReceived, StatusChanged, TurnStarted
from tests.app.house import ALICE, House, Stage, living, reborn, text_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with living(Stage(), to_working=ToWorking.QUEUE) as house:
        yield house


def now(house: House, task: Task) -> Task:
    """Give the task as this life has it."""
    return house.journal.logs[task.id].task


async def test_a_message_to_a_task_at_work_becomes_its_next_turn(house: House) -> None:
    task = await house.begin(Say("one "), Delay(5), Say("two "))
    await house.say(task, "and then?", Say("three"))
    assert text_of(task) == "one "

    await house.clock.turn(5)

    assert (text_of(task), task.state) == ("one two three", TaskState.COMPLETED)
    ends = [update.state for update in house.updates(task, StatusChanged)]
    assert ends == [TaskState.WORKING, TaskState.COMPLETED]
    assert len(house.updates(task, TurnStarted)) == house.agent.calls.count("prompt") == 2


async def test_who_waits_for_the_answer_gets_that_of_the_last_turn(house: House) -> None:
    task = await house.begin(Delay(5), Say("one "))
    told = await house.after(10, house.send(ALICE, house.message(Delay(5), Say("two"), task=task)))

    assert not hasattr(told, "parts")
    assert (text_of(task), task.state) == ("one two", TaskState.COMPLETED)


async def test_messages_keep_their_order(house: House) -> None:
    task = await house.begin(Delay(5))
    for word in ("one ", "two ", "three"):
        await house.say(task, word, Say(word))

    await house.clock.turn(5)

    assert text_of(task) == "one two three"
    assert [message.text for message in task.history[1:]] == ["one ", "two ", "three"]


async def test_a_message_to_a_task_that_has_not_begun_waits_too(house: House) -> None:
    first = await house.begin(Delay(5))
    second = await house.begin(Say("one "))
    await house.say(second, "more", Say("two"))
    assert second.state is TaskState.SUBMITTED

    await house.clock.turn(5)

    assert (first.state, text_of(second), second.state) == (TaskState.COMPLETED, "one two", TaskState.COMPLETED)


async def test_no_other_task_of_the_context_comes_between(house: House) -> None:
    first = await house.begin(Delay(5))
    other = await house.begin(Say("other"))
    await house.say(first, "more", Delay(5), Say("mine"))

    await house.clock.turn(5)

    assert other.state is TaskState.SUBMITTED
    await house.clock.turn(5)
    assert (text_of(first), text_of(other)) == ("mine", "other")


async def test_canceling_drops_what_waits(house: House) -> None:
    task = await house.begin(Hang())
    await house.say(task, "more", Say("never"))

    await house.after(10, house.cancel(ALICE, task.id))

    assert (task.state, text_of(task), task.waiting) == (TaskState.CANCELED, "", [])
    assert house.agent.calls.count("prompt") == 1


async def test_canceling_the_second_turn_is_canceling_the_task(house: House) -> None:
    task = await house.begin(Delay(5))
    await house.say(task, "more", Hang())
    await house.say(task, "still more", Say("never"))
    await house.clock.turn(5)

    await house.after(10, house.cancel(ALICE, task.id))

    assert (task.state, text_of(task)) == (TaskState.CANCELED, "")


async def test_a_turn_that_completes_although_it_was_canceled_is_followed_by_no_other(house: House) -> None:
    task = await house.begin(Delay(3), Say("one"))
    await house.say(task, "more", Say("never"))
    house.agent.lost = {"abort"}

    await house.after(4, house.cancel(ALICE, task.id))

    assert (task.state, text_of(task)) == (TaskState.CANCELED, "one")
    assert house.agent.calls.count("prompt") == 1


async def test_a_turn_that_fails_ends_the_task(house: House) -> None:
    task = await house.begin(Delay(5), Fail())
    await house.say(task, "more", Say("never"))

    await house.clock.turn(5)

    assert (task.state, text_of(task), len(task.history)) == (TaskState.FAILED, "", 2)
    with pytest.raises(TaskIsTerminal):
        await house.accept(ALICE, house.message(task=task))


async def test_an_answer_is_an_answer_although_messages_wait(house: House) -> None:
    task = await house.begin(Delay(5), AskPermission("bash", ("ls",)), Say("one "))
    await house.say(task, "more", Say("two"))
    await house.clock.turn(5)
    assert task.state is TaskState.INPUT_REQUIRED

    await house.say(task, "yes")
    await house.clock.turn(1)

    assert (text_of(task), task.state) == ("one two", TaskState.COMPLETED)


async def test_what_waits_waits_on_while_input_is_required(house: House) -> None:
    task = await house.begin(Delay(5), AskInput("which one?"))
    await house.say(task, "by the way", Say("two"))
    await house.clock.turn(5)
    assert (task.state, len(task.waiting)) == (TaskState.INPUT_REQUIRED, 1)

    await house.say(task, "this one", Say("one "))
    await house.clock.turn(1)

    assert (text_of(task), task.state) == ("one two", TaskState.COMPLETED)


async def test_a_draining_service_queues_nothing(house: House) -> None:
    task = await house.begin(Hang())
    house.turns.draining = True

    with pytest.raises(Draining):
        await house.accept(ALICE, house.message(task=task))

    assert task.waiting == []


async def test_not_more_waits_than_can(house: House) -> None:
    task = await house.begin(Hang())
    for _ in range(100):
        await house.accept(ALICE, house.message(task=task))

    with pytest.raises(TaskIsBusy):
        await house.accept(ALICE, house.message(task=task))

    assert len(task.waiting) == 100


async def test_wherever_the_service_dies_each_message_is_worked_on_once(house: House) -> None:
    task = await house.begin(Say("one "), Delay(5), Say("two "))
    for word in ("three ", "four "):
        await house.say(task, word, Say(word))
    await house.clock.turn(5)
    log = house.log(task)
    begun = next(number for number, update in enumerate(log.updates) if isinstance(update, TurnStarted))

    for kept in range(begun + 1, len(log.entries) + 1):
        log.kept = kept
        async with reborn(house) as again:
            await again.recover()
            await again.clock.turn(5)
            found = now(again, task)
            accepted = len(found.history)
            assert found.state is TaskState.COMPLETED
            assert text_of(found).split() == ["one", "two", "three", "four"][: accepted + 1]


async def test_what_waited_when_the_service_died_is_sent_by_the_next_life(house: House) -> None:
    task = await house.begin(Delay(5), Say("one "))
    await house.say(task, "more", Say("two "))
    await house.say(task, "and more", Say("three"))

    async with reborn(house) as again:
        await again.recover()
        await again.clock.turn(10)
        found = now(again, task)

    assert (text_of(found), found.state) == ("one two three", TaskState.COMPLETED)
    assert house.agent.calls.count("prompt") == 3


async def test_a_turn_that_was_journaled_but_not_sent_is_sent_although_others_wait_behind_it(house: House) -> None:
    task = await house.begin(Delay(5), Say("one "))
    await house.say(task, "more", Say("two "))
    house.agent.raises["prompt"] = AgentUnreachable("no route")
    await house.clock.turn(5)
    await house.accept(ALICE, house.message(Say("three"), task=task))
    assert [type(update) for update in house.log(task).updates[-2:]] == [TurnStarted, MessageReceived]
    await house.clock.turn()
    await house.turns.__aexit__()
    house.agent.reach()

    async with reborn(house) as again:
        await again.recover()
        await again.clock.turn(30)
        found = now(again, task)

    assert (text_of(found), found.state) == ("one two three", TaskState.COMPLETED)


@pytest.mark.parametrize("seed", range(20))
async def test_whenever_messages_come_and_lives_end_each_is_worked_on_once_and_in_order(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - for a choice of moments, not for secrets
    stage = Stage()

    def steps(word: str) -> list[Step]:
        return [Delay(chance.randint(0, 3)), Say(f"{word} "), Delay(chance.randint(0, 2))]

    async with living(stage, to_working=ToWorking.QUEUE) as house:
        task = await house.begin(*steps("w0"))
        accepted = await _say_some(house, task, chance, ["w0"], steps)
        async with reborn(house) as again:
            await again.recover()
            accepted = await _say_some(again, now(again, task), chance, accepted, steps)
            await again.clock.turn(100)
            found = now(again, task)

    assert text_of(found).split() == accepted
    assert found.state is TaskState.COMPLETED
    assert stage.agent.calls.count("prompt") == len(accepted)


async def _say_some(
    house: House, task: Task, chance: random.Random, accepted: list[str], steps: Callable[[str], list[Step]]
) -> list[str]:
    for _ in range(chance.randint(1, 6)):
        await house.clock.turn(chance.randint(0, 2))
        word = f"w{len(accepted)}"
        try:
            await house.accept(ALICE, house.message(*steps(word), task=task))
        except TaskIsTerminal:
            break
        accepted = [*accepted, word]
    return accepted
