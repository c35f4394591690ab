"""Sending a message and following what comes of it."""

from __future__ import annotations

import pytest

from opencode_a2a_server.adapters.outbound.scripted import AskPermission, Delay, Hang, Reply, Say
from opencode_a2a_server.app.usecases.subscribe import Cursor, Subscription
from opencode_a2a_server.domain.ids import Seq, TaskId
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import Entry, StatusChanged
from tests.app.house import ALICE, BOB, House, text_of

pytestmark = pytest.mark.anyio


async def read(house: House, stream: Subscription) -> list[Entry]:
    """Read a stream to its end."""
    entries: list[Entry] = []
    while not stream.ended:
        entries += await house.after(0, stream.next())
    return entries


async def streamed(house: House, message: Message, cursor: Cursor | None = None) -> Subscription:
    """Open a stream."""
    stream = await house.stream(ALICE, message, cursor)
    assert isinstance(stream, Subscription)
    return stream


async def test_a_stream_has_all_updates_in_order_without_holes(house: House) -> None:
    stream = await streamed(house, house.message(Say("one two three")))

    entries = await read(house, stream)

    numbers = [entry.seq for entry in entries]
    assert numbers == list(range(stream.seq + 1, stream.log.task.seq + 1))
    assert entries[-1].update == StatusChanged(TaskState.COMPLETED, usage=stream.log.task.usage)


async def test_a_stream_ends_where_the_task_waits_for_somebody(house: House) -> None:
    stream = await streamed(house, house.message(Say("before"), AskPermission("bash")))

    await read(house, stream)

    assert stream.log.task.state is TaskState.INPUT_REQUIRED


async def test_the_stream_of_an_answer_does_not_end_at_the_question_it_answers(house: House) -> None:
    task = await house.begin(AskPermission("bash"), Say("after"))

    stream = await streamed(house, house.message(text="yes", task=task))
    await read(house, stream)

    assert (text_of(task), task.state) == ("after", TaskState.COMPLETED)


async def test_a_stream_gives_nothing_when_its_readers_patience_ends(house: House) -> None:
    stream = await streamed(house, house.message(Hang()))

    assert await house.after(3, stream.next(3)) == ()
    assert not stream.ended


async def test_a_bare_reply_is_no_stream(house: House) -> None:
    reply = await house.stream(ALICE, house.message(Reply("hi")))

    assert isinstance(reply, Message)


async def test_a_repeated_request_resumes_and_runs_nothing_twice(house: House) -> None:
    message = house.message(Say("one"), Delay(5), Say("two"))
    stream = await streamed(house, message)
    seen = await house.after(0, stream.next())

    again = await streamed(house, message, Cursor(stream.log.task.id, seen[0].seq))
    await house.clock.turn(5)
    rest = await read(house, again)

    assert again.resumed
    assert rest[0].seq == seen[0].seq + 1
    assert len(house.journal.logs) == 1


async def test_a_cursor_of_another_message_begins_a_new_task(house: House) -> None:
    task = await house.begin(Say("one"))

    stream = await streamed(house, house.message(Say("two")), Cursor(task.id, Seq(1)))

    assert stream.log.task.id != task.id


async def test_a_cursor_of_somebody_elses_task_begins_a_new_task(house: House) -> None:
    message = house.message(Say("one"))
    log = await house.after(0, house.send(BOB, message))
    assert not isinstance(log, Message)

    stream = await streamed(house, message, Cursor(log.task.id, Seq(1)))

    assert stream.log.task.principal == ALICE


async def test_a_cursor_of_an_unknown_task_begins_a_new_task(house: House) -> None:
    stream = await streamed(house, house.message(Say("one")), Cursor(TaskId("unknown"), Seq(1)))

    assert not stream.resumed
