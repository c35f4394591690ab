"""Forget whom sessions belonged to that are no more."""

from __future__ import annotations

import logging
from typing import Final

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.owners import Owners
from opencode_a2a_server.domain.ids import SessionId
from opencode_a2a_server.domain.session import Ownership

_log = logging.getLogger(__name__)

_LOOK: Final = 1000
"""Ownerships looked at in one call; the next goes on behind them."""
_STEP: Final = 100
_GONE_SECONDS: Final = 24 * 3600.0
"""For so long a session must have been missing whenever it was looked for."""


@define(eq=False)
class ForgetOwners:
    """
    Look through some of the ownerships each time it is called.

    A claim that ran out counts for nothing. A final ownership stays as long as the runtime has its session, whoever uses
    it, or else anybody could have it next. The runtime is not believed at once that it has not: one with another home, by
    mistake perhaps, knows none of its sessions for a while.

    Raises:
        Unavailable: The store or the runtime cannot be used; the next call goes on where this one was.

    """

    owners: Owners
    agent: Agent
    clock: Clock
    _after: SessionId = field(default=SessionId(""), init=False)
    _missing: dict[SessionId, float] = field(factory=dict, init=False)
    """Since when the runtime has not had a session."""

    async def __call__(self) -> int:
        """Look; gives how many were forgotten."""
        forgotten = 0
        for _ in range(_LOOK // _STEP):
            page = await self.owners.page(self._after, _STEP)
            for held in page:
                forgotten += await self._look(held)
                self._after = held.session_id
            if len(page) < _STEP:
                self._after = SessionId("")
                break
        if forgotten:
            _log.info("%d ownerships of sessions that are no more are forgotten", forgotten)
        return forgotten

    async def _look(self, held: Ownership) -> bool:
        if not await self._is_over(held):
            return False
        await self.owners.forget(held)
        self._missing.pop(held.session_id, None)
        return True

    async def _is_over(self, held: Ownership) -> bool:
        now, monotonic = self.clock.now(), self.clock.monotonic()
        if held.until is not None:
            return not held.stands(now)
        if await self.agent.find_session(held.session_id) is not None:
            self._missing.pop(held.session_id, None)
            return False
        return monotonic - self._missing.setdefault(held.session_id, monotonic) >= _GONE_SECONDS
