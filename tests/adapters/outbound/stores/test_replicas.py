"""Replicas that share a PostgreSQL: who writes what, who reads after whom, and what becomes of the dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from opencode_a2a_server.adapters.outbound.stores.opening import Stores
from opencode_a2a_server.app.ports.journal import Reader, TaskLog
from opencode_a2a_server.app.ports.ledger import Entry as Amount
from opencode_a2a_server.app.ports.retention import Keeping
from opencode_a2a_server.domain.errors import JournalDamaged, JournalUnavailable
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, Seq, SessionId, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.session import Binding, Directory, Ownership, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import (
    ArtifactTold,
    BlockKind,
    Entry,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
    Update,
)
from tests.fakes.clock import TurnedClock
from tests.fakes.sharing import Sharer, Sharing, soon

pytestmark = pytest.mark.anyio

TASK = TaskId("task-1")
TEXT = ArtifactId("prt_1")
ALICE, BOB = Principal("alice"), Principal("bob")
SESSION = SessionId("ses_1")
SUBMITTED = TaskSubmitted(ContextId("context-1"), ALICE, Message(MessageId("m-1"), Role.USER, (TextPart("Go."),)))
STARTED = TurnStarted(Session(SESSION, Directory("/work")), MessageId("msg_1"))
TOLD = ArtifactTold(TEXT, BlockKind.TEXT, (TextPart("Once"),), MessageId("msg_2"))
COMPLETED = StatusChanged(TaskState.COMPLETED)


@pytest.fixture
async def sharing(anyio_backend: str) -> AsyncIterator[Sharing]:
    async with Sharing.opened() as sharing:
        yield sharing


@pytest.fixture
async def one(sharing: Sharing) -> Sharer:
    return await sharing.join()


@pytest.fixture
async def other(one: Sharer, sharing: Sharing) -> Sharer:
    return await sharing.join()


async def begin(sharer: Sharer, task_id: TaskId = TASK) -> TaskLog:
    log = await sharer.journal.create(task_id, SUBMITTED)
    log.append([STARTED, TOLD])
    await log.durable()
    return log


def words(*texts: str) -> list[Update]:
    return [TextAppended(TEXT, text) for text in texts]


async def read_upto(reader: Reader, seq: Seq) -> list[Entry]:
    entries: list[Entry] = []
    async with asyncio.timeout(5):
        while reader.position < seq:
            entries += await reader.next()
    return entries


async def stored(sharing: Sharing) -> int:
    ((count,),) = await sharing.run("SELECT count(*) FROM updates")
    return int(count)


# Writing


@pytest.mark.parametrize("sent", ["BEGIN", "COMMIT"])
async def test_who_gives_up_in_the_midst_of_a_transaction_takes_nobody_else_s_writes_with_it(
    one: Sharer, sharing: Sharing, sent: str
) -> None:
    await begin(one)
    before = await stored(sharing)
    pen, done = one.storage._pen, []

    async def change() -> None:
        async with one.storage.changing():
            done.append("what it wanted")

    changing = asyncio.create_task(change())
    while not (done or (sent == "BEGIN" and pen._top_xact)):  # noqa: ASYNC110 - the driver tells nobody
        await asyncio.sleep(0)
    changing.cancel()
    await asyncio.wait([changing])

    await begin(one, TaskId("task-2"))
    assert await stored(sharing) == 2 * before


# Reading after another replica


async def test_what_one_replica_appends_is_read_on_another_in_order_and_whole(one: Sharer, other: Sharer) -> None:
    log = await begin(one)
    followed = await other.journal.open(TASK)
    reader = followed.read(Seq(0))
    for number in range(200):
        log.append(words(f" {number}"))
        if number % 10 == 0:
            await asyncio.sleep(0)
    log.append([COMPLETED])

    entries = await read_upto(reader, log.task.seq)

    assert [entry.seq for entry in entries] == list(range(1, 205))
    assert followed.task.artifacts[TEXT].text == log.task.artifacts[TEXT].text
    assert followed.task.state is TaskState.COMPLETED


async def test_a_notification_that_is_lost_costs_a_second_and_no_update() -> None:
    clock = TurnedClock()
    async with Sharing.opened(clock) as sharing:
        one, other = await sharing.join(), await sharing.join()
        log = await begin(one)
        followed = await other.journal.open(TASK)
        one.replica.others = False
        log.append(words(" upon"))
        await log.durable()

        async with asyncio.timeout(5):
            while followed.task.seq < log.task.seq:
                await clock.turn(1)
                await asyncio.sleep(0.001)


async def test_a_connection_that_broke_is_made_anew_and_what_was_missed_is_read(one: Sharer, other: Sharer) -> None:
    log = await begin(one)
    followed = await other.journal.open(TASK)
    other.replica._line.terminate()

    log.append(words(" upon"))

    await soon(lambda: followed.task.seq == log.task.seq)
    assert other.replica.id


async def test_who_opens_a_task_sees_all_that_was_durable_before(one: Sharer, other: Sharer) -> None:
    log = await begin(one)
    held = await other.journal.open(TASK)
    one.replica.others = False
    log.append(words(" upon"))
    await log.durable()

    assert (await other.journal.open(TASK)) is held
    assert held.task.seq == log.task.seq


async def test_only_the_replica_that_runs_a_task_appends_to_it(one: Sharer, other: Sharer) -> None:
    await begin(one)
    followed = await other.journal.open(TASK)

    with pytest.raises(JournalUnavailable, match="another replica runs task"):
        followed.append(words(" upon"))

    assert (followed.mine, followed.task.seq) == (False, 3)


# Taking over


async def test_a_task_of_a_dead_replica_goes_on_elsewhere_and_its_readers_with_it(one: Sharer, other: Sharer) -> None:
    await begin(one)
    followed = await other.journal.open(TASK)
    reader = followed.read(Seq(0))
    await one.silence()
    await other.bury()

    taken = await other.stores.replicas.inherit()
    log = await other.journal.open(TASK)
    log.append([*words(" upon"), COMPLETED])

    assert (taken, log is followed) == ([TASK], True)
    assert [entry.seq for entry in await read_upto(reader, Seq(5))] == [1, 2, 3, 4, 5]


async def _all_it_inherits(heir: Sharer) -> list[TaskId]:
    taken: list[TaskId] = []
    while some := await heir.stores.replicas.inherit():
        taken += some
    return taken


async def test_each_task_is_taken_over_by_one(one: Sharer, sharing: Sharing) -> None:
    for number in range(10):
        await begin(one, TaskId(f"task-{number}"))
    heirs = [await sharing.join() for _ in range(3)]
    await one.silence()
    await heirs[0].bury()

    taken = await asyncio.gather(*map(_all_it_inherits, heirs))

    assert sorted(task_id for each in taken for task_id in each) == sorted(f"task-{number}" for number in range(10))


async def test_a_task_that_is_damaged_is_left_and_the_others_are_taken_over(one: Sharer, other: Sharer) -> None:
    await begin(one, TaskId("damaged"))
    await begin(one)
    await one.sharing.run("DELETE FROM updates WHERE place >> 32 = (SELECT key FROM tasks WHERE id = 'damaged')")
    await one.silence()
    await other.bury()

    taken = await _all_it_inherits(other)

    assert sorted(taken) == ["damaged", TASK]
    assert (await other.journal.open(TASK)).mine
    with pytest.raises(JournalDamaged, match="empty"):
        await other.journal.open(TaskId("damaged"))


async def test_tasks_of_the_living_and_those_that_ended_are_not_taken_over(one: Sharer, other: Sharer) -> None:
    await begin(other, TaskId("alive"))
    log = await begin(one)
    log.append([COMPLETED])
    await log.durable()
    await one.silence()
    await other.bury()

    assert await other.stores.replicas.inherit() == []


async def test_nothing_is_taken_over_from_a_replica_that_is_alive(one: Sharer, other: Sharer) -> None:
    await begin(one)

    await other.bury()

    assert await other.stores.replicas.inherit() == []


async def test_a_replica_that_ends_in_order_hands_over_at_once(sharing: Sharing, one: Sharer) -> None:
    async with asyncio.timeout(2):
        leaving = await sharing.join()
        await begin(leaving)
        changed = asyncio.ensure_future(one.stores.replicas.changed())
        await leaving.storage.replica.leave()
        await changed

        assert await one.stores.replicas.inherit() == [TASK]


async def test_one_whose_connection_is_closed_is_found_dead_sooner(
    one: Sharer, other: Sharer, sharing: Sharing
) -> None:
    await begin(one)
    one.storage._living.cancel()
    await asyncio.wait([one.storage._living])
    await sharing.run("UPDATE replicas SET seen_at = seen_at - 60 WHERE id = $1", one.replica.id)
    await other.bury()
    assert await other.stores.replicas.inherit() == []

    await one.silence()

    await other.bury()
    assert await other.stores.replicas.inherit() == [TASK]


async def _beats(sharer: Sharer, clock: TurnedClock, seconds: int) -> None:
    """Let it look at the others each second."""
    for _ in range(seconds):
        await clock.turn(1)
        await sharer.replica.beat()


@pytest.fixture
async def turned(anyio_backend: str) -> AsyncIterator[tuple[Sharer, Sharer, TurnedClock]]:
    """Two whose hearts beat when the test has them beat."""
    clock = TurnedClock()
    async with Sharing.opened(clock) as sharing:
        one, other = await sharing.join(), await sharing.join()
        for sharer in (one, other):
            sharer.storage._living.cancel()
        await begin(one)
        yield one, other, clock


async def test_one_that_hangs_with_its_connection_open_is_found_dead_after_five_seconds(
    turned: tuple[Sharer, Sharer, TurnedClock],
) -> None:
    _, other, clock = turned
    await _beats(other, clock, 5)
    assert await other.stores.replicas.inherit() == []

    await _beats(other, clock, 1)

    assert await other.stores.replicas.inherit() == [TASK]


@pytest.mark.parametrize("hours", [-5, 5])
async def test_a_database_whose_clock_is_set_makes_nobody_dead(
    turned: tuple[Sharer, Sharer, TurnedClock], hours: int
) -> None:
    one, other, clock = turned
    for _ in range(8):
        await one.replica.beat()
        await one.sharing.run("UPDATE replicas SET seen_at = seen_at + 3600 * $1 WHERE id = $2", hours, one.replica.id)
        await _beats(other, clock, 1)

    assert await other.stores.replicas.inherit() == []


async def test_one_that_died_before_the_databases_clock_was_set_back_is_found_dead_all_the_same(
    turned: tuple[Sharer, Sharer, TurnedClock],
) -> None:
    one, other, clock = turned
    await one.silence()
    await one.sharing.run("UPDATE replicas SET seen_at = seen_at + 7200 WHERE id = $1", one.replica.id)

    await _beats(other, clock, 6)

    assert await other.stores.replicas.inherit() == [TASK]


async def test_one_that_stood_still_itself_judges_nobody_by_what_it_saw_before(
    turned: tuple[Sharer, Sharer, TurnedClock],
) -> None:
    _, other, clock = turned
    await _beats(other, clock, 1)
    await clock.turn(60)

    await _beats(other, clock, 1)

    assert await other.stores.replicas.inherit() == []


# Being taken for dead


async def test_what_the_dead_still_want_to_write_is_not_written(one: Sharer, other: Sharer, sharing: Sharing) -> None:
    lost: list[str] = []
    one.stores.replicas.when_lost(lambda: lost.append("lost"))
    log = await begin(one)
    await one.silence()
    await other.bury()

    log.append(words(" upon"))
    with pytest.raises(JournalUnavailable):
        await log.durable()

    assert (await stored(sharing), lost) == (3, ["lost"])
    with pytest.raises(JournalUnavailable, match="another replica runs task"):
        log.append(words(" a"))


@pytest.mark.parametrize(
    "ask",
    [
        lambda stores: stores.owners.claim(Ownership(SESSION, ALICE, 2e9)),
        lambda stores: stores.ledger.add([Amount(ALICE, "tokens", 0, 1.0)]),
        lambda stores: stores.errands.take(),
        lambda stores: stores.replicas.inherit(),
        lambda stores: stores.retention.sweep(Keeping(tasks=1), 0.0),
    ],
    ids=["owners", "ledger", "errands", "replicas", "retention"],
)
async def test_whoever_asks_the_store_of_one_that_was_taken_for_dead_is_told_to_try_again(
    one: Sharer, other: Sharer, ask: Callable[[Stores], Awaitable[object]]
) -> None:
    await one.silence()
    await other.bury()

    with pytest.raises(JournalUnavailable, match="taken for dead"):
        await ask(one.stores)


async def test_one_that_stood_still_asks_what_became_of_it_before_it_does_anything_outside(
    turned: tuple[Sharer, Sharer, TurnedClock],
) -> None:
    one, other, clock = turned
    lost: list[str] = []
    one.stores.replicas.when_lost(lambda: lost.append("lost"))
    await one.replica.beat()
    await one.stores.replicas.be_sure()
    await _beats(other, clock, 6)

    with pytest.raises(JournalUnavailable, match="taken for dead"):
        await one.stores.replicas.be_sure()

    assert lost == ["lost"]
    with pytest.raises(JournalUnavailable):
        await one.stores.replicas.be_sure()
    await one.replica.beat()
    await one.stores.replicas.be_sure()


async def test_one_that_stood_still_and_was_not_taken_for_dead_goes_on(
    turned: tuple[Sharer, Sharer, TurnedClock],
) -> None:
    one, _, clock = turned
    await clock.turn(60)

    await one.stores.replicas.be_sure()

    assert (await one.journal.open(TASK)).mine


async def test_readers_of_what_is_lost_are_told_so_and_read_on_by_their_place(one: Sharer, other: Sharer) -> None:
    log = await begin(one)
    reader = log.read(log.task.seq)
    waiting = asyncio.ensure_future(reader.next())
    await one.silence()
    await other.bury()
    await other.stores.replicas.inherit()

    await one.revive()
    with pytest.raises(JournalUnavailable):
        await waiting

    (await other.journal.open(TASK)).append(words(" upon"))
    again = (await one.journal.open(TASK)).read(reader.position)
    assert [entry.seq for entry in await read_upto(again, Seq(4))] == [4]


async def test_who_was_taken_for_dead_begins_anew_under_another_number(one: Sharer, other: Sharer) -> None:
    before = one.replica.id
    await begin(one)
    await one.silence()
    await other.bury()

    await one.revive()
    log = await begin(one, TaskId("task-2"))

    assert one.replica.id > before
    assert log.mine
    assert await one.stores.replicas.inherit() == [TASK]


async def test_what_waited_to_be_written_is_not_written_by_the_next_life(
    one: Sharer, other: Sharer, sharing: Sharing
) -> None:
    """The old life's rows must not pass the fence under the new number."""
    log = await begin(one)
    await one.silence()
    await other.bury()
    await one.storage._writing.acquire()
    log.append(words(" upon"))
    await asyncio.sleep(0.02)  # the writer waits for the connection by now
    await one.revive()
    one.storage._writing.release()

    await begin(one, TaskId("task-2"))

    assert await stored(sharing) == 6


