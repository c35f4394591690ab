"""The contract of the port `Interrupts`, for each of its storages: what the journals say is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opencode_a2a_server.app.ports.interrupts import Registered
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, RequestId, SessionId, TaskId
from opencode_a2a_server.domain.interrupt import Answerer, Channel, Permission, PermissionAnswer, Verdict
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import (
    AnswerGiven,
    InterruptRaised,
    InterruptResolved,
    StatusChanged,
    TaskSubmitted,
)
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import KINDS, Life, Stores

pytestmark = pytest.mark.anyio

ALICE, BOB = Principal("alice"), Principal("bob")
FIRST, SECOND = RequestId("per_1"), RequestId("per_2")


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return Stores(TurnedClock(), request.param, tmp_path)


@pytest.fixture
async def life(stores: Stores, anyio_backend: str) -> AsyncIterator[Life]:
    async with stores.live() as life:
        yield life


def permission(request: RequestId = FIRST) -> Permission:
    return Permission(request, SessionId("ses_1"), "bash", ("ls",))


async def begun(life: Life, name: str = "task-1", principal: Principal = ALICE) -> TaskLog:
    message = Message(MessageId("m"), Role.USER, (TextPart("hello"),))
    return await life.journal.create(TaskId(name), TaskSubmitted(ContextId("c"), principal, message))


async def test_what_was_never_raised_is_not_found(life: Life) -> None:
    await begun(life)

    assert await life.interrupts.find(ALICE, FIRST) is None
    assert await life.interrupts.waiting(ALICE) == []


async def test_what_is_raised_is_found_by_its_own_principal_at_once(life: Life) -> None:
    log = await begun(life)

    log.append([InterruptRaised(permission())])

    assert await life.interrupts.find(ALICE, FIRST) == Registered(log.task.id)
    assert await life.interrupts.find(BOB, FIRST) is None
    assert await life.interrupts.waiting(ALICE) == [log.task.id]
    assert await life.interrupts.waiting(BOB) == []


async def test_what_is_resolved_is_found_with_its_end_and_waits_no_more(life: Life, stores: Stores) -> None:
    log = await begun(life)
    log.append([InterruptRaised(permission()), InterruptRaised(permission(SECOND))])

    log.append([InterruptResolved(FIRST, "once", shown=permission(SECOND))])

    assert await life.interrupts.find(ALICE, FIRST) == Registered(log.task.id, stores.clock.now())
    assert await life.interrupts.find(ALICE, SECOND) == Registered(log.task.id)
    assert await life.interrupts.waiting(ALICE) == [log.task.id]


async def test_the_end_of_a_task_is_the_end_of_what_it_asks(life: Life, stores: Stores) -> None:
    log = await begun(life)
    log.append([InterruptRaised(permission())])
    by_rule = AnswerGiven(
        permission(SECOND), PermissionAnswer(Verdict.ONCE), Answerer(Channel.POLICY), stores.clock.now()
    )
    log.append([by_rule])

    log.append([StatusChanged(TaskState.FAILED)])

    for request in (FIRST, SECOND):
        assert await life.interrupts.find(ALICE, request) == Registered(log.task.id, stores.clock.now())
    assert await life.interrupts.waiting(ALICE) == []


async def test_what_is_raised_again_waits_again(life: Life) -> None:
    log = await begun(life)
    log.append([InterruptRaised(permission()), InterruptResolved(FIRST, "withdrawn")])

    log.append([InterruptRaised(permission())])

    assert await life.interrupts.find(ALICE, FIRST) == Registered(log.task.id)


async def test_what_a_rule_decided_is_known_too(life: Life, stores: Stores) -> None:
    log = await begun(life)

    log.append([AnswerGiven(permission(), PermissionAnswer(Verdict.ONCE), Answerer(Channel.POLICY), 1.0)])
    log.append([InterruptResolved(FIRST, "once", channel=Channel.POLICY, asked=False)])

    assert await life.interrupts.find(ALICE, FIRST) == Registered(log.task.id, stores.clock.now())


async def test_it_outlives_a_restart(stores: Stores) -> None:
    async with stores.live() as life:
        log = await begun(life)
        log.append([InterruptRaised(permission()), InterruptRaised(permission(SECOND))])
        log.append([InterruptResolved(FIRST, "once", shown=permission(SECOND))])
        await log.durable()

    async with stores.live() as life:
        assert await life.interrupts.find(ALICE, FIRST) == Registered(log.task.id, stores.clock.now())
        assert await life.interrupts.waiting(ALICE) == [log.task.id]


async def test_what_ended_long_ago_can_be_forgotten(life: Life, stores: Stores) -> None:
    log = await begun(life)
    log.append([InterruptRaised(permission()), InterruptRaised(permission(SECOND))])
    log.append([InterruptResolved(FIRST, "once", shown=permission(SECOND))])
    await log.durable()

    await life.interrupts.forget(stores.clock.now())
    assert await life.interrupts.find(ALICE, FIRST) is not None
    await life.interrupts.forget(stores.clock.now() + 1)

    assert await life.interrupts.find(ALICE, FIRST) is None
    assert await life.interrupts.find(ALICE, SECOND) is not None


@pytest.mark.parametrize("what", ["FIND", "WAITING", "FORGET"])
async def test_sqlite_reads_it_off_an_index(what: str, tmp_path: Path) -> None:
    from opencode_a2a_server.adapters.outbound.stores import interrupt_statements
    from opencode_a2a_server.adapters.outbound.stores.sqlite import SqliteStorage

    storage = await SqliteStorage.open(tmp_path / "tasks.db")
    statement = getattr(interrupt_statements, what)
    values = {"whose": "alice", "which": "per_1", "before": 1.0}
    async with storage.reading() as link:
        plan = await link._driver.execute_fetchall(f"EXPLAIN QUERY PLAN {statement.sql}", statement.order(values))
    await storage.close()

    steps = [step for *_, step in plan]
    assert all(not step.startswith("SCAN") for step in steps), steps
