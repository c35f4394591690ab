"""Stay in a session: hold it, have it alone, and listen to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Agent, Hearing
from opencode_a2a_server.app.ports.holds import Holds
from opencode_a2a_server.app.usecases.bind_session import Patiently
from opencode_a2a_server.app.usecases.use_session import Use, UseSession
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.session import Session


@define(eq=False)
class Stay:
    """
    A turn's stay in its session; a context manager, at whose end it leaves.

    A turn that waits for somebody outlives the job that runs it. Its stay is `kept` then, and entered again by the job
    that goes on: nobody else gets the session meanwhile, and nothing that is said in it is missed. 2,000 of these may
    be there at a time, so they are made of little.
    """

    session: Session
    kept: bool = False
    """Whether it goes on behind the end of the body, once."""
    use: Use | None = field(default=None, init=False)
    hearing: Hearing | None = field(default=None, init=False)
    _entered: Sequence[AbstractAsyncContextManager[Any]] = field(default=(), init=False)

    @property
    def heard(self) -> Hearing:
        """What is heard of the session, which was entered."""
        if self.hearing is None:  # pragma: no cover - nobody follows a turn in a session that was not entered
            raise RuntimeError(f"session {self.session.id} was not entered")
        return self.hearing

    async def begin(
        self, principal: Principal, sessions: UseSession, holds: Holds, agent: Agent, patiently: Patiently
    ) -> Hearing:
        """Enter the session, after who has it now."""
        # First of all: a claim must not run out while others have their turns.
        self.use = await self._enter(lambda: sessions.holding(principal, self.session), patiently)
        await self._enter(lambda: holds.alone(self.session.id), patiently)
        hearing: Hearing = await self._enter(lambda: agent.hear(self.session), patiently)
        self.hearing = hearing
        return hearing

    def part_with_hold(self) -> AsyncExitStack:
        """Give what has the session alone to somebody else, who is to end it: the stay goes on, and ends, without it."""
        claim, hold, listening = self._entered
        self._entered = (claim, listening)
        stack = AsyncExitStack()
        stack.push_async_exit(hold)
        return stack

    async def _enter(self, make: Callable[[], AbstractAsyncContextManager[Any]], patiently: Patiently) -> Any:
        async def enter() -> tuple[AbstractAsyncContextManager[Any], Any]:
            made = make()
            return made, await made.__aenter__()

        made, entered = await patiently(enter)
        self._entered = (*self._entered, made)
        return entered

    async def __aenter__(self) -> Self:
        self.kept = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.kept and kind is None:
            return
        stack = AsyncExitStack()
        for entered in self._entered:
            stack.push_async_exit(entered)
        self._entered, self.hearing = (), None
        await stack.__aexit__(kind, error, trace)
