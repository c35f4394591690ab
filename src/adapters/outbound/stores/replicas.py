"""Which tasks are this process's to run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.ids import TaskId

from .journal import LiveJournal
from .replica import CHANGED, Replica

_LOOK_SECONDS: Final = 5.0
"""From one look to the next for tasks that nobody runs, if nobody tells of any."""


@frozen(repr=False)
class OneReplica:
    """The port `Replicas` for a store that is this process's alone."""

    _journal: LiveJournal

    async def inherit(self) -> Sequence[TaskId]:
        """Give what the last life left."""
        return await self._journal.unfinished()

    async def changed(self) -> None:
        """Wait for ever: nobody else leaves anything."""
        await asyncio.get_running_loop().create_future()

    def when_lost(self, forget: Callable[[], None]) -> None:
        """Nobody takes it for dead."""


class Inheritance(Protocol):
    """A storage in which tasks can be taken over."""

    async def inherit(self) -> Sequence[TaskId]:
        """Take over what nobody runs any more."""
        ...


@define(eq=False, repr=False)
class SharedReplicas:
    """The port `Replicas` where several share a database."""

    _storage: Inheritance
    _journal: LiveJournal
    _replica: Replica
    _clock: Clock
    _taken: list[TaskId] = field(factory=list, init=False)
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._replica.listen(CHANGED, lambda _: self._changed.set())
        self._replica.when_lost(self._let_go)

    async def inherit(self) -> Sequence[TaskId]:
        """See `Replicas.inherit`: first they are this replica's, then their journals are."""
        self._taken += await self._storage.inherit()
        for task_id in tuple(self._taken):
            await self._journal.adopt(task_id)
        taken, self._taken = self._taken, []
        return taken

    async def changed(self) -> None:
        """See `Replicas.changed`."""
        with suppress(TimeoutError):
            await self._clock.within(_LOOK_SECONDS, self._changed.wait())
        self._changed.clear()

    def when_lost(self, forget: Callable[[], None]) -> None:
        """See `Replicas.when_lost`."""
        self._replica.when_lost(forget)

    def _let_go(self) -> None:
        self._taken.clear()
        self._changed.set()
