"""Watching the runtime."""

from __future__ import annotations

import logging

import pytest
from attrs import define, field

from opencode_a2a_server.app.ports.agent import Readiness
from opencode_a2a_server.app.usecases.watch_agent import WatchAgent
from tests.app.house import Stage
from tests.fakes.agent import FlakyAgent

pytestmark = pytest.mark.anyio

_READY = Readiness(ready=True, version="1.18")
_GONE = Readiness(ready=False, remedy="start it")


@define(eq=False)
class ChangingAgent(FlakyAgent):
    """An agent whose readiness a test sets."""

    readiness: Readiness = field(default=_READY)

    async def probe(self) -> Readiness:
        """See `Agent.probe`."""
        self.calls.append("probe")
        return self.readiness


@pytest.fixture
def stage(anyio_backend: str) -> Stage:
    """Give time and a runtime."""
    return Stage()


async def test_the_runtime_is_looked_at_before_anything_else(stage: Stage) -> None:
    agent = ChangingAgent(stage.scripted)

    async with WatchAgent(agent, stage.clock) as watch:
        assert watch.readiness == _READY


async def test_a_change_is_logged_once_with_the_remedy(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    agent = ChangingAgent(stage.scripted, readiness=_GONE)
    async with WatchAgent(agent, stage.clock) as watch:
        await stage.clock.turn(60)
        agent.readiness = _READY
        await stage.clock.turn(60)

        assert watch.readiness == _READY

    assert [record.getMessage() for record in caplog.records] == ["not ready: start it", "Flaky 1.18 is ready"]


async def test_it_looks_no_more_once_left(stage: Stage) -> None:
    agent = ChangingAgent(stage.scripted)
    async with WatchAgent(agent, stage.clock):
        await stage.clock.turn(25)
    looks = agent.calls.count("probe")

    await stage.clock.turn(60)

    assert looks == agent.calls.count("probe") == 3


async def test_leaving_what_was_never_entered_is_no_error(stage: Stage) -> None:
    await WatchAgent(ChangingAgent(stage.scripted), stage.clock).__aexit__()
