"""The contract of the port `Bindings`, for each of its storages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.stores.bindings import RECENT
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, SessionId, TaskId
from opencode_a2a_server.domain.message import Message, Role
from opencode_a2a_server.domain.session import Binding, Directory, Session
from opencode_a2a_server.domain.updates import TaskSubmitted
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import IN_MEMORY, KINDS, Life, Stores

pytestmark = pytest.mark.anyio

SUBMITTED = TaskSubmitted(ContextId("context"), Principal("alice"), Message(MessageId("m-1"), Role.USER, ()))


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return Stores(TurnedClock(), request.param, tmp_path)


@pytest.fixture
async def life(stores: Stores, anyio_backend: str) -> AsyncIterator[Life]:
    async with stores.live() as life:
        yield life


def binding(principal: str, context: str, session: str, directory: str = "/work") -> Binding:
    return Binding(Principal(principal), ContextId(context), Session(SessionId(session), Directory(directory)))


async def test_a_context_nobody_used_has_no_binding(life: Life) -> None:
    assert await life.bindings.find(Principal("alice"), ContextId("new")) is None


async def test_a_binding_is_found_again(life: Life) -> None:
    bound = binding("alice", "context", "ses_1", "/home/alice's/ünïcode")

    await life.bindings.bind(bound)

    assert await life.bindings.find(bound.principal, bound.context_id) == bound


async def test_a_binding_is_its_principal_s_own(life: Life) -> None:
    alice, bob = binding("alice", "context", "ses_1"), binding("bob", "context", "ses_2")

    await life.bindings.bind(alice)
    await life.bindings.bind(bob)

    assert await life.bindings.find(alice.principal, alice.context_id) == alice
    assert await life.bindings.find(bob.principal, bob.context_id) == bob
    assert await life.bindings.find(alice.principal, ContextId("other")) is None


async def test_a_later_binding_replaces_an_earlier_one(life: Life) -> None:
    later = binding("alice", "context", "ses_2", "/elsewhere")

    await life.bindings.bind(binding("alice", "context", "ses_1"))
    await life.bindings.bind(later)

    assert await life.bindings.find(later.principal, later.context_id) == later


async def test_a_binding_outlives_a_restart(stores: Stores) -> None:
    bound = binding("alice", "context", "ses_1")
    async with stores.live() as life:
        await life.bindings.bind(bound)

    async with stores.live() as life:
        assert await life.bindings.find(bound.principal, bound.context_id) == bound


@pytest.mark.parametrize("stores", IN_MEMORY, indirect=True)
async def test_a_binding_is_found_before_it_is_written(life: Life) -> None:
    life.storage.shut()
    bound = binding("alice", "context", "ses_1")

    await life.bindings.bind(bound)

    assert await life.bindings.find(bound.principal, bound.context_id) == bound


async def test_a_binding_is_durable_no_later_than_what_is_journaled_after_it(life: Life) -> None:
    for number in range(3):
        bound = binding("alice", f"context-{number}", "ses_1")
        await life.bindings.bind(bound)
        log = await life.journal.create(TaskId(f"task-{number}"), SUBMITTED)

        await log.durable()

        assert await life.storage.find(bound.principal, bound.context_id) == bound


@pytest.mark.parametrize("stores", IN_MEMORY, indirect=True)
async def test_more_bindings_than_are_kept_in_memory_are_found(life: Life) -> None:
    bindings = [binding("alice", f"context-{number}", "ses_1") for number in range(RECENT + 1)]
    for bound in bindings:
        await life.bindings.bind(bound)

    for bound in bindings[::1000]:
        assert await life.bindings.find(bound.principal, bound.context_id) == bound


@pytest.mark.parametrize("name", ["half \ud83d", "null \0"])
async def test_a_name_that_cannot_be_kept_is_refused(life: Life, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await life.bindings.bind(binding("alice", "context", "ses_1", name))

    assert await life.bindings.find(Principal("alice"), ContextId("context")) is None
