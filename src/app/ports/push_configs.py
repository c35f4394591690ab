"""Where push notification configurations are kept, with what each has been told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from opencode_a2a_server.domain.ids import PushConfigId, TaskId
from opencode_a2a_server.domain.push import Outbox


class PushConfigs(Protocol):
    """
    Configurations outlive restarts, as their tasks do.

    All methods raise `JournalUnavailable` while the store cannot be used. What changes something is durable on return.
    """

    async def save(self, outbox: Outbox) -> None:
        """
        Keep a configuration; it takes the place of one with the same id.

        Raises:
            InvalidRequest: It holds what no store can keep.

        """
        ...

    async def mark(self, outbox: Outbox) -> None:
        """Keep how far a configuration has come; one that was deleted stays so."""
        ...

    async def delete(self, task_id: TaskId, config_id: PushConfigId) -> None:
        """Forget a configuration; one that is not there is no error."""
        ...

    async def of(self, task_id: TaskId) -> Sequence[Outbox]:
        """Give those of a task, oldest first."""
        ...

    async def live(self) -> Sequence[Outbox]:
        """Give those which have not stopped, none of tasks that other replicas run, oldest first."""
        ...

    async def stopped(self) -> Sequence[Outbox]:
        """Give those which have: the dead letters."""
        ...
