"""Directories that OpenCode has opened for us are closed again, and an OpenCode that hangs is found out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.adapters.outbound.opencode.instances import Keep
from opencode_a2a_server.domain.session import Directory
from tests.contracts.follower import following
from tests.contracts.opencode import OpenCodeHarness
from tests.fakes.acts import AskPermission, Hang
from tests.fakes.clock import TurnedClock
from tests.fakes.opencode import FakeOpenCode

pytestmark = pytest.mark.anyio

HOME = "/workspace/main"

Begin = Callable[[Keep], AbstractAsyncContextManager[OpenCode]]


@pytest.fixture
def fake() -> FakeOpenCode:
    return FakeOpenCode()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def begin(fake: FakeOpenCode, clock: TurnedClock, anyio_backend: str) -> Begin:
    @asynccontextmanager
    async def begun(keep: Keep) -> AsyncIterator[OpenCode]:
        async with OpenCode.at(Address("http://opencode", directory=HOME), clock, fake, keep=keep) as agent:
            await clock.turn()
            yield agent

    return begun


async def opened(agent: OpenCode, clock: TurnedClock, *names: str) -> None:
    for name in names:
        await agent.open_session("", Directory(f"/workspace/{name}"))
        await clock.turn(1)


async def test_a_directory_that_nobody_uses_is_disposed_of(
    fake: FakeOpenCode, clock: TurnedClock, begin: Begin
) -> None:
    async with begin(Keep(most=0, idle_seconds=600)) as agent:
        await opened(agent, clock, "a", "b")
        await clock.turn(400)
        await opened(agent, clock, "b")
        await clock.turn(300)

        assert fake.disposed == ["/workspace/a"]


async def test_of_too_many_the_longest_unused_are_disposed_of(
    fake: FakeOpenCode, clock: TurnedClock, begin: Begin
) -> None:
    async with begin(Keep(most=2, idle_seconds=0)) as agent:
        await opened(agent, clock, "a", "b", "c", "a", "d")
        await clock.turn(120)

        assert fake.disposed == ["/workspace/b", "/workspace/c"]


async def test_the_home_is_never_disposed_of_nor_counted(fake: FakeOpenCode, clock: TurnedClock, begin: Begin) -> None:
    async with begin(Keep(most=1, idle_seconds=60)) as agent:
        await agent.open_session("")
        await clock.turn(1000)

        assert fake.disposed == []


@pytest.mark.parametrize("act", [Hang(), AskPermission("bash", "ls")])
async def test_a_directory_in_which_somebody_works_or_is_asked_stays(
    fake: FakeOpenCode, clock: TurnedClock, begin: Begin, act: Hang | AskPermission
) -> None:
    async with begin(Keep(most=1, idle_seconds=60)) as agent:
        await opened(agent, clock, "a")
        session = next(iter(fake.sessions.values()))
        fake.scripts["go"] = (act,)
        session.prompt("msg_1", [{"type": "text", "text": "go"}], (act,))
        await clock.turn(500)

        assert fake.disposed == []
        await session.abort()


async def test_a_directory_whose_turn_is_followed_stays(fake: FakeOpenCode, clock: TurnedClock, begin: Begin) -> None:
    async with begin(Keep(most=1, idle_seconds=60)) as agent:
        harness = OpenCodeHarness(agent, fake=fake, clock=clock)
        async with following(agent, harness.message(Hang())) as turn:
            used = Directory("/workspace/a")
            agent.instances.enter(used)
            await clock.turn(500)
            assert fake.disposed == []

            agent.instances.leave(used)
            await clock.turn(500)

            assert fake.disposed == ["/workspace/a"]
            await agent.abort(turn.session)


async def test_a_directory_is_opened_and_watched_again_after_it_was_disposed_of(
    fake: FakeOpenCode, clock: TurnedClock, begin: Begin
) -> None:
    async with begin(Keep(most=0, idle_seconds=60)) as agent:
        for _ in range(2):
            await opened(agent, clock, "a")
            await clock.turn(200)

        assert fake.disposed == ["/workspace/a"] * 2


async def test_an_opencode_that_is_away_is_looked_after_later(
    fake: FakeOpenCode, clock: TurnedClock, begin: Begin
) -> None:
    async with begin(Keep(most=0, idle_seconds=60)) as agent:
        await opened(agent, clock, "a")
        fake.faults.down = True
        await clock.turn(200)
        fake.faults.down = False
        await clock.turn(100)

        assert fake.disposed == ["/workspace/a"]


async def test_without_bounds_nothing_is_disposed_of(fake: FakeOpenCode, clock: TurnedClock, begin: Begin) -> None:
    async with begin(Keep(most=0, idle_seconds=0)) as agent:
        await opened(agent, clock, *map(str, range(20)))
        await clock.turn(5000)

        assert fake.disposed == []


# An OpenCode that hangs


async def test_an_opencode_that_takes_calls_and_does_not_answer_is_said_to_hang(
    fake: FakeOpenCode, clock: TurnedClock, begin: Begin
) -> None:
    async with begin(Keep()) as agent:
        fake.faults.hangs = True

        probing = asyncio.ensure_future(agent.probe())
        await clock.turn(10)

    assert not probing.result().ready
    assert "it hangs: restart it" in probing.result().remedy


async def test_one_that_answers_for_its_health_alone_is_not_ready(
    fake: FakeOpenCode, clock: TurnedClock, begin: Begin
) -> None:
    async with begin(Keep()) as agent:
        fake.faults.answers["status"] = 500

        readiness = await agent.probe()

    assert not readiness.ready
