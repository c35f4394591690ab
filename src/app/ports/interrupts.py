"""Which interrupt belongs to which task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from opencode_a2a_server.domain.ids import Principal, RequestId, TaskId


@frozen
class Registered:
    """An interrupt's task, and when it ended if it did (seconds since the epoch)."""

    task_id: TaskId
    ended_at: float | None = None


class Interrupts(Protocol):
    """
    The register of interrupts. The journals write it: what is appended to one is found here, before it is durable too.

    All methods raise `JournalUnavailable` while the store cannot be used.
    """

    async def find(self, principal: Principal, request: RequestId) -> Registered | None:
        """Look one up among a principal's, however many tasks there are; None if there is none."""
        ...

    async def waiting(self, principal: Principal) -> Sequence[TaskId]:
        """Name the tasks of a principal's with an interrupt that has not ended, without repetition."""
        ...

    async def forget(self, before: float) -> None:
        """Forget those which ended before a moment."""
        ...