async def test_a_transaction_that_began_is_seen_by_the_heir(one: Sharer, other: Sharer) -> None:
    """Who deletes a place waits for who writes under it: no commit comes behind the heir's back."""
    await begin(one)
    async with one.storage._transaction(one.replica.id):
        await one.silence()
        await other.bury()

        assert await other.storage.inherit() == []

    await other.bury()
    assert await other.storage.inherit() == [TASK]


# What was a cache


async def test_a_binding_made_elsewhere_is_found(one: Sharer, other: Sharer) -> None:
    for sharer, session in ((one, "ses_1"), (other, "ses_2"), (one, "ses_3")):
        bound = Binding(ALICE, ContextId("c"), Session(SessionId(session), Directory("/work")))
        async with sharer.stores.holds.alone("context"):
            await sharer.stores.bindings.bind(bound)

        async with other.stores.holds.alone("context"):
            assert await other.stores.bindings.find(ALICE, ContextId("c")) == bound


async def test_of_two_who_claim_a_session_on_two_replicas_one_gets_it(one: Sharer, other: Sharer) -> None:
    won = await asyncio.gather(
        *(
            sharer.stores.owners.claim(Ownership(SESSION, principal))
            for sharer, principal in ((one, ALICE), (other, BOB)) * 5
        )
    )

    assert sorted(set(zip(won, (ALICE, BOB) * 5, strict=True))) in (
        [(False, BOB), (True, ALICE)],
        [(False, ALICE), (True, BOB)],
    )
