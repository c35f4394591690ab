"""Who carries notifications out, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from opencode_a2a_server.domain.push import PushConfig
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import Entry

Encode = Callable[[Entry], bytes]
"""An update as clients are told it; empty for one they are not told of."""


class Wording(Protocol):
    """What notifications say, as bytes."""

    def updates(self, task: Task) -> Encode:
        """Give what encodes the updates of a task: as its streams have them."""
        ...

    def standing(self, task: Task) -> bytes:
        """Encode a task as it stands, for receivers that are told nothing smaller."""
        ...

    def brief(self, body: bytes) -> bytes:
        """Give the same without its content, marked as such: the receiver can get the task."""
        ...


class Undelivered(Exception):
    """
    The receiver did not take it.

    With `final` it is not worth another try; with `too_large` it is worth one with less in it.
    """

    def __init__(self, message: str, *, final: bool = False, too_large: bool = False) -> None:
        super().__init__(message)
        self.final = final
        self.too_large = too_large


class Notifier(Protocol):
    """Sends what it is given, once, and says whether it arrived."""

    async def check(self, config: PushConfig) -> None:
        """
        Refuse a receiver that nothing would ever be sent to.

        Raises:
            InvalidRequest: Its url may not be called.

        """
        ...

    async def deliver(self, config: PushConfig, name: str, body: bytes) -> None:
        """
        Send a notification; its name is the same when it is sent again.

        Raises:
            Undelivered: It did not arrive, as far as is known.

        """
        ...
