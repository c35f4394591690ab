"""Following a task that is under way, or reading on where a stream broke."""

from __future__ import annotations

import pytest

from opencode_a2a_server.adapters.outbound.scripted import AskPermission, Delay, Hang, Say
from opencode_a2a_server.app.usecases.subscribe import Cursor, Subscription
from opencode_a2a_server.domain.errors import TaskIsTerminal, TaskNotFound
from opencode_a2a_server.domain.ids import ArtifactId, Seq, TaskId
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import ArtifactTold, BlockKind
from tests.app.house import ALICE, BOB, House, text_of

pytestmark = pytest.mark.anyio


async def read_numbers(house: House, stream: Subscription) -> list[int]:
    """Read a stream to its end; gives the numbers of what it had."""
    numbers: list[int] = []
    while not stream.ended:
        numbers += [entry.seq for entry in await house.after(0, stream.next())]
    return numbers


async def test_a_stream_begins_with_the_task_as_it_stands_and_misses_nothing_after(house: House) -> None:
    task = await house.begin(Say("one"), Delay(5), Say("two"))

    stream = await house.subscribe(ALICE, task.id)
    await house.clock.turn(5)

    assert not stream.resumed
    assert await read_numbers(house, stream) == list(range(stream.seq + 1, task.seq + 1))


async def test_a_stream_that_ends_since_the_task_waits_ends_with_what_it_waits_for(house: House) -> None:
    task = await house.begin(Delay(5), AskPermission("bash"))
    stream = await house.subscribe(ALICE, task.id)
    await house.clock.turn(5)
    asked = task.seq
    house.log(task).append([ArtifactTold(ArtifactId("late"), BlockKind.TEXT, (TextPart("said behind it"),))])

    assert (await read_numbers(house, stream))[-1] == asked

    again = await house.subscribe(ALICE, task.id, Cursor(task.id, asked))
    (late,) = await house.after(0, again.next())
    assert late.seq == task.seq


async def test_any_number_of_readers_see_the_same(house: House) -> None:
    task = await house.begin(Say("one"), Delay(5), Say("two"))
    streams = [await house.subscribe(ALICE, task.id) for _ in range(3)]
    await house.clock.turn(5)

    seen = [await read_numbers(house, stream) for stream in streams]

    assert seen[0] == seen[1] == seen[2] != []


async def test_a_cursor_that_retention_has_passed_gets_the_task_and_a_gap(house: House) -> None:
    task = await house.begin(Say("one two three"))
    house.log(task).folded = task.seq

    passed = await house.subscribe(ALICE, task.id, Cursor(task.id, Seq(3)))
    told_all = await house.subscribe(ALICE, task.id, Cursor(task.id, task.seq))

    assert (passed.gap, passed.resumed) == (True, False)
    assert (told_all.gap, told_all.resumed) == (False, True)


async def test_a_cursor_gets_exactly_the_missing_rest(house: House) -> None:
    task = await house.begin(Say("one two three"))

    stream = await house.subscribe(ALICE, task.id, Cursor(task.id, Seq(3)))

    assert stream.resumed
    assert await read_numbers(house, stream) == list(range(4, task.seq + 1))


async def test_a_cursor_at_the_end_of_an_ended_task_has_nothing_more_to_read(house: House) -> None:
    task = await house.begin(Say("one"))

    stream = await house.subscribe(ALICE, task.id, Cursor(task.id, task.seq))

    assert stream.ended


@pytest.mark.parametrize("seq", [0, -1, 1_000_000])
async def test_a_cursor_that_points_nowhere_gets_the_task_marked_as_a_gap(house: House, seq: int) -> None:
    task = await house.begin(Say("one"))

    stream = await house.subscribe(ALICE, task.id, Cursor(task.id, Seq(seq)))

    assert (stream.gap, stream.resumed, stream.ended) == (True, False, True)


async def test_a_cursor_of_another_task_is_a_gap(house: House) -> None:
    task = await house.begin(Hang())

    stream = await house.subscribe(ALICE, task.id, Cursor(TaskId("another"), Seq(1)))

    assert stream.gap


async def test_an_ended_task_cannot_be_followed_without_a_cursor(house: House) -> None:
    task = await house.begin(Say("one"))

    with pytest.raises(TaskIsTerminal):
        await house.subscribe(ALICE, task.id)


async def test_a_foreign_task_cannot_be_followed(house: House) -> None:
    task = await house.begin(Hang())

    with pytest.raises(TaskNotFound):
        await house.subscribe(BOB, task.id)


async def test_who_follows_a_waiting_task_goes_on_until_its_next_wait_or_end(house: House) -> None:
    task = await house.begin(AskPermission("bash", ("a",)), Say("between"), AskPermission("bash", ("b",)))
    stream = await house.subscribe(ALICE, task.id)
    assert not stream.ended

    await house.say(task, "yes")
    await read_numbers(house, stream)

    assert task.state is TaskState.INPUT_REQUIRED
    assert text_of(task) == "between"
