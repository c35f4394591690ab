"""A turn that changed files ends with its changes as artifacts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from opencode_a2a_server.adapters.outbound.scripted import Delay, EditFile, Fail, Hang, Say
from opencode_a2a_server.app.usecases.accept_message import ToWorking
from opencode_a2a_server.domain.errors import AgentUnreachable
from opencode_a2a_server.domain.message import DataPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import StatusChanged
from tests.app.house import House, Stage, living

pytestmark = pytest.mark.anyio

EDIT = EditFile("src/a.py", "one\ntwo\n", "one\nTWO\n")
PATCH = "--- a/src/a.py\n+++ b/src/a.py\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n"


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[House]:
    stage = Stage()
    async with stage.scripted, living(stage, patch_most=1000) as house:
        yield house


def patches(task: Task) -> list[str]:
    return [artifact.text for artifact in task.artifacts.values() if artifact.name == "changes.patch"]


def files(task: Task) -> list[object]:
    listed = [artifact.parts[0] for artifact in task.artifacts.values() if artifact.name == "files.json"]
    return [part.data for part in listed if isinstance(part, DataPart)]


async def test_the_changes_come_before_the_last_status(house: House) -> None:
    task = await house.begin(Say("done"), EDIT)

    assert patches(task) == [PATCH]
    assert files(task) == [[{"path": "src/a.py", "status": "modified", "added": 1, "removed": 1, "in_patch": True}]]
    last = house.log(task).updates[-1]
    assert isinstance(last, StatusChanged)
    assert last.state is TaskState.COMPLETED


async def test_a_turn_that_changed_nothing_has_none_and_asks_for_none(house: House) -> None:
    task = await house.begin(Say("done"))

    assert (patches(task), files(task)) == ([], [])
    assert "changes" not in house.agent.calls


async def test_a_turn_that_failed_tells_what_it_changed_all_the_same(house: House) -> None:
    task = await house.begin(EDIT, Fail("broken"))

    assert (task.state, patches(task)) == (TaskState.FAILED, [PATCH])


async def test_a_task_that_was_canceled_tells_what_it_changed(house: House) -> None:
    task = await house.begin(EDIT, Hang())

    await house.after(1, house.cancel(task.principal, task.id))

    assert (task.state, patches(task)) == (TaskState.CANCELED, [PATCH])


@pytest.mark.parametrize("trouble", [AgentUnreachable("no route"), None])
async def test_a_runtime_that_cannot_say_more_has_its_files_listed(house: House, trouble: Exception | None) -> None:
    if trouble is None:
        house.agent.lost.add("changes")
    else:
        house.agent.raises["changes"] = trouble

    task = await house.begin(EDIT)
    await house.clock.turn(5)

    assert task.state is TaskState.COMPLETED
    assert patches(task) == []
    assert files(task) == [[{"path": "src/a.py", "status": "changed", "added": 0, "removed": 0, "in_patch": False}]]


async def test_changes_that_the_runtime_has_not_compared_yet_are_waited_for(house: House) -> None:
    house.agent.lost.add("changes")
    task = await house.begin(Say("done"), EDIT)
    assert (task.state, patches(task)) == (TaskState.WORKING, [])

    house.agent.reach()
    await house.clock.turn(1)

    assert (task.state, patches(task)) == (TaskState.COMPLETED, [PATCH])


async def test_who_cancels_does_not_wait_for_changes_that_are_not_told(house: House) -> None:
    house.agent.lost.add("changes")
    task = await house.begin(EDIT, Hang())

    await house.after(0, house.cancel(task.principal, task.id))

    assert task.state is TaskState.CANCELED


async def test_each_turn_of_a_task_tells_its_own(anyio_backend: str) -> None:
    stage = Stage()
    async with stage.scripted, living(stage, patch_most=1000, to_working=ToWorking.QUEUE) as house:
        task = await house.begin(EDIT, Delay(5))
        await house.say(task, "more", EditFile("b", None, "new\n"))

        await house.clock.turn(10)

        assert task.state is TaskState.COMPLETED
        assert patches(task) == [PATCH, "--- /dev/null\n+++ b/b\n@@ -0,0 +1 @@\n+new\n"]


async def test_changes_are_not_told_when_they_are_switched_off(anyio_backend: str) -> None:
    stage = Stage()
    async with stage.scripted, living(stage, patch_most=0) as house:
        task = await house.begin(EDIT)

        assert (task.state, files(task)) == (TaskState.COMPLETED, [])
        assert "changes" not in house.agent.calls
