"""A receiver of notifications."""

from __future__ import annotations

import asyncio

from attrs import define, field

from opencode_a2a_server.app.ports.notifier import Undelivered
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.push import PushConfig


@define(eq=False)
class FakeNotifier:
    """The port `Notifier`. `faults` meet the next attempts, one each; nothing is answered while it `hangs`."""

    faults: list[Undelivered] = field(factory=list)
    hangs: bool = False
    forbidden: str = ""
    attempts: list[str] = field(factory=list)
    got: list[tuple[str, str, bytes]] = field(factory=list)

    async def check(self, config: PushConfig) -> None:
        """See `Notifier.check`."""
        if self.forbidden and self.forbidden in config.url:
            raise InvalidRequest("this url is not called", "url")

    async def deliver(self, config: PushConfig, name: str, body: bytes) -> None:
        """See `Notifier.deliver`."""
        self.attempts.append(name)
        if self.hangs:
            await asyncio.Event().wait()
        if self.faults:
            raise self.faults.pop(0)
        self.got.append((config.id, name, body))
