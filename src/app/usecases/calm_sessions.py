"""Calm sessions in which the runtime works on although their turns were ended: the next one has to wait till they rest."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.usecases.job import Pace, soon
from opencode_a2a_server.domain.errors import AgentFault, AgentUnreachable
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.session import Session

_log = logging.getLogger(__name__)


@define(eq=False)
class CalmSessions:
    """
    Abort what goes on in a session, again and again, until it rests; not for ever.

    A task ends when its end is wanted, whatever the runtime does. But what is said to a session at work gets between
    what it is doing (OpenCode drops a running tool for it, and gives one answer to both), and what nobody hears costs
    money all the same.
    """

    agent: Agent
    clock: Clock
    pace: Pace
    _jobs: set[asyncio.Task[None]] = field(factory=set, init=False)

    def __call__(self, session: Session, prompt: MessageId, hold: AbstractAsyncContextManager[object]) -> None:
        """Begin to; meanwhile the hold is kept, by which nobody else works in the session."""
        job = asyncio.get_running_loop().create_task(self._calm(session, prompt, hold), name=f"calm {session.id}")
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def let_go(self) -> None:
        """Leave them as they are."""
        for job in self._jobs:
            job.cancel()

    async def end(self) -> None:
        """The same, and return when nothing is held any more."""
        self.let_go()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    async def _calm(self, session: Session, prompt: MessageId, hold: AbstractAsyncContextManager[object]) -> None:
        async with hold:
            give_up, pause = self.clock.monotonic() + self.pace.unreachable, self.pace.retry
            while self.clock.monotonic() + pause <= give_up:
                await self.clock.sleep(pause)  # an abort was just in vain
                if await self._rests(session, prompt):
                    return
                pause = min(pause * 2, self.pace.retry_most)
            _log.error("session %s cannot be aborted; what it works on goes on", session.id)

    async def _rests(self, session: Session, prompt: MessageId) -> bool:
        """Abort it, and look whether it does."""
        try:
            await soon(self.clock, self.pace.abort, self.agent.abort(session))
            seen = await soon(self.clock, self.pace.abort, self.agent.recall(session, prompt))
        except (AgentUnreachable, AgentFault) as error:
            _log.warning("session %s could not be aborted: %s", session.id, error)
            return False
        return session.id not in seen.busy


__all__ = ["CalmSessions"]
