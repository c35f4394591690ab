"""What a replica wants of the one that runs a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from attrs import frozen

from opencode_a2a_server.domain.errors import Refusal
from opencode_a2a_server.domain.ids import Principal, PushConfigId, RequestId, Seq, TaskId
from opencode_a2a_server.domain.interrupt import Answer, Channel
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.push import PushConfig

_BEGIN = Seq(0)


@frozen
class Say:
    """Accept a message to the task."""

    principal: Principal
    task_id: TaskId
    message: Message


@frozen
class Give:
    """Answer one of its interrupts."""

    principal: Principal
    task_id: TaskId
    request: RequestId
    answer: Answer
    channel: Channel


@frozen
class Cancel:
    """Cancel it."""

    principal: Principal
    task_id: TaskId


@frozen
class Notify:
    """Keep a push notification configuration of it and deliver, what comes after an update if one is named."""

    principal: Principal
    task_id: TaskId
    config: PushConfig
    since: Seq | None = None


@frozen
class NotifyNoMore:
    """Delete a push notification configuration of it."""

    principal: Principal
    task_id: TaskId
    config_id: PushConfigId


Errand: TypeAlias = Say | Give | Cancel | Notify | NotifyNoMore


@frozen
class Done:
    """What came of an errand: the task's last update before it, and the one that shows it."""

    seq: Seq = _BEGIN
    upto: Seq = _BEGIN


@frozen
class Due:
    """An errand that is to be done here."""

    id: str
    errand: Errand
    again: bool = False
    """Whether another replica began it, and may have come to its end without saying so."""


class Errands(Protocol):
    """
    Errands survive the replica that is to do them: its heir does those which have no outcome.

    Each is done by one replica at a time, and has one outcome.
    """

    async def ask(self, errand: Errand) -> Done:
        """
        Have the replica that runs the task do something; gives what came of it.

        Raises:
            Refusal: What doing it raised there.
            JournalUnavailable: The store cannot be used, or nobody came to do it.

        """
        ...

    async def came(self) -> None:
        """Wait until there may be one to do."""
        ...

    async def take(self) -> Sequence[Due]:
        """
        Give those of the tasks that this replica runs, oldest first, each once.

        Raises:
            JournalUnavailable: The store cannot be used.

        """
        ...

    def settle(self, due: Due, outcome: Done | Refusal) -> None:
        """Say what came of one; durable no earlier than what doing it has appended."""
        ...
