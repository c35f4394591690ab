"""Turns that change hands in the midst of a text, over three replicas in front of one OpenCode: it goes on being told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from attrs import define, field

from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.adapters.outbound.stores.journal import LiveJournal
from opencode_a2a_server.adapters.outbound.stores.postgres import PostgresStorage
from opencode_a2a_server.app.container import Container, assemble
from opencode_a2a_server.app.ports.agent import Agent, Surroundings
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.settings import load_settings
from opencode_a2a_server.app.usecases.accept_message import Accepted
from opencode_a2a_server.domain.ids import MessageId, Principal, Seq, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import Entry, TextAppended
from tests.app.house import text_of
from tests.fakes import postgres
from tests.fakes.acts import Act, Delegate, Reason, Say
from tests.fakes.opencode import FakeOpenCode
from tests.fakes.sharing import fall_silent, soon

pytestmark = pytest.mark.anyio

ALICE = Principal("operator")


@define(eq=False)
class Model:
    """What says word after word, for half a minute unless it is hurried."""

    hurried: bool = False

    async def pause(self) -> None:
        """Pass some time between two words: more of it while no text is to end."""
        await asyncio.sleep(0 if self.hurried else 0.02)


@define(eq=False)
class Street:
    """An OpenCode and a database, and the replicas in between."""

    url: str
    model: Model = field(factory=Model)
    upstream: FakeOpenCode = field(factory=FakeOpenCode)
    _numbers: Iterator[int] = field(factory=itertools.count)
    _stack: AsyncExitStack = field(factory=AsyncExitStack)

    def __attrs_post_init__(self) -> None:
        self.upstream.pause = self.model.pause

    @asynccontextmanager
    async def _runtime(self, surroundings: Surroundings) -> AsyncIterator[Agent]:
        async with OpenCode.at(Address("http://opencode"), surroundings.clock, self.upstream, shared=True) as agent:
            yield agent

    async def open(self) -> Replica:
        """Start one more replica, and have it listen."""
        settings = load_settings({"A2A_BEARER_TOKEN": "secret", "A2A_TASK_STORE_DATABASE_URL": self.url})
        stack = await self._stack.enter_async_context(AsyncExitStack())
        replica = Replica(await stack.enter_async_context(assemble(settings, self._runtime)), stack)
        await soon(lambda: replica.agent.feed.connected)
        return replica

    async def join(self) -> Replica:
        """Start one more in the midst of texts, and have it learn how far they are."""
        replica = await self.open()
        await soon(lambda: replica.knows_all)
        return replica


@define(eq=False)
class Replica:
    """One of them."""

    parts: Container
    stack: AsyncExitStack

    @property
    def agent(self) -> OpenCode:
        agent = self.parts.agent()
        assert isinstance(agent, OpenCode)
        return agent

    @property
    def knows_all(self) -> bool:
        """Whether it knows of all texts under way how far they are."""
        texts = self.agent.feed.texts
        assert texts is not None
        return bool(texts._texts) and not texts._unplaced

    async def begin(self, street: Street, *acts: Act) -> TaskLog:
        """Begin a task."""
        name = f"text {next(street._numbers)}"
        street.upstream.scripts[name] = acts
        message = Message(MessageId(name), Role.USER, (TextPart(name),))
        accepted = await asyncio.wait_for(self.parts.accept()(ALICE, message), 10)
        assert isinstance(accepted, Accepted)
        return accepted.log

    async def open(self, task_id: TaskId) -> TaskLog:
        log: TaskLog = await self.parts.journal().open(task_id)
        return log

    async def stop(self) -> None:
        """End it in order."""
        await self.stack.aclose()

    async def kill(self) -> None:
        """Have it do nothing more, and be found dead, as after SIGKILL."""
        journal = self.parts.journal()
        assert isinstance(journal, LiveJournal)
        storage = journal._writer.storage
        assert isinstance(storage, PostgresStorage)
        self.parts.turns().let_go()
        await fall_silent(storage)


@pytest.fixture
async def street(anyio_backend: str) -> AsyncIterator[Street]:
    url = (await postgres.settled()).render_as_string(hide_password=False)
    street = Street(url)
    async with street._stack:
        yield street


def words(name: str, count: int = 1500) -> str:
    return "".join(f"{name}{number:04} " for number in range(count))


async def test_a_rolling_restart_of_three_loses_nothing_and_no_text_waits_for_its_end(street: Street) -> None:
    replicas = [await street.open() for _ in range(3)]
    acts: list[tuple[Act, ...]] = [
        (Say(words("plain")),),
        (Reason(words("thought")), Say("so")),
        (Say("below: "), Delegate((Say(words("child")),)), Say("done")),
        (Say("= " * 1500),),  # any piece of it fits anywhere
    ]
    begun = [await replica.begin(street, *each) for replica, each in zip(replicas * 2, acts * 2, strict=False)]
    tasks = [log.task.id for log in begun]
    await soon(lambda: all(log.task.seq > 10 for log in begun))

    for number in range(3):
        leaving = replicas[number]
        replicas[number] = await street.join()
        await leaving.stop()
        for task_id in tasks:
            await _goes_on(replicas[(number + 1) % 3], task_id)
    street.model.hurried = True

    for task_id, each in zip(tasks, acts * 2, strict=False):
        log = await replicas[0].open(task_id)
        entries = await _read_to_the_end(log)
        assert log.task.state is TaskState.COMPLETED
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert sorted(artifact.text for artifact in log.task.artifacts.values() if artifact.text) == sorted(_told(each))


async def test_what_a_killed_replica_was_telling_goes_on_where_it_was(street: Street) -> None:
    one, other = await street.open(), await street.open()
    begun = await one.begin(street, Say(words("plain")))
    await soon(lambda: begun.task.seq > 10)

    await one.kill()
    await _goes_on(other, begun.task.id)
    street.model.hurried = True

    log = await other.open(begun.task.id)
    await _read_to_the_end(log)
    assert text_of(log.task) == words("plain")


async def test_a_text_whose_beginning_nobody_heard_waits_for_its_end_and_is_whole(street: Street) -> None:
    one = await street.open()
    begun = await one.begin(street, Say(words("plain", 100)))
    await soon(lambda: begun.task.seq > 10)

    await one.stop()
    other = await street.open()

    log = await other.open(begun.task.id)
    entries = await _read_to_the_end(log)
    assert text_of(log.task) == words("plain", 100)
    assert sum(isinstance(entry.update, TextAppended) for entry in entries if entry.seq > begun.task.seq) == 1


async def _goes_on(replica: Replica, task_id: TaskId) -> None:
    """See that more of the text is told, although it has no end yet."""
    log = await replica.open(task_id)
    reader = log.read(log.task.seq)
    async with asyncio.timeout(5):
        while not any(isinstance(entry.update, TextAppended) for entry in await reader.next()):
            pass


async def _read_to_the_end(log: TaskLog) -> list[Entry]:
    reader = log.read(Seq(0))
    entries: list[Entry] = []
    async with asyncio.timeout(30):
        while not (log.task.state.terminal and reader.position >= log.task.status.seq):
            entries += await reader.next()
    return entries


def _told(acts: tuple[Act, ...]) -> list[str]:
    return [text for act in acts for text in (_told(act.acts) if isinstance(act, Delegate) else [act.text])]  # type: ignore[union-attr]
