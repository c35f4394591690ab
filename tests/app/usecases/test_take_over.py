"""Taking over what others leave, and doing what they want, when the store or a use case breaks meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from attrs import define, field

from opencode_a2a_server.adapters.outbound.scripted import Hang, Say
from opencode_a2a_server.app.ports.errands import Cancel, Done, Due
from opencode_a2a_server.app.ports.errands import Say as SayErrand
from opencode_a2a_server.app.usecases.recover import Recover
from opencode_a2a_server.app.usecases.run_errands import RunErrands
from opencode_a2a_server.app.usecases.take_over import TakeOver
from opencode_a2a_server.domain.errors import JournalUnavailable, TaskNotCancelable, Unavailable
from opencode_a2a_server.domain.ids import TaskId
from opencode_a2a_server.domain.state import TaskState
from tests.app.house import ALICE, House, reborn, text_of
from tests.fakes.errands import FakeErrands
from tests.fakes.replicas import FakeReplicas

pytestmark = pytest.mark.anyio


@define(eq=False)
class Breaking(FakeReplicas):
    """Replicas whose store breaks now and then."""

    faults: list[Exception] = field(factory=list)

    async def inherit(self) -> Sequence[TaskId]:
        """Break, or give what is left."""
        if self.faults:
            self.change.set()
            raise self.faults.pop(0)
        return await FakeReplicas.inherit(self)


@pytest.fixture
def replicas(house: House) -> Breaking:
    return Breaking(house.journal, left=[])


@pytest.fixture
def errands() -> FakeErrands:
    return FakeErrands()


@pytest.fixture
async def running(house: House, replicas: Breaking, errands: FakeErrands) -> AsyncIterator[None]:
    push: list[None] = []
    running = RunErrands(
        errands,
        replicas,
        house.journal,
        house.accept,
        house.answer,
        house.cancel,
        push,  # type: ignore[arg-type] # nobody is notified here
        push,  # type: ignore[arg-type]
        house.clock,
    )
    async with running:
        yield


def taking_over(house: House, replicas: FakeReplicas) -> TakeOver:
    return TakeOver(replicas, Recover(house.journal, house.turns, replicas), house.turns, None, house.clock)


async def test_what_is_left_later_is_taken_up_also_after_the_store_broke(house: House) -> None:
    task = await house.begin(Say("hello"), Hang())

    async with reborn(house) as again:
        replicas = Breaking(again.journal, left=[])
        async with taking_over(again, replicas):
            replicas.left = [task.id, TaskId("removed-meanwhile")]
            replicas.faults = [JournalUnavailable("away"), RuntimeError("broken")]
            replicas.change.set()
            await again.clock.turn(5)

            assert again.turns.active == 1


async def test_who_is_taken_for_dead_lets_go_of_its_turns_without_stopping_them(
    house: House, replicas: Breaking
) -> None:
    task = await house.begin(Say("hello"), Hang())
    async with taking_over(house, replicas):
        replicas.lose()
        await house.clock.turn()

    assert (house.turns.active, task.state) == (0, TaskState.WORKING)
    assert "abort" not in house.agent.calls


async def test_what_is_recovered_is_let_go_of_also_before_others_are_looked_after(
    house: House, replicas: Breaking
) -> None:
    taking_over(house, replicas)
    await house.begin(Say("hello"), Hang())

    replicas.lose()
    await house.clock.turn()

    assert house.turns.active == 0


async def test_a_prompt_is_sent_only_by_who_is_sure_to_be_alive(house: House) -> None:
    doubts = [JournalUnavailable("the database does not say"), None]

    async def be_sure() -> None:
        assert "prompt" not in house.agent.calls
        if (doubt := doubts.pop(0)) is not None:
            raise doubt

    house.turns.be_sure = be_sure
    task = await house.begin(Say("hello"))
    assert "prompt" not in house.agent.calls

    await house.clock.turn(1)

    assert (task.state, doubts) == (TaskState.COMPLETED, [])


async def test_who_finds_that_he_was_taken_for_dead_sends_no_prompt_and_stops_nothing(
    house: House, replicas: Breaking
) -> None:
    async def be_sure() -> None:
        replicas.lose()
        raise JournalUnavailable("this process was taken for dead")

    house.turns.be_sure = be_sure
    taking_over(house, replicas)
    task = await house.begin(Say("hello"))
    await house.clock.turn(300)

    assert (house.turns.active, task.state) == (0, TaskState.WORKING)
    assert not {"prompt", "abort"} & set(house.agent.calls)


async def test_a_job_that_breaks_over_a_task_that_is_anothers_by_now_does_not_stop_its_session(house: House) -> None:
    task = await house.begin(Say("hello"), Hang())
    house.log(task).mine = False
    job = house.turns.job(house.log(task))
    assert job is not None

    house.agent.raises["recall"] = RuntimeError("broken")
    await house.clock.turn(30)

    assert "recall" in house.agent.calls
    assert "abort" not in house.agent.calls


@pytest.mark.usefixtures("running")
async def test_an_errand_is_done_and_its_outcome_said(house: House, errands: FakeErrands) -> None:
    task = await house.begin(Say("hello"), Hang())

    errands.put(Due("e-1", Cancel(ALICE, task.id)))
    await house.clock.turn(10)
    errands.put(Due("e-2", Cancel(ALICE, task.id)))
    await house.clock.turn(10)

    assert task.state is TaskState.CANCELED
    assert errands.outcomes["e-1"] == Done(upto=task.seq)
    assert isinstance(errands.outcomes["e-2"], TaskNotCancelable)


@pytest.mark.usefixtures("running")
async def test_an_errand_that_was_done_but_not_settled_is_only_settled(house: House, errands: FakeErrands) -> None:
    task = await house.begin(Say("hello"), Hang())
    await house.after(10, house.cancel(ALICE, task.id))

    errands.put(Due("e-1", Cancel(ALICE, task.id), again=True))
    errands.put(Due("e-2", SayErrand(ALICE, task.id, task.history[0]), again=True))
    await house.clock.turn(1)

    assert errands.outcomes == {"e-1": Done(upto=task.seq), "e-2": Done(upto=task.seq)}


@pytest.mark.usefixtures("running")
async def test_an_errand_that_came_when_the_service_is_about_to_end_is_left_to_the_heir(
    house: House, errands: FakeErrands
) -> None:
    task = await house.begin(Hang())
    house.turns.draining = True

    errands.put(Due("e-1", SayErrand(ALICE, task.id, house.message(task=task))))
    await house.clock.turn(1)

    assert errands.outcomes == {}


@pytest.mark.usefixtures("running")
async def test_an_errand_that_breaks_is_told_and_the_next_is_done(house: House, errands: FakeErrands) -> None:
    task = await house.begin(Say("hello"), Hang())
    errands.faults = [JournalUnavailable("away"), RuntimeError("broken")]

    errands.put(Due("e-1", None))  # type: ignore[arg-type] # what no release says
    errands.put(Due("e-2", Cancel(ALICE, task.id)))
    await house.clock.turn(20)

    assert isinstance(errands.outcomes["e-1"], Unavailable | Done)
    assert errands.outcomes["e-2"] == Done(upto=task.seq)
    assert text_of(task) == "hello"


@pytest.mark.usefixtures("running")
async def test_errands_under_way_are_let_go_of_by_who_is_taken_for_dead(
    house: House, replicas: Breaking, errands: FakeErrands
) -> None:
    task = await house.begin(Hang())
    house.agent.lost.add("abort")
    errands.put(Due("e-1", Cancel(ALICE, task.id)))
    await house.clock.turn()

    replicas.lose()
    await asyncio.sleep(0)
    await house.clock.turn(60)

    assert errands.outcomes == {}
