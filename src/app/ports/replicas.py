"""The processes that share the store, as one of them sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from opencode_a2a_server.domain.ids import TaskId


class Replicas(Protocol):
    """
    Who runs which task. Each is run by one replica: the one that began it, until that one is gone.

    A store that no other process uses has one replica, which runs everything.
    """

    async def inherit(self) -> Sequence[TaskId]:
        """
        Take over the tasks that nobody runs any more and that are not done with, oldest first; each is given once.

        Such a task has not ended, or somebody is still to be told of it or waits to hear of it. They are given a few at
        a time, so that the first need not wait for the last, until there are none. The journals of those given last are
        ready to be opened.

        Raises:
            JournalUnavailable: The store cannot be used; what was taken over is given by the next call.

        """
        ...

    async def changed(self) -> None:
        """Wait until there may be something to take over."""
        ...

    def when_lost(self, forget: Callable[[], None]) -> None:
        """Have it called when others have taken this replica for dead: from then on they run what it ran."""
        ...

    async def be_sure(self) -> None:
        """
        Return when nobody can have taken this replica for dead a moment ago.

        A process that stood still for long does not know what has become of it meanwhile: what it does outside of the
        store may have been done by its heir. `when_lost` is told before this raises.

        Raises:
            JournalUnavailable: It was taken for dead, or the store cannot be asked.

        """
        ...
