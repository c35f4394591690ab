"""Whether new work can be done, and what hinders it."""

from __future__ import annotations

import pytest

from opencode_a2a_server.app.ports.agent import Readiness
from opencode_a2a_server.app.usecases.check_readiness import CheckReadiness
from opencode_a2a_server.app.usecases.watch_agent import WatchAgent
from tests.app.house import House

pytestmark = pytest.mark.anyio


def check(house: House, readiness: Readiness) -> CheckReadiness:
    watch = WatchAgent(house.agent, house.clock)
    watch.readiness = readiness
    return CheckReadiness(watch, house.journal, house.turns, house.clock)


async def test_a_service_with_all_it_needs_is_ready(house: House) -> None:
    checked = await check(house, Readiness(ready=True))()

    assert checked.ready
    assert checked.troubles == {"upstream": "", "store": "", "drain": ""}


async def test_a_runtime_that_cannot_be_worked_with_is_told_with_the_remedy(house: House) -> None:
    checked = await check(house, Readiness(ready=False, remedy="start OpenCode"))()

    assert not checked.ready
    assert checked.troubles["upstream"] == "start OpenCode"


async def test_a_runtime_without_a_remedy_hinders_all_the_same(house: House) -> None:
    assert not (await check(house, Readiness(ready=False))()).ready


async def test_a_draining_service_is_not_ready(house: House) -> None:
    house.turns.draining = True

    checked = await check(house, Readiness(ready=True))()

    assert not checked.ready
    assert "about to stop" in checked.troubles["drain"]


async def test_a_store_that_says_what_is_wrong_is_quoted(house: House) -> None:
    house.journal.broken = True

    assert (await check(house, Readiness(ready=True))()).troubles["store"] == "the store takes no writes"


async def test_a_store_that_does_not_answer_keeps_nobody_waiting(house: House) -> None:
    house.journal.hangs = True

    checked = await house.after(1, check(house, Readiness(ready=True))())

    assert checked.troubles["store"] == "the store has not answered for 1 s"
