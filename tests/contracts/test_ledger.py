"""The contract of the port `Ledger`, for each of its storages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.stores.ledger import MemoryLedger, StoredLedger
from opencode_a2a_server.app.ports.ledger import Entry, Ledger
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import KINDS, Stores

pytestmark = pytest.mark.anyio

TOKENS, COST = Entry("alice", "tokens", 86_400, 100), Entry("alice", "cost", 86_400, 0.25)


@pytest.fixture(params=KINDS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    async with Stores(TurnedClock(), request.param, tmp_path).live() as life:
        yield StoredLedger(life.storage.beneath)  # type: ignore[arg-type] # both lend a connection


async def test_what_is_added_is_added_up_by_account_measure_and_span(ledger: Ledger) -> None:
    assert await ledger.add([TOKENS, COST]) == [100, 0.25]
    assert await ledger.add([COST, TOKENS]) == [0.5, 200]
    assert await ledger.add([Entry("bob", "tokens", 86_400, 1), Entry("alice", "tokens", 0, 2)]) == [1, 2]


async def test_nothing_may_be_added_to_ask(ledger: Ledger) -> None:
    await ledger.add([TOKENS])

    assert await ledger.add([Entry("alice", "tokens", 86_400, 0), Entry("bob", "cost", 0, 0)]) == [100, 0]


async def test_nothing_is_lost_of_what_is_added_at_once(ledger: Ledger) -> None:
    await asyncio.gather(*(ledger.add([Entry("alice", "requests", 0, 1)]) for _ in range(20)))

    assert await ledger.add([Entry("alice", "requests", 0, 0)]) == [20]


async def test_spans_that_began_long_ago_are_forgotten(ledger: Ledger) -> None:
    await ledger.add([Entry("alice", "tokens", 0, 5), TOKENS])

    await ledger.forget(86_400)

    assert await ledger.add([Entry("alice", "tokens", 0, 0), Entry("alice", "tokens", 86_400, 0)]) == [0, 100]
