"""The journals of all tasks, over whatever storage there is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self
from weakref import WeakValueDictionary

from attrs import define, field

from opencode_a2a_server.app.ports.tasks import Page, Place, Wanted
from opencode_a2a_server.domain.errors import IllegalTransition, JournalUnavailable, TaskNotFound
from opencode_a2a_server.domain.ids import Principal, TaskId
from opencode_a2a_server.domain.updates import TaskSubmitted

from .following import Following
from .log import LiveLog
from .replica import UPDATES, Replica
from .writer import Writer


@define(eq=False, repr=False)
class LiveJournal:
    """
    The journal; a context manager whose body is its life. Leaving it writes what waits.

    A log exists as long as somebody holds it or its entries are on their way to the storage. All who open a task at
    the same time hold the same one.

    Where several replicas share the storage, those that another one runs are read after it. When this one is taken for
    dead, all that it runs is let go of: who holds it is told so, who opens it again reads after its heir.
    """

    _writer: Writer
    _replica: Replica | None = None
    _following: Following | None = None
    _logs: WeakValueDictionary[TaskId, LiveLog] = field(factory=WeakValueDictionary, init=False)
    _opening: WeakValueDictionary[TaskId, asyncio.Lock] = field(factory=WeakValueDictionary, init=False)
    _running: asyncio.Task[None] = field(init=False)
    _reading: asyncio.Task[None] | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._writer.run(), name="journal writer")
        if self._replica is not None and self._following is not None:
            self._replica.when_lost(self._let_go)
            self._replica.listen(UPDATES, self._following.told)
            self._reading = loop.create_task(self._following.run(), name="journal follower")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._writer.close(self._running)

    async def create(self, task_id: TaskId, submitted: TaskSubmitted) -> LiveLog:
        """Begin a task's journal; it can be read at once."""
        if task_id in self._logs:
            raise IllegalTransition(f"task {task_id} was submitted before")
        log = self._logs[task_id] = LiveLog.begin(self._writer, task_id, submitted)
        return log

    async def open(self, task_id: TaskId) -> LiveLog:
        """Open a task's journal: the one that is open, or from the storage, once however many ask."""
        log = self._logs.get(task_id)
        if log is None:
            async with self._opening.setdefault(task_id, asyncio.Lock()):
                log = self._logs.get(task_id)
                if log is None:
                    log = self._logs[task_id] = await self._load(task_id)
                    return log
        if not log.mine:
            await log.catch_up()
        return log

    async def adopt(self, task_id: TaskId) -> LiveLog:
        """Write a task from here on, which this replica has taken over."""
        log = await self.open(task_id)
        if not log.mine:
            await log.adopt()
        return log

    async def unfinished(self) -> Sequence[TaskId]:
        """Name the tasks which have not ended, oldest first."""
        await self._writer.written()
        return await self._writer.storage.unfinished()

    async def page(self, principal: Principal, wanted: Wanted, size: int, after: Place) -> Page:
        """List tasks, as the storage has them when all that was appended is written."""
        await self._writer.written()
        return await self._writer.storage.page(principal, wanted, size, after)

    async def probe(self) -> str:
        """Say what is wrong with the storage; an answer comes within the writer's patience."""
        if self._writer.trouble:
            return self._writer.trouble
        try:
            await self._writer.clock.within(self._writer.pace.patience, self._writer.storage.probe())
        except JournalUnavailable as error:
            return str(error)
        except TimeoutError:
            return str(self._writer.late())
        return ""

    async def _load(self, task_id: TaskId) -> LiveLog:
        stored = await self._writer.storage.load(task_id)
        if stored is None:
            raise TaskNotFound(f"task {task_id} was not found")
        log = await LiveLog.load(self._writer, stored)
        if not (log.mine or log.task.state.terminal) and self._following is not None:
            self._following.add(log)
        return log

    def _let_go(self) -> None:
        self._writer.abandon()
        for log in list(self._logs.values()):
            if log.mine and (log.written < log.task.seq or not log.task.state.terminal):
                log.lose()
                del self._logs[log.task.id]
