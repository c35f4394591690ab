"""The contract of the port `PushConfigs`, for each of its storages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve

from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import PushConfigId, Seq, TaskId
from opencode_a2a_server.domain.push import Outbox, PushConfig, Words
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import KINDS, Life, Stores

pytestmark = pytest.mark.anyio

TASK, OTHER = TaskId("task-1"), TaskId("task-2")


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return Stores(TurnedClock(), request.param, tmp_path)


@pytest.fixture
async def life(stores: Stores, anyio_backend: str) -> AsyncIterator[Life]:
    async with stores.live() as life:
        yield life


def outbox(name: str = "c-1", task: TaskId = TASK, at: float = 1.0, url: str = "https://client.example/") -> Outbox:
    config = PushConfig(PushConfigId(name), task, url, "token", "Bearer", "credentials")
    return Outbox.begun(config, Seq(3), at)


async def test_a_task_has_none_at_first(life: Life) -> None:
    assert await life.push_configs.of(TASK) == []
    assert await life.push_configs.live() == []


async def test_what_is_kept_is_found_with_its_task_oldest_first(life: Life) -> None:
    newer, older, foreign = outbox("a", at=2.0), outbox("b", at=1.0), outbox(task=OTHER, at=3.0)

    for one in (newer, older, foreign):
        await life.push_configs.save(one)

    assert await life.push_configs.of(TASK) == [older, newer]
    assert await life.push_configs.live() == [older, newer, foreign]


async def test_a_later_one_of_the_same_id_takes_its_place(life: Life) -> None:
    later = outbox(url="https://elsewhere.example/")

    await life.push_configs.save(outbox())
    await life.push_configs.save(later)

    assert await life.push_configs.of(TASK) == [later]


async def test_how_far_it_has_come_outlives_a_restart(stores: Stores) -> None:
    async with stores.live() as life:
        await life.push_configs.save(outbox())
        await life.push_configs.mark(outbox().sending(Seq(7)).failed.failed)

    async with stores.live() as life:
        (found,) = await life.push_configs.live()

    assert (found.seq, found.upto, found.failures) == (3, 7, 2)


@pytest.mark.parametrize("words", Words)
async def test_in_which_words_it_is_told_outlives_a_restart(stores: Stores, words: Words) -> None:
    kept = outbox()
    kept = kept.again(evolve(kept.config, words=words))
    async with stores.live() as life:
        await life.push_configs.save(kept)

    async with stores.live() as life:
        assert await life.push_configs.live() == [kept]


async def test_one_that_was_deleted_stays_so(life: Life) -> None:
    await life.push_configs.save(outbox())
    await life.push_configs.delete(TASK, PushConfigId("c-1"))
    await life.push_configs.delete(TASK, PushConfigId("c-1"))
    await life.push_configs.mark(outbox().sending(Seq(7)))

    assert await life.push_configs.of(TASK) == []


async def test_one_that_stopped_is_a_dead_letter(life: Life) -> None:
    await life.push_configs.save(outbox())
    await life.push_configs.mark(outbox().stop("503"))

    assert await life.push_configs.live() == []
    assert [dead.stopped for dead in await life.push_configs.stopped()] == ["503"]
    assert len(await life.push_configs.of(TASK)) == 1


@pytest.mark.parametrize("name", ["half \ud83d", "null \0"])
async def test_a_name_that_cannot_be_kept_is_refused(life: Life, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await life.push_configs.save(outbox(name))

    assert await life.push_configs.of(TASK) == []
