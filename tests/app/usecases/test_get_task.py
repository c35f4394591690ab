"""Getting a task."""

from __future__ import annotations

import pytest

from opencode_a2a_server.adapters.outbound.scripted import Say
from opencode_a2a_server.domain.errors import TaskNotFound
from opencode_a2a_server.domain.ids import TaskId
from tests.app.house import ALICE, BOB, House, text_of

pytestmark = pytest.mark.anyio


async def test_a_task_is_given_as_it_stands(house: House) -> None:
    task = await house.begin(Say("hello"))

    log = await house.get(ALICE, task.id)

    assert text_of(log.task) == "hello"


async def test_a_foreign_task_and_one_that_is_not_there_are_refused_in_the_same_words(house: House) -> None:
    task = await house.begin(Say("hello"))
    refusals = []

    for task_id in (task.id, TaskId("nothing")):
        with pytest.raises(TaskNotFound) as refused:
            await house.get(BOB, task_id)
        refusals.append(str(refused.value).replace(task_id, "it"))

    assert refusals[0] == refusals[1]
