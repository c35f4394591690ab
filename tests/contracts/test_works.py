"""The contract of the port `Works`, for each of its storages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve

from opencode_a2a_server.adapters.outbound.stores.works import MemoryWorks, StoredWorks
from opencode_a2a_server.app.ports.works import Working, Works
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Directory, Session
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import KINDS, Stores

pytestmark = pytest.mark.anyio

ALICE, BOB = Principal("alice"), Principal("bob")
FIRST = Working(Session(SessionId("ses_2"), Directory("/w")), ALICE, 1_700_000_000.5, 1_699_999_999.125)
SECOND = Working(Session(SessionId("ses_1"), Directory("/w/bélow")), ALICE, 1_700_000_001.0, 0.0)
BOBS = Working(Session(SessionId("ses_3"), Directory("/w")), BOB, 1_700_000_002.0, 0.0)


@pytest.fixture(params=KINDS)
async def works(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Works]:
    if request.param == "memory":
        yield MemoryWorks()
        return
    async with Stores(TurnedClock(), request.param, tmp_path).live() as life:
        yield StoredWorks(life.storage.beneath)  # type: ignore[arg-type] # both lend a connection


async def test_what_is_under_way_is_found_by_its_principal_the_oldest_first(works: Works) -> None:
    for working in (BOBS, SECOND, FIRST):
        await works.begin(working)

    assert await works.of(ALICE) == [FIRST, SECOND]
    assert await works.of(BOB) == [BOBS]
    assert await works.every() == [FIRST, SECOND, BOBS]


async def test_a_session_does_one_thing_at_a_time(works: Works) -> None:
    again = evolve(FIRST, principal=BOB, begun_at=1_700_000_009.0)
    await works.begin(FIRST)

    await works.begin(again)

    assert await works.every() == [again]
    assert await works.of(ALICE) == []


async def test_what_has_ended_is_forgotten_and_may_be_ended_again(works: Works) -> None:
    await works.begin(FIRST)
    await works.begin(BOBS)

    await works.end(FIRST.session.id)
    await works.end(FIRST.session.id)

    assert await works.every() == [BOBS]
