"""Have a session work outside of any task: prompts, commands, shell lines, summaries, structured answers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, Self, TypeVar

from attrs import define, evolve, field

from opencode_a2a_server.app.ports.agent import Agent, Hearing
from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.sessions import (
    AgentNamed,
    Command,
    Order,
    SessionDetails,
    Sessions,
    ShellLine,
    Spoken,
    SubtaskGiven,
)
from opencode_a2a_server.app.ports.works import Working
from opencode_a2a_server.app.usecases.check_capability import CheckCapability
from opencode_a2a_server.app.usecases.choose_directory import Named, ReachSession
from opencode_a2a_server.app.usecases.follow_work import FollowWork
from opencode_a2a_server.app.usecases.job import soon
from opencode_a2a_server.app.usecases.keep_quotas import KeepQuotas
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.domain.audit import Record
from opencode_a2a_server.domain.errors import (
    AgentFault,
    Draining,
    Forbidden,
    Refusal,
    SessionBusy,
    SessionNotFound,
    Unavailable,
)
from opencode_a2a_server.domain.events import Gap, SessionFailed, SessionIdle
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.session import ModelChoice, Session

_T = TypeVar("_T")

_LOOK: Final = 5.0
"""Seconds of silence after which the runtime is asked whether the session still works."""


@define(eq=False)
class WorkInSession:
    """
    Work that no task tells of, a context manager while which there may be some.

    It keeps the one rule that holds for all work: a session does one thing at a time, and what is begun is ended whether
    or not its caller waits. So each piece of work is a job of its own, which has the session alone until it rests; who
    comes meanwhile is told that it is busy, and a task waits its turn.

    Raises what `ReachSession`, `RunTurns.lend` and `SessionWorker` raise.
    """

    agent: Agent
    sessions: Sessions
    reach: ReachSession
    turns: RunTurns
    follow: FollowWork
    check: CheckCapability
    audit: Audit
    clock: Clock
    most: float | None = None
    """Seconds a session may work, as for turns; then it is aborted."""
    quotas: KeepQuotas | None = None
    """Who has used up its day begins no work."""
    _jobs: set[asyncio.Task[Any]] = field(factory=set, init=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    async def prompt(self, principal: Principal, named: Named, order: Order) -> SessionId:
        """
        Have a prompt taken; gives the session that works on it.

        That is the session itself, but for an order with a schema: OpenCode can never read a session again in which
        it was once told a format, so a copy of it, which is the principal's, works in its place.
        """
        await self._admit(principal, order.options.model, *_models_of(order))
        taken: asyncio.Future[SessionId] = asyncio.get_running_loop().create_future()
        job = self._spawn(self._prompt(principal, named, order, taken))
        await asyncio.wait({job, taken}, return_when=asyncio.FIRST_COMPLETED)
        return taken.result() if taken.done() else await job

    async def command(self, principal: Principal, named: Named, command: Command) -> Spoken:
        """Run a command; gives the last message that came of it."""
        await self._admit(principal, command.options.model)
        files = await self.reach.choose.check.parts(principal, command.files, "request.parts")
        checked = evolve(command, files=files)
        return await self._ended(self._alone(principal, named, lambda: self.sessions.work.command(named.id, checked)))

    async def shell(self, principal: Principal, named: Named, line: ShellLine) -> Spoken:
        """
        Run a line in the runtime's shell; who, what and with what outcome is recorded.

        Raises:
            MethodDisabled, CapabilityMissing: There is no shell here, or not for this principal.

        """
        return await self._ended(self._audited(principal, named, line))

    async def summarize(self, principal: Principal, named: Named, model: ModelChoice | None, *, auto: bool) -> None:
        """Have the history replaced by a summary."""
        await self._admit(principal, model)
        edit = self.sessions.edit
        await self._ended(self._alone(principal, named, lambda: edit.summarize(named.id, model, auto=auto)))

    async def structured(self, principal: Principal, named: Named | None, order: Order) -> Spoken:
        """
        Have a question answered by data of a schema; gives the message that holds it.

        It is asked in a copy of the session, or in a new one, which is deleted at the end: see `prompt`.

        Raises:
            AgentFault: The model did not give such data.

        """
        await self._admit(principal, order.options.model, *_models_of(order))
        return await self._ended(self._structured(principal, named, order))

    async def _admit(self, principal: Principal, *models: ModelChoice | None) -> None:
        """
        Refuse who has used up its day, a model that is not among the principal's, and to leave it to the runtime where only some are.

        Raises:
            Forbidden, RateLimited: Who, and why.

        """
        reach = self.reach.choose.check.reach_of(principal)
        if not all(map(reach.fits, models)):
            raise Forbidden(f"you may use the models {', '.join(reach.models)}; name one (request.model)")
        if self.quotas is not None:
            await self.quotas.check(principal)

    async def take_up(self) -> None:
        """Go on following what another life of the service, or a replica that is gone, had begun."""
        for working in await self.follow.works.every():
            if working.session.id not in self.follow.inboxes:
                self._spawn(self._follow_again(working)).set_name(f"work in {working.session.id}, again")

    async def _follow_again(self, working: Working) -> None:
        """Follow it to its end, unless somebody has the session."""
        with suppress(SessionBusy, Draining):
            async with (
                self.turns.lend(working.session.id),
                self.follow.again(working),
                self.agent.hear(working.session) as hearing,
            ):
                await self._until_rest(working.session, hearing)

    # Jobs

    def _spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        job = asyncio.get_running_loop().create_task(work, name="work in a session")
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        job.add_done_callback(_seen)
        return job

    async def _ended(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for a job; it goes on without who waits."""
        return await asyncio.shield(self._spawn(work))

    async def _alone(self, principal: Principal, named: Named, work: Any) -> Any:
        async with self.reach(principal, named) as use, self.turns.lend(named.id):
            await self._check_rest(use.session)
            async with self.follow(principal, use.session):
                return await work()

    async def _audited(self, principal: Principal, named: Named, line: ShellLine) -> Spoken:
        outcome = "failed"
        try:
            self.check(principal, Capability.SESSION_SHELL)
            spoken: Spoken = await self._alone(principal, named, lambda: self.sessions.work.shell(named.id, line))
            outcome = "run"
        except Refusal as refusal:
            outcome = type(refusal).__name__
            raise
        finally:
            subject: Mapping[str, str] = {"session": named.id}
            details = {"agent": line.agent, "command": line.command}
            await self.audit.record(
                Record(self.clock.now(), "session_shell", principal, "method", subject, outcome, details)
            )
        return spoken

    async def _prompt(
        self, principal: Principal, named: Named, order: Order, taken: asyncio.Future[SessionId]
    ) -> SessionId:
        async with self.reach(principal, named) as use:
            session, order = use.session, await self._checked(principal, order)
            if order.schema is not None:
                session = (await self._copy(principal, session)).session
            async with self.turns.lend(session.id):
                await self._check_rest(session)
                async with self.follow(principal, session):
                    await self._work(session, order, taken)
        return session.id

    async def _structured(self, principal: Principal, named: Named | None, order: Order) -> Spoken:
        order = await self._checked(principal, order)
        if named is None:
            made = await self.sessions.edit.create(None, "A structured answer", None)
            await self.reach.use.begin(principal, made.id)
        else:
            async with self.reach(principal, named) as use:
                made = await self._copy(principal, use.session)
        try:
            async with self.turns.lend(made.id), self.follow(principal, made.session):
                await self._work(made.session, order)
            page = await self.sessions.read.messages(made.id, 1, None)
        finally:
            await self._forget(made.id)
        if not page.messages or (spoken := page.messages[-1]).structured is None:
            error = page.messages[-1].error if page.messages else None
            why = (error or {}).get("data", {}).get("message") or (error or {}).get("name") or "it said something else"
            raise AgentFault(f"the model did not answer with data of the schema: {why}")
        return spoken

    async def _checked(self, principal: Principal, order: Order) -> Order:
        """Let only files of the workspace be read for the caller."""
        said = tuple(part if not isinstance(part, AgentNamed | SubtaskGiven) else TextPart("") for part in order.parts)
        real = await self.reach.choose.check.parts(principal, said, "request.parts")
        if real is said:
            return order
        pairs = zip(order.parts, real, strict=True)
        parts = tuple(part if isinstance(part, AgentNamed | SubtaskGiven) else checked for part, checked in pairs)
        return evolve(order, parts=parts)

    async def _copy(self, principal: Principal, session: Session) -> SessionDetails:
        made = await self.sessions.edit.fork(session.id, None)
        await self.reach.use.begin(principal, made.id)
        return made

    async def _forget(self, session: SessionId) -> None:
        with suppress(SessionNotFound, Unavailable, AgentFault):  # else it stays, and is the principal's to delete
            await self.sessions.edit.delete(session)

    async def _check_rest(self, session: Session) -> None:
        """
        Refuse work in a session that works for somebody who did not ask here.

        Raises:
            SessionBusy: OpenCode would let the new prompt take the place of what it works on.

        """
        states = await self.sessions.read.states(session.directory)
        if any(state.session_id == session.id for state in states):
            raise SessionBusy(f"session {session.id} works on something else; wait for its end")

    async def _work(self, session: Session, order: Order, taken: asyncio.Future[SessionId] | None = None) -> None:
        """Have a prompt worked on, and wait until the session rests."""
        order = order if order.id is not None else evolve(order, id=self.agent.new_prompt_id())
        async with self.agent.hear(session) as hearing:
            await self.sessions.work.prompt(session.id, order)
            if taken is not None and not taken.done():
                taken.set_result(session.id)
            if order.no_reply:
                return
            await self._until_rest(session, hearing)

    async def _until_rest(self, session: Session, hearing: Hearing) -> None:
        """Wait until a session rests, or for as long as it may work."""
        try:
            rests = self._rests(session, hearing)
            await (rests if self.most is None else self.clock.within(self.most, rests))
        except TimeoutError:
            await soon(self.clock, self.turns.pace.abort, self.agent.abort(session))

    async def _rests(self, session: Session, hearing: Hearing) -> None:
        """Wait until the session rests; the feed says when it may be so, the runtime whether it is."""
        while True:
            try:
                told = await self.clock.within(_LOOK, hearing.next())
            except TimeoutError:
                told = ()
            if told and not any(isinstance(event, SessionIdle | SessionFailed | Gap) for event in told):
                continue
            try:
                states = await self.sessions.read.states(session.directory)
            except Unavailable:
                await self.clock.sleep(_LOOK)
                continue
            if all(state.session_id != session.id for state in states):
                return


def _models_of(order: Order) -> list[ModelChoice]:
    """Give the models that parts of an order name; a sub-agent without one works with its caller's."""
    subtasks = (part for part in order.parts if isinstance(part, SubtaskGiven))
    return [subtask.model for subtask in subtasks if subtask.model is not None]


def _seen(job: asyncio.Task[Any]) -> None:
    """Take note of an error for which nobody waits any more."""
    if not job.cancelled():
        job.exception()
