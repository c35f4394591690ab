"""Which tasks are this process's to run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.errors import JournalDamaged
from opencode_a2a_server.domain.ids import TaskId

from .journal import LiveJournal
from .log import LiveLog
from .replica import CHANGED, Replica

_AT_ONCE: Final = 8
"""Tasks whose journals are read at the same time."""
_LOOK_SECONDS: Final = 5.0
"""From one look to the next for tasks that nobody runs, if nobody tells of any."""


@define(eq=False, repr=False)
class OneReplica:
    """The port `Replicas` for a store that is this process's alone."""

    _journal: LiveJournal
    _given: bool = field(default=False, init=False)

    async def inherit(self) -> Sequence[TaskId]:
        """Give what the last life left."""
        if self._given:
            return ()
        left = await self._journal.unfinished()
        self._given = True
        return left

    async def changed(self) -> None:
        """Wait for ever: nobody else leaves anything."""
        await asyncio.get_running_loop().create_future()

    def when_lost(self, forget: Callable[[], None]) -> None:
        """Nobody takes it for dead."""

    async def be_sure(self) -> None:
        """It is."""


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
    _ready: list[LiveLog] = field(factory=list, init=False)
    """Journals of the tasks given last, so that who opens them need not read them again."""
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._replica.listen(CHANGED, lambda _: self._changed.set())
        self._replica.when_lost(self._let_go)

    async def inherit(self) -> Sequence[TaskId]:
        """See `Replicas.inherit`: first they are this replica's, then their journals are."""
        if not self._taken:
            self._taken += await self._storage.inherit()
        some = self._taken[:_AT_ONCE]
        adopted = await asyncio.gather(*map(self._journal.adopt, some), return_exceptions=True)
        self._ready = [log for log in adopted if not isinstance(log, BaseException)]
        for outcome in adopted:
            if isinstance(outcome, BaseException) and not isinstance(outcome, JournalDamaged):  # who opens it says so
                raise outcome
        del self._taken[: len(some)]
        return some

    async def changed(self) -> None:
        """See `Replicas.changed`."""
        with suppress(TimeoutError):
            await self._clock.within(_LOOK_SECONDS, self._changed.wait())
        self._changed.clear()

    def when_lost(self, forget: Callable[[], None]) -> None:
        """See `Replicas.when_lost`."""
        self._replica.when_lost(forget)

    async def be_sure(self) -> None:
        """See `Replicas.be_sure`."""
        await self._replica.be_sure()

    def _let_go(self) -> None:
        self._taken.clear()
        self._ready.clear()
        self._changed.set()
