"""Accepting a message: as an answer, as the next turn of a task, or as a new task."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from attrs import evolve

from opencode_a2a_server.adapters.outbound.scripted import (
    AskInput,
    AskPermission,
    Complete,
    Delay,
    Echo,
    Hang,
    NeedAuth,
    Recall,
    Say,
)
from opencode_a2a_server.adapters.outbound.stores.ledger import MemoryLedger
from opencode_a2a_server.app.ports.ledger import Entry
from opencode_a2a_server.app.usecases.keep_quotas import KeepQuotas
from opencode_a2a_server.domain.access import Quota, Reach
from opencode_a2a_server.domain.errors import (
    ContentTypeNotSupported,
    ContextMismatch,
    Draining,
    JournalUnavailable,
    TaskIsBusy,
    TaskIsTerminal,
    TaskNotFound,
)
from opencode_a2a_server.domain.ids import ContextId, TaskId
from opencode_a2a_server.domain.message import Message, RawPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import MessageReceived, TaskSubmitted, TurnStarted
from tests.app.house import ALICE, BOB, CONTEXT, House, status_of, text_of

pytestmark = pytest.mark.anyio


async def test_a_new_task_is_durable_before_its_sender_hears_of_it(house: House) -> None:
    house.journal.held = True
    sending = asyncio.ensure_future(house.send(ALICE, house.message(Say("hello")), return_immediately=True))
    await house.clock.turn()
    assert not sending.done()

    house.journal.release()
    await house.clock.turn()

    assert sending.done()


async def test_a_message_names_the_task_and_the_context_it_went_to(house: House) -> None:
    task = await house.begin(Say("hello"), context=None)

    (said,) = task.history
    assert (said.task_id, said.context_id) == (task.id, task.context_id)


async def test_what_the_runtime_cannot_take_leaves_no_trace(house: House) -> None:
    message = house.said(RawPart(b"?", "application/x-unsupported-thing"))

    with pytest.raises(ContentTypeNotSupported):
        await house.accept(ALICE, message)

    assert house.journal.logs == {}


async def test_a_draining_service_takes_nothing_new(house: House) -> None:
    await house.turns.drain(1)

    with pytest.raises(Draining):
        await house.accept(ALICE, house.message(Say("hello")))

    assert house.journal.logs == {}


async def test_what_was_accepted_just_before_draining_is_worked_on(house: House) -> None:
    house.journal.held = True
    accepting = asyncio.ensure_future(house.accept(ALICE, house.message(Say("hello"))))
    await house.clock.turn()
    house.turns.draining = True

    house.journal.release()
    await house.clock.turn()

    accepted = accepting.result()
    assert not isinstance(accepted, Message)
    assert text_of(accepted.log.task) == "hello"


async def test_a_store_that_takes_no_writes_is_told_to_the_sender(house: House) -> None:
    house.journal.held = house.journal.broken = True

    with pytest.raises(JournalUnavailable):
        await house.accept(ALICE, house.message(Say("hello")))


async def test_nobody_can_tell_a_foreign_task_from_one_that_is_not_there(house: House) -> None:
    task = await house.begin(AskInput("what else?"))
    refusals = []

    for task_id in (task.id, TaskId("nothing")):
        message = evolve(house.message(), task_id=task_id)
        with pytest.raises(TaskNotFound) as refused:
            await house.accept(BOB, message)
        refusals.append(str(refused.value).replace(task_id, "it"))

    assert refusals[0] == refusals[1]


async def test_a_task_and_another_tasks_context_do_not_go_together(house: House) -> None:
    task = await house.begin(AskInput("what else?"))

    with pytest.raises(ContextMismatch) as refused:
        await house.accept(ALICE, house.message(task=task, context=ContextId("another")))

    assert refused.value.field == "message.contextId"


async def test_a_task_that_ended_takes_no_message(house: House) -> None:
    task = await house.begin(Say("hello"))

    with pytest.raises(TaskIsTerminal):
        await house.accept(ALICE, house.message(task=task))

    assert len(task.history) == 1


async def test_a_task_at_work_takes_no_message_and_loses_none_silently(house: House) -> None:
    task = await house.begin(Hang())

    with pytest.raises(TaskIsBusy):
        await house.accept(ALICE, house.message(task=task))

    assert len(task.history) == 1


async def test_a_task_that_was_only_submitted_takes_no_message(house: House) -> None:
    await house.begin(Hang())
    queued = await house.begin(Say("later"))

    with pytest.raises(TaskIsBusy):
        await house.accept(ALICE, house.message(task=queued))


@pytest.mark.parametrize("halt", [AskInput("and?"), NeedAuth("sign in")])
async def test_a_task_that_halted_goes_on_with_the_next_message(house: House, halt: AskInput | NeedAuth) -> None:
    task = await house.begin(Say("before "), halt, Echo("you said: "))

    await house.say(task, "this")

    assert (text_of(task), task.state) == ("before you said: this", TaskState.COMPLETED)
    assert [message.text for message in task.history] == ["play", halt.text, "this"]


async def test_a_task_goes_on_in_the_session_it_began_in(house: House) -> None:
    task = await house.begin(AskInput("and?"), Recall())

    await house.say(task, "this")

    sessions = {started.session for started in house.updates(task, TurnStarted)}
    assert len(sessions) == 1
    assert text_of(task) == "play"


async def test_of_two_messages_at_once_to_a_halted_task_one_is_taken_and_one_refused(house: House) -> None:
    task = await house.begin(AskInput("and?"), Echo())
    messages = [house.message(text="one", task=task), house.message(text="two", task=task)]

    outcomes = await asyncio.gather(*(house.accept(ALICE, message) for message in messages), return_exceptions=True)
    await house.clock.turn()

    assert [type(outcome).__name__ for outcome in outcomes] == ["Accepted", "TaskIsBusy"]
    assert text_of(task) == "one"


class _AskedLedger(MemoryLedger):
    """One that does not answer at once, as one in a database does not."""

    async def add(self, entries: Sequence[Entry]) -> Sequence[float]:
        await asyncio.sleep(0)
        return await super().add(entries)


async def test_of_two_messages_at_once_to_a_halted_task_one_is_taken_although_both_are_counted(house: House) -> None:
    task = await house.begin(AskInput("and?"), Echo())
    quotas = KeepQuotas(_AskedLedger(), house.journal, house.clock, lambda _: Reach(quota=Quota(tokens=1000)))
    accept = evolve(house.accept, quotas=quotas)
    messages = [house.message(text="one", task=task), house.message(text="two", task=task)]

    outcomes = await asyncio.gather(*(accept(ALICE, message) for message in messages), return_exceptions=True)
    await house.clock.turn()

    assert [type(outcome).__name__ for outcome in outcomes] == ["Accepted", "TaskIsBusy"]
    assert text_of(task) == "one"


async def test_a_task_that_ended_while_a_message_was_counted_takes_it_no_more(house: House) -> None:
    task = await house.begin(AskInput("and?"), Echo())
    quotas = KeepQuotas(_AskedLedger(), house.journal, house.clock, lambda _: Reach(quota=Quota(tokens=1000)))
    accepting = evolve(house.accept, quotas=quotas)(ALICE, house.message(text="one", task=task))

    refused, canceled = await asyncio.gather(accepting, house.cancel(ALICE, task.id), return_exceptions=True)

    assert (type(refused), type(canceled).__name__) == (TaskIsTerminal, "FakeLog")


async def test_a_task_may_halt_more_than_once(house: House) -> None:
    task = await house.begin(AskInput("first?"), AskInput("second?"), Complete("enough"))

    await house.say(task, "a")
    await house.say(task, "b")

    assert status_of(task) == (TaskState.COMPLETED, "enough")


async def test_a_message_to_a_task_that_is_being_canceled_is_refused(house: House) -> None:
    task = await house.begin(AskPermission("bash"), Say("never"))
    house.agent.lost.add("abort")
    canceling = asyncio.ensure_future(house.cancel(ALICE, task.id))
    await house.clock.turn()

    with pytest.raises(TaskIsBusy, match="canceled"):
        await house.accept(ALICE, house.message(text="yes", task=task))

    await house.after(30, canceling)
    assert text_of(task) == ""


async def test_a_sender_who_goes_away_while_the_task_is_written_leaves_it_at_work(house: House) -> None:
    house.journal.held = True
    accepting = asyncio.ensure_future(house.accept(ALICE, house.message(Say("hello"))))
    await house.clock.turn()
    accepting.cancel()
    await house.clock.turn()

    house.journal.release()
    await house.clock.turn()

    (log,) = house.journal.logs.values()
    assert text_of(log.task) == "hello"


async def test_a_task_that_could_not_be_kept_never_runs_although_its_store_comes_back(house: House) -> None:
    house.journal.held = house.journal.broken = True
    with pytest.raises(JournalUnavailable):
        await house.accept(ALICE, house.message(Say("never")))

    house.journal.release()
    await house.clock.turn(200)

    (log,) = house.journal.logs.values()
    assert log.task.state is TaskState.CANCELED
    assert "prompt" not in house.agent.calls


async def test_two_tasks_of_one_context_run_one_after_the_other(house: House) -> None:
    first = await house.begin(Say("one"), Delay(10))
    second = await house.begin(Recall())
    assert second.state is TaskState.SUBMITTED

    await house.clock.turn(10)

    assert [task.state for task in (first, second)] == [TaskState.COMPLETED] * 2
    assert first.session == second.session


async def test_first_messages_at_once_make_one_session(house: House) -> None:
    messages = [house.message(Say(word), context=CONTEXT) for word in ("a", "b", "c")]

    await house.after(0, asyncio.gather(*(house.send(ALICE, message) for message in messages)))

    sessions = {log.task.session for log in house.journal.logs.values()}
    assert len(sessions) == 1
    assert house.agent.calls.count("open_session") == 1


async def test_tasks_of_two_contexts_run_side_by_side(house: House) -> None:
    one = await house.begin(Hang(), context=ContextId("one"))
    other = await house.begin(Say("hello"), context=ContextId("other"))

    assert (one.state, other.state) == (TaskState.WORKING, TaskState.COMPLETED)


async def test_the_same_context_of_two_principals_is_two_sessions(house: House) -> None:
    alices = await house.begin(Say("hello"), by=ALICE)
    bobs = await house.begin(Recall(), by=BOB)

    assert alices.session != bobs.session
    assert "nothing" in text_of(bobs)


async def test_a_message_that_goes_on_is_journaled_with_the_turn_it_begins(house: House) -> None:
    task = await house.begin(AskInput("and?"))
    asked = task.seq

    await house.say(task, "this", Say("well"))

    kinds = [type(update) for update in house.log(task).updates]
    assert kinds[0] is TaskSubmitted
    assert kinds[asked : asked + 2] == [TurnStarted, MessageReceived]
