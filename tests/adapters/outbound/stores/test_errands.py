"""Errands between replicas: each is done once and has its outcome, whatever goes wrong between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from attrs import frozen

from opencode_a2a_server.adapters.outbound.stores import errands as wire
from opencode_a2a_server.adapters.outbound.stores.codec import dump_errand
from opencode_a2a_server.adapters.outbound.stores.errands import Fencing, SharedErrands
from opencode_a2a_server.app.ports.errands import Cancel, Done
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.updates import TaskSubmitted
from tests.fakes.sharing import Sharer, Sharing

pytestmark = pytest.mark.anyio

TASK = TaskId("task-1")
ALICE = Principal("alice")
SUBMITTED = TaskSubmitted(ContextId("context-1"), ALICE, Message(MessageId("m-1"), Role.USER, (TextPart("Go."),)))
CANCEL = dump_errand(Cancel(ALICE, TASK))


@frozen
class _Deaf:
    """A database whose answer to a commit does not arrive."""

    beneath: Fencing

    def asking(self) -> AbstractAsyncContextManager[Any]:
        return self.beneath.asking()

    @asynccontextmanager
    async def fenced(self) -> AsyncIterator[Any]:
        async with self.beneath.fenced() as connection:
            yield connection
        raise JournalUnavailable("the connection was closed in the midst of the operation")


@pytest.fixture
async def sharing(anyio_backend: str) -> AsyncIterator[Sharing]:
    async with Sharing.opened() as sharing:
        yield sharing


@pytest.fixture
async def owner(sharing: Sharing) -> Sharer:
    """Give the replica that runs the task."""
    owner = await sharing.join()
    log = await owner.journal.create(TASK, SUBMITTED)
    await log.durable()
    return owner


async def ask(sharing: Sharing, name: str, body: bytes = CANCEL) -> None:
    await sharing.run(wire._ASK, name, TASK, body)


async def test_an_errand_is_taken_once(owner: Sharer, sharing: Sharing) -> None:
    await ask(sharing, "errand-1")

    (due,) = await owner.stores.errands.take()

    assert (due.id, due.errand, due.again) == ("errand-1", Cancel(ALICE, TASK), False)
    assert await owner.stores.errands.take() == []
    owner.stores.errands.settle(due, Done())
    assert await owner.stores.errands.take() == []


async def test_one_that_the_database_has_as_taken_without_our_hearing_of_it_is_taken_again(
    owner: Sharer, sharing: Sharing
) -> None:
    errands = owner.stores.errands
    assert isinstance(errands, SharedErrands)
    await ask(sharing, "errand-1")
    errands._storage = _Deaf(errands._storage)
    with pytest.raises(JournalUnavailable):
        await errands.take()
    errands._storage = owner.storage

    (due,) = await errands.take()

    assert (due.id, due.again) == ("errand-1", True)


async def test_one_that_is_not_understood_is_refused_and_holds_up_no_other(owner: Sharer, sharing: Sharing) -> None:
    await ask(sharing, "errand-1", b"[99]")
    await ask(sharing, "errand-2")

    (due,) = await owner.stores.errands.take()
    await owner.journal.unfinished()  # what was put is written

    assert due.id == "errand-2"
    ((outcome,),) = await sharing.run("SELECT outcome FROM errands WHERE id = 'errand-1'")
    assert b"another release runs the task" in outcome


async def test_those_that_are_long_forgotten_take_no_memory(owner: Sharer, sharing: Sharing) -> None:
    errands = owner.stores.errands
    assert isinstance(errands, SharedErrands)
    await ask(sharing, "errand-1")
    await errands.take()
    errands._handed_out["errand-1"] -= 3601

    await errands.take()

    assert not errands._handed_out
