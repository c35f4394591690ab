"""What is counted and measured, for operators who watch the service."""

from __future__ import annotations

import enum
from typing import Final, Protocol

from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.usage import Usage


class TurnEnd(enum.Enum):
    """How a turn ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    LEFT = "left"
    """The service ended before it did; the next start takes it up."""


class CallEnd(enum.Enum):
    """How a call to the runtime ended."""

    OK = "ok"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    BROKEN = "broken"
    """Canceled, or a fault of ours."""


class DeliveryEnd(enum.Enum):
    """How an attempt to deliver a notification ended."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It is tried again."""
    STOPPED = "stopped"
    """It was the last one."""


class Meter(Protocol):
    """
    Counts and measures. Nothing here waits, raises or keeps what it is given.

    It is told of batches, turns and calls, never of single deltas; names it is given are of a bounded number, so that
    they may become labels. Durations are in seconds.
    """

    def task_became(self, state: TaskState) -> None:
        """Hear that a task was journaled to be in this state now."""
        ...

    def updates_written(self, updates: int, waited: float) -> None:
        """Hear that updates are durable, the first of which waited so long for it."""
        ...

    def update_told(self, at: float) -> None:
        """Hear that a stream takes an update which was appended at this moment (`Clock.now`)."""
        ...

    def turn_ended(self, end: TurnEnd, seconds: float, usage: Usage) -> None:
        """Hear that a turn is over, and what it has used."""
        ...

    def turn_spoke(self, seconds: float) -> None:
        """Hear that a turn gave its first output, so long after its prompt was begun to be sent."""
        ...

    def runtime_called(self, operation: str, end: CallEnd, seconds: float) -> None:
        """Hear of a call to the runtime."""
        ...

    def feed_connected(self) -> None:
        """Hear that the runtime's event feed was connected, for the first time or again."""
        ...

    def delivery_attempted(self, end: DeliveryEnd, seconds: float) -> None:
        """Hear of an attempt to deliver a notification."""
        ...

    def request_answered(self, operation: str, binding: str, seconds: float) -> None:
        """Hear that a request was answered, a stream that it began to be."""
        ...

    def refused(self, reason: str) -> None:
        """Hear that a client was told a refusal."""
        ...


class Unmetered:
    """Counts nothing."""

    def task_became(self, state: TaskState) -> None:
        """Nothing."""

    def updates_written(self, updates: int, waited: float) -> None:
        """Nothing."""

    def update_told(self, at: float) -> None:
        """Nothing."""

    def turn_ended(self, end: TurnEnd, seconds: float, usage: Usage) -> None:
        """Nothing."""

    def turn_spoke(self, seconds: float) -> None:
        """Nothing."""

    def runtime_called(self, operation: str, end: CallEnd, seconds: float) -> None:
        """Nothing."""

    def feed_connected(self) -> None:
        """Nothing."""

    def delivery_attempted(self, end: DeliveryEnd, seconds: float) -> None:
        """Nothing."""

    def request_answered(self, operation: str, binding: str, seconds: float) -> None:
        """Nothing."""

    def refused(self, reason: str) -> None:
        """Nothing."""


UNMETERED: Final[Meter] = Unmetered()
"""For whoever is not watched."""
