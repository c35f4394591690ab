"""Listing tasks."""

from __future__ import annotations

import pytest

from opencode_a2a_server.adapters.outbound.scripted import Say
from opencode_a2a_server.app.ports.tasks import Wanted
from opencode_a2a_server.app.usecases.list_tasks import ListTasks
from tests.app.house import ALICE, House

pytestmark = pytest.mark.anyio


async def test_a_task_that_cannot_be_read_hides_no_other(house: House) -> None:
    damaged, removed, other = [await house.begin(Say("hello"), context=None) for _ in range(3)]
    listing = await ListTasks(house.journal)(ALICE, Wanted(), 10)
    house.journal.damaged.add(damaged.id)
    del house.journal.logs[removed.id]

    assert [log.task.id async for log in listing.logs()] == [other.id]
