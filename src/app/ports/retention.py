"""What is kept of tasks that have ended, and for how long."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen


@frozen
class Keeping:
    """
    The rules; 0 is without bound. They are for tasks which have ended: what has not is never touched.

    A task that is folded is whole to whoever gets it; its stream can no longer be read from the middle.
    """

    stream_seconds: float = 0.0
    """From its end on for so long a task's stream can be read again."""
    seconds: float = 0.0
    """From its end on for so long a task is kept."""
    tasks: int = 0
    """So many are kept, those which began last."""
    size: int = 0
    """Bytes the store may have in use; beyond, the tasks which began first go."""

    @property
    def bounded(self) -> bool:
        """Whether there is anything to do for them."""
        return bool(self.stream_seconds or self.seconds or self.tasks or self.size)


@frozen
class Swept:
    """What a sweep did, or would do."""

    folded: int = 0
    removed: int = 0
    freed: int = 0
    """Bytes, as far as they can be told beforehand."""
    bindings: int = 0
    """Contexts nobody has used for as long as tasks are kept; their sessions are found by them no more."""

    def __add__(self, other: Swept) -> Swept:
        return Swept(
            self.folded + other.folded,
            self.removed + other.removed,
            self.freed + other.freed,
            self.bindings + other.bindings,
        )


class Retention(Protocol):
    """The store, as far as it can forget."""

    async def sweep(self, keeping: Keeping, now: float, *, dry: bool = False) -> Swept:
        """
        Fold and remove what the rules do not keep, in small steps between which others write.

        With `dry` nothing is changed.

        Raises:
            JournalUnavailable: The store cannot be used; what was done so far stays done.

        """
        ...
