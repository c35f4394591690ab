"""Sending a message and waiting for what comes of it."""

from __future__ import annotations

import pytest

from opencode_a2a_server.adapters.outbound.scripted import (
    AskInput,
    AskPermission,
    Complete,
    Delay,
    Fail,
    GiveData,
    GiveFile,
    Hang,
    NeedAuth,
    Reject,
    Reply,
    Say,
)
from opencode_a2a_server.domain.message import DataPart, Message, RawPart, TextPart
from opencode_a2a_server.domain.state import TaskState
from tests.app.house import ALICE, House, status_of, text_of

pytestmark = pytest.mark.anyio


async def test_a_blocking_sender_gets_the_task_when_it_has_ended(house: House) -> None:
    sending = house.send(ALICE, house.message(Say("hello"), Delay(60), Say(" world")))

    log = await house.after(60, sending)

    assert not isinstance(log, Message)
    assert (text_of(log.task), log.task.state) == ("hello world", TaskState.COMPLETED)


async def test_who_does_not_want_to_wait_gets_the_task_at_once(house: House) -> None:
    log = await house.after(0, house.send(ALICE, house.message(Hang()), return_immediately=True))

    assert not isinstance(log, Message)
    assert not log.task.state.terminal


async def test_a_blocking_sender_gets_the_task_when_it_waits_for_somebody(house: House) -> None:
    log = await house.after(0, house.send(ALICE, house.message(AskPermission("bash", ("rm *",)))))

    assert not isinstance(log, Message)
    state, said = status_of(log.task)
    assert state is TaskState.INPUT_REQUIRED
    assert "bash (rm *)" in said


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (Complete("done"), TaskState.COMPLETED),
        (AskInput("what else?"), TaskState.INPUT_REQUIRED),
        (NeedAuth("sign in"), TaskState.AUTH_REQUIRED),
        (Reject("not that"), TaskState.REJECTED),
        (Fail("it broke"), TaskState.FAILED),
    ],
)
async def test_whatever_state_the_agent_ends_in_is_the_tasks(
    house: House, step: Complete | AskInput | NeedAuth | Reject | Fail, state: TaskState
) -> None:
    log = await house.after(0, house.send(ALICE, house.message(Say("so far"), step)))

    assert not isinstance(log, Message)
    assert status_of(log.task) == (state, step.text)
    assert text_of(log.task) == "so far"


async def test_files_and_data_are_artifacts(house: House) -> None:
    message = house.message(GiveFile("a.txt", "text/plain", b"abc"), GiveData({"a": [1, 2]}))

    log = await house.after(0, house.send(ALICE, message))

    assert not isinstance(log, Message)
    assert [artifact.parts for artifact in log.task.artifacts.values()] == [
        (RawPart(b"abc", "text/plain", "a.txt"),),
        (DataPart({"a": [1, 2]}),),
    ]


async def test_a_bare_reply_makes_no_task(house: House) -> None:
    reply = await house.after(0, house.send(ALICE, house.message(Reply("hi"))))

    assert isinstance(reply, Message)
    assert reply.parts == (TextPart("hi"),)
    assert house.journal.logs == {}


async def test_a_sender_who_goes_away_stops_nothing(house: House) -> None:
    sending = house.clock.within(1, house.send(ALICE, house.message(Say("a"), Delay(10), Say("b"))))
    with pytest.raises(TimeoutError):
        await house.after(1, sending)

    await house.clock.turn(10)

    (log,) = house.journal.logs.values()
    assert (text_of(log.task), log.task.state) == ("ab", TaskState.COMPLETED)


async def test_a_sender_who_waits_gets_the_task_as_it_stands_when_the_service_stops(house: House) -> None:
    sending = house.send(ALICE, house.message(Say("so far"), Hang()))
    house.turns.stopping = True

    log = await house.after(1, sending)

    assert not isinstance(log, Message)
    assert log.task.state is TaskState.WORKING


async def test_an_answer_is_waited_for_until_its_effect(house: House) -> None:
    task = await house.begin(AskPermission("bash"), Delay(30), Say("done"))

    log = await house.after(30, house.send(ALICE, house.message(text="yes", task=task)))

    assert not isinstance(log, Message)
    assert (text_of(log.task), log.task.state) == ("done", TaskState.COMPLETED)


async def test_an_answer_is_waited_for_until_the_next_question(house: House) -> None:
    task = await house.begin(AskPermission("bash", ("a",)), AskPermission("bash", ("b",)))

    log = await house.after(0, house.send(ALICE, house.message(text="yes", task=task)))

    assert not isinstance(log, Message)
    assert "bash (b)" in status_of(log.task)[1]
