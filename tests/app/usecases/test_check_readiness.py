"""Whether new work can be done, and what hinders it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from opencode_a2a_server.app.ports.agent import Readiness
from opencode_a2a_server.app.usecases.check_readiness import CheckReadiness
from opencode_a2a_server.app.usecases.watch_agent import WatchAgent
from tests.app.house import House

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def checking(house: House, readiness: Readiness) -> AsyncIterator[CheckReadiness]:
    watch = WatchAgent(house.agent, house.clock)
    watch.readiness = readiness
    async with CheckReadiness(watch, house.journal, house.turns, house.clock) as check:
        yield check


async def test_a_service_with_all_it_needs_is_ready(house: House) -> None:
    async with checking(house, Readiness(ready=True)) as check:
        assert check().ready
        assert check().troubles == {"upstream": "", "store": "", "drain": ""}


async def test_a_runtime_that_cannot_be_worked_with_is_told_with_the_remedy(house: House) -> None:
    async with checking(house, Readiness(ready=False, remedy="start OpenCode")) as check:
        assert not check().ready
        assert check().troubles["upstream"] == "start OpenCode"


async def test_a_runtime_without_a_remedy_hinders_all_the_same(house: House) -> None:
    async with checking(house, Readiness(ready=False)) as check:
        assert not check().ready


async def test_a_draining_service_is_not_ready(house: House) -> None:
    async with checking(house, Readiness(ready=True)) as check:
        house.turns.draining = True

        assert not check().ready
        assert "about to stop" in check().troubles["drain"]


async def test_a_store_that_breaks_is_told_until_it_works_again(house: House) -> None:
    async with checking(house, Readiness(ready=True)) as check:
        house.journal.broken = True
        await house.clock.turn(1)
        broken = check().troubles["store"]
        house.journal.release()
        await house.clock.turn(1)

        assert broken == "the store takes no writes"
        assert check().ready


async def test_a_store_that_does_not_answer_keeps_nobody_waiting(house: House) -> None:
    async with checking(house, Readiness(ready=True)) as check:
        house.journal.hangs = True
        await house.clock.turn(2)

        assert check().troubles["store"] == "the store has not answered for 1 s"


async def test_a_store_that_was_never_looked_at_is_not_ready(house: House) -> None:
    watch = WatchAgent(house.agent, house.clock)

    assert not CheckReadiness(watch, house.journal, house.turns, house.clock)().ready
