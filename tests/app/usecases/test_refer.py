"""Messages which refer to other tasks."""

from __future__ import annotations

import pytest
from attrs import evolve

from opencode_a2a_server.adapters.outbound.scripted import Delay, Delegate, Echo, Hang, Say
from opencode_a2a_server.app.usecases.refer import with_references
from opencode_a2a_server.domain.errors import InvalidRequest, TaskNotFound
from opencode_a2a_server.domain.ids import ContextId, Principal, TaskId
from opencode_a2a_server.domain.message import Message, TextPart
from opencode_a2a_server.domain.task import Task
from tests.app.house import ALICE, BOB, House, reborn, text_of

pytestmark = pytest.mark.anyio

ELSEWHERE = ContextId("elsewhere")


def referring(message: Message, *tasks: Task | str) -> Message:
    ids = tuple(TaskId(task) if isinstance(task, str) else task.id for task in tasks)
    return evolve(message, reference_task_ids=ids)


async def told(house: House, message: Message, by: Principal = ALICE) -> list[str]:
    """Give the text parts the runtime gets."""
    parts = (await with_references(house.journal, by, message)).parts
    return [part.text for part in parts if isinstance(part, TextPart)]


async def test_the_runtime_is_told_what_was_answered_there(house: House) -> None:
    earlier = await house.begin(Say("first"), Say("The answer is 42."))
    message = referring(house.message(Echo(), text="Why?", context=ELSEWHERE), earlier)

    sent = await house.after(1, house.send(ALICE, message))

    assert not isinstance(sent, Message)
    assert "The answer is 42." in text_of(sent.task)
    assert text_of(sent.task).endswith("Why?")
    assert sent.task.history[0].text == "Why?"


async def test_each_task_is_named_with_its_state_and_last_answer(house: House) -> None:
    one = await house.begin(Say("one."), Delegate((Say("of a sub-agent"),)), context=ContextId("a"))
    two = await house.begin(Hang(), context=ContextId("b"))

    context, said = await told(house, referring(house.message(text="Go on."), one, two))

    assert said == "Go on."
    assert f"Task {one.id} (completed) was answered last:\none." in context
    assert f"Task {two.id} (working) has no answer." in context


async def test_long_answers_are_cut(house: House) -> None:
    tasks = [await house.begin(Say("x" * 50_000, chunks=1), context=ContextId(name)) for name in "abc"]

    context, _ = await told(house, referring(house.message(), *tasks))

    assert len(context) < 9000
    assert context.count("[...]") == 3


async def test_a_message_that_refers_to_nothing_is_left_alone(house: House) -> None:
    message = house.message()

    assert await with_references(house.journal, ALICE, message) is message


async def test_a_task_that_is_gone_meanwhile_is_named_as_such(house: House) -> None:
    context, _ = await told(house, referring(house.message(), "gone"))

    assert "Task gone is no longer kept." in context


async def test_unknown_and_foreign_tasks_are_refused_alike_and_nothing_begins(house: House) -> None:
    foreign = await house.begin(Say("secret"), by=BOB)
    for reference in ("unknown", foreign.id):
        with pytest.raises(TaskNotFound) as refused:
            await house.accept(ALICE, referring(house.message(), reference))
        assert str(refused.value) == f"task {reference} was not found"

    assert list(house.journal.logs) == [foreign.id]


async def test_too_many_references_are_refused(house: House) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await house.accept(ALICE, referring(house.message(), *map(str, range(21))))

    assert refused.value.field == "message.referenceTaskIds"


async def test_the_next_life_tells_the_same(house: House) -> None:
    earlier = await house.begin(Say("The answer is 42."))
    house.agent.cut_off()
    await house.send(ALICE, referring(house.message(Delay(1), Echo()), earlier), return_immediately=True)
    house.agent.reach()

    async with reborn(house) as again:
        await again.recover()
        await again.clock.turn(2)
        texts = [text_of(log.task) for log in again.journal.logs.values()]

    assert any("Task" in text and "The answer is 42." in text for text in texts)
