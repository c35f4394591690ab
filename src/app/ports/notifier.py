"""Who carries notifications out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from opencode_a2a_server.domain.push import PushConfig
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import Entry

Encode = Callable[[Entry], bytes]
"""An update as clients are told it; empty for one they are not told of."""

Encoders = Callable[[Task], Encode]
"""How the updates of a task are encoded: as its streams have them."""


class Undelivered(Exception):
    """The receiver did not take it; with `final` it is not worth another try."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


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
