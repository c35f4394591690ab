"""An agent with the faults that runtimes have, around one without."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Agent, Hearing, Prompt, Readiness
from opencode_a2a_server.domain.changes import FileChange
from opencode_a2a_server.domain.errors import AgentUnreachable, SessionLost
from opencode_a2a_server.domain.events import Recollection
from opencode_a2a_server.domain.ids import MessageId, Principal, SessionId
from opencode_a2a_server.domain.interrupt import Answer, Interrupt
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.session import Directory, FoundSession, Session


@define(eq=False)
class FlakyAgent:
    """
    The port `Agent`, passing on to another one.

    `raises` says what a method raises instead of working, by its name; `lost` names those that seem to work but do
    nothing; `done_but` those that work and raise all the same; `hangs` how many calls of a method are never answered.
    `calls` is what was called, in order.
    """

    inner: Agent
    name: str = "Flaky"
    raises: dict[str, Exception] = field(factory=dict)
    lost: set[str] = field(factory=set)
    done_but: dict[str, Exception] = field(factory=dict)
    hangs: dict[str, int] = field(factory=dict)
    calls: list[str] = field(factory=list)
    prompts: list[Prompt] = field(factory=list)
    gone: set[SessionId] = field(factory=set)
    """Sessions that somebody deleted; a turn that is under way there goes on."""
    no_workspace: bool = False
    looked_up: list[SessionId] = field(factory=list)
    found: dict[SessionId, FoundSession] = field(factory=dict)
    """Sessions it shows although the other one has none such."""

    def cut_off(self) -> None:
        """Be out of reach."""
        gone = AgentUnreachable("no route")
        self.raises = dict.fromkeys(("open_session", "hear", "prompt", "recall", "answer", "abort"), gone)

    def reach(self) -> None:
        """Have no faults any more."""
        self.raises, self.lost, self.done_but, self.hangs = {}, set(), {}, {}

    def check(self, message: Message) -> None:
        """See `Agent.check`."""
        self._before("check")
        self.inner.check(message)

    def new_prompt_id(self) -> MessageId:
        """See `Agent.new_prompt_id`."""
        return self.inner.new_prompt_id()

    async def reply(self, principal: Principal, message: Message) -> Message | None:
        """See `Agent.reply`."""
        self._before("reply")
        return await self.inner.reply(principal, message)

    async def open_session(self, title: str, directory: Directory | None = None) -> Session:
        """See `Agent.open_session`."""
        self._before("open_session")
        await self._hang("open_session")
        return await self.inner.open_session(title, directory)

    async def find_session(self, session_id: SessionId) -> FoundSession | None:
        """See `Agent.find_session`; `looked_up` is whom it was asked for."""
        self._before("find_session")
        self.looked_up.append(session_id)
        if session_id in self.gone:
            return None
        if session_id in self.found:
            return self.found[session_id]
        return await self.inner.find_session(session_id)

    async def workspace(self) -> Directory | None:
        """See `Agent.workspace`."""
        self._before("workspace")
        return None if self.no_workspace else await self.inner.workspace()

    def hear(self, session: Session) -> AbstractAsyncContextManager[Hearing]:
        """See `Agent.hear`."""
        self._before("hear")
        return self.inner.hear(session)

    async def prompt(self, prompt: Prompt) -> None:
        """See `Agent.prompt`."""
        if self._before("prompt"):
            if prompt.session.id in self.gone:
                raise SessionLost(f"there is no session {prompt.session.id} any more")
            await self._hang("prompt")
            self.prompts.append(prompt)
            await self.inner.prompt(prompt)
        self._after("prompt")

    async def recall(self, session: Session, prompt: MessageId) -> Recollection:
        """See `Agent.recall`."""
        self._before("recall")
        await self._hang("recall")
        return await self.inner.recall(session, prompt)

    async def changes(self, session: Session, prompt: MessageId) -> Sequence[FileChange]:
        """See `Agent.changes`."""
        return await self.inner.changes(session, prompt) if self._before("changes") else ()

    async def answer(self, session: Session, interrupt: Interrupt, answer: Answer) -> bool:
        """See `Agent.answer`."""
        asked = self._before("answer")
        await self._hang("answer")
        taken = await self.inner.answer(session, interrupt, answer) if asked else True
        self._after("answer")
        return taken

    async def abort(self, session: Session) -> None:
        """See `Agent.abort`."""
        asked = self._before("abort")
        await self._hang("abort")
        if asked:
            await self.inner.abort(session)

    async def probe(self) -> Readiness:
        """See `Agent.probe`."""
        return await self.inner.probe()

    def _before(self, method: str) -> bool:
        self.calls.append(method)
        if (error := self.raises.get(method)) is not None:
            raise error
        return method not in self.lost

    async def _hang(self, method: str) -> None:
        if self.hangs.get(method, 0):
            self.hangs[method] -= 1
            await asyncio.get_running_loop().create_future()

    def _after(self, method: str) -> None:
        if (error := self.done_but.get(method)) is not None:
            raise error
