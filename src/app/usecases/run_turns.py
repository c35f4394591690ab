"""
Run turns: they belong to the service, not to a request.

Each task that has something to do has one job here. A job waits for its session (one active turn each), prompts the
runtime, hears what comes of it, and journals what the `Turn` makes of it. Clients come and go; the turn does not care.

The feed is not trusted. Whenever it may have missed something, when the turn doubts what it heard, and when a turn
stays quiet, the job asks the runtime for a recollection: a turn ends even if no event ever comes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Self, TypeVar

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Agent, Prompt
from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.holds import Holds
from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.ports.meter import UNMETERED, Meter
from opencode_a2a_server.app.ports.tracer import UNTRACED, Fact, Span, Tracer, Work
from opencode_a2a_server.app.usecases.bind_session import BindSession, Bound, Patiently
from opencode_a2a_server.app.usecases.calm_sessions import CalmSessions
from opencode_a2a_server.app.usecases.follow_turn import FollowTurn
from opencode_a2a_server.app.usecases.job import Job, Pace, Rest, keep, soon
from opencode_a2a_server.app.usecases.park import Park
from opencode_a2a_server.app.usecases.refer import with_references
from opencode_a2a_server.app.usecases.stay import Stay
from opencode_a2a_server.domain.errors import (
    AgentFault,
    AgentUnreachable,
    Draining,
    Refusal,
    SessionBusy,
    SessionLost,
    SessionNotFound,
    Unavailable,
    UnsupportedOperation,
)
from opencode_a2a_server.domain.events import Failure, Gap, MessageSeen
from opencode_a2a_server.domain.ids import MessageId, Principal, SessionId, TaskId
from opencode_a2a_server.domain.message import Message, TextPart
from opencode_a2a_server.domain.session import PromptOptions, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.terms import Terms
from opencode_a2a_server.domain.turn import Limits, Turn
from opencode_a2a_server.domain.updates import MessageReceived, StatusChanged, TurnStarted, Update
from opencode_a2a_server.domain.usage import Usage

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

Charge = Callable[[Principal, Usage | None, Usage | None], Awaitable[None]]

_FAILED = (TaskState.FAILED, TaskState.REJECTED)
_UNWELL = (Unavailable, AgentFault)
"""What is suffered of a runtime that is only asked what it shows: it may be about to be well again."""
_TAKEN_UP_AT_ONCE = 16
"""Turns of another life that are taken up at a time: thousands that ask the runtime at once would never be answered."""
_DRAIN_LOOK = 0.5
"""Seconds between two looks at who waits for an answer, while draining."""


@define(eq=False)
class RunTurns:
    """
    The turns under way; a context manager whose body is the service's life.

    Leaving it detaches the jobs: the runtime works on, and the next start goes on with what the journal says.
    """

    agent: Agent
    journal: Journal
    bind: BindSession
    holds: Holds
    clock: Clock
    audit: Audit
    terms: Terms = field(factory=Terms)
    options: PromptOptions = field(factory=PromptOptions)
    limits: Limits = field(factory=Limits)
    pace: Pace = field(factory=Pace)
    patch_most: int = 0
    """Bytes that the patch of what a turn changed may have; 0 if changes are not told."""
    prompt_again: bool = False
    """Whether a prompt that the runtime lost by a restart is sent a second time, if it did nothing with it."""
    meter: Meter = UNMETERED
    tracer: Tracer = UNTRACED

    be_sure: Callable[[], Awaitable[None]] | None = None
    """See `Replicas.be_sure`; without it there is nobody else."""
    charge: Charge | None = None
    """What is told of each job's usage: who, and the task's count before and after."""

    draining: bool = field(default=False, init=False)
    """Whether no new work is taken."""
    stopping: bool = field(default=False, init=False)
    """Whether nobody should wait for a turn any longer."""
    _jobs: dict[TaskId, Job] = field(factory=dict, init=False)
    _running: dict[asyncio.Task[None], Job] = field(factory=dict, init=False)
    _left: bool = field(default=False, init=False)
    _taking_up: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_TAKEN_UP_AT_ONCE), init=False)
    _park: Park = field(init=False)
    _calm: CalmSessions = field(init=False)

    @_park.default
    def _empty(self) -> Park:
        return Park(self.journal, self.clock, self.pace, self.job)

    @_calm.default
    def _calming(self) -> CalmSessions:
        return CalmSessions(self.agent, self.clock, self.pace)

    async def __aenter__(self) -> Self:
        self._park.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._left = True
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._park.end()
        await self._calm.end()

    def let_go(self) -> None:
        """Run nothing more of what runs: another replica goes on with it."""
        self._jobs.clear()
        for running in self._running:
            running.cancel()
        self._park.let_go()
        self._calm.let_go()

    @property
    def active(self) -> int:
        """How many turns there are, with those that are parked."""
        return len(self._running) + len(self._park)

    @property
    def parked(self) -> int:
        """How many turns are parked: they wait for somebody, without a job."""
        return len(self._park)

    @property
    def waiting(self) -> int:
        """How many permissions and questions wait for an answer."""
        here = sum(len(job.turn.pending) for job in self._running.values() if job.turn is not None)
        return here + self._park.waiting

    async def drain(self, seconds: float) -> bool:
        """
        Take no new work and wait for what is under way; True if all of it ended in time.

        A turn that waits for somebody's answer is not waited for: nobody can answer any more.
        """
        self.draining = True
        try:
            await self.clock.within(seconds, self._working_ended())
        except TimeoutError:
            return False
        return not self.active

    async def _working_ended(self) -> None:
        while working := [running for running, job in self._running.items() if not job.waits]:
            with suppress(TimeoutError):
                await self.clock.within(_DRAIN_LOOK, asyncio.wait(working))

    def working_for(self, principal: Principal) -> int:
        """Count the turns of a principal's that are under way and wait for nobody's answer."""
        return sum(1 for job in self._running.values() if not job.waits and job.log.task.principal == principal)

    # What use cases ask for

    def start(self, log: TaskLog, message: Message) -> None:
        """Begin the first turn of a task, with this message."""
        self._spawn(Job(log), lambda job: self._run(job, message))

    def go_on(self, log: TaskLog, message: Message) -> None:
        """
        Begin another turn of a task, with this message.

        What is journaled of it here says all that is needed to begin it after a crash.
        """
        task = log.task
        if task.session is None:  # pragma: no cover - a task halts only in a turn, and a turn has a session
            raise UnsupportedOperation(f"task {task.id} has not begun")
        session, prompt = task.session, self.agent.new_prompt_id()
        log.append([TurnStarted(session, prompt), MessageReceived(message)])
        self._spawn(Job(log), lambda job: self._work(job, Bound(session), prompt, message))

    def resume(self, log: TaskLog) -> None:
        """Go on with a task that was left in mid-turn, or never begun."""
        task = log.task
        if task.session is None or task.prompt is None:
            self._spawn(Job(log), lambda job: self._run(job, task.history[0]))
        elif task.state is TaskState.WORKING or task.pending:
            session, prompt = task.session, task.prompt
            self._spawn(Job(log), lambda job: self._take_up(job, session, prompt))
        elif task.canceling:  # it had halted: there is nothing to stop
            log.append([StatusChanged(TaskState.CANCELED)])

    def cancel(self, log: TaskLog) -> bool:
        """Tell the job of a task that its turn is to be canceled; False if there is none."""
        job = self.job(log)
        if job is None:
            return False
        job.cancel()
        return True

    def job(self, log: TaskLog) -> Job | None:
        """Give the job of a task, if there is one; a turn that is parked goes on, since somebody wants something of it."""
        task_id = log.task.id
        if (job := self._jobs.get(task_id)) is not None:
            return job
        parked = None if self._left else self._park.take(task_id)
        if parked is None:
            return None
        job = Job(log)
        follow = self._begin(job, parked.stay, parked.rest.prompt, parked.rest)
        self._spawn(job, lambda job: self._go_back(job, follow))
        return job

    @asynccontextmanager
    async def lend(self, session: SessionId) -> AsyncIterator[None]:
        """
        Have a session for work that is no task's, at once or not at all; tasks wait meanwhile.

        Raises:
            SessionBusy: A task works in it, or waits to.
            Draining: No new work is taken.

        """
        if self.draining:
            raise Draining("the service is about to stop; try again in a moment")
        async with self.holds.at_once(session) as alone:
            if not alone:
                raise SessionBusy(f"session {session} works on something else; wait for its end, or cancel it")
            yield

    # Jobs

    def _spawn(self, job: Job, run: Callable[[Job], Awaitable[None]]) -> None:
        task = job.log.task
        if task.canceling:
            job.canceled.set()
        if self._left:
            return  # the journal has it: the next start takes it up
        self._jobs[task.id] = job
        running = asyncio.get_running_loop().create_task(self._guard(job, run), name=f"turn {task.id}")
        self._running[running] = job
        running.add_done_callback(self._running.pop)

    async def _guard(self, job: Job, run: Callable[[Job], Awaitable[None]]) -> None:
        """No fault of a job goes unseen or leaves its task working for ever."""
        task_id, used = job.log.task.id, job.log.task.usage
        try:
            await run(job)
            if job.rest is None:
                await self._finish(job)
        except AgentUnreachable as gone:
            await self._fail(job, Failure("UpstreamUnreachable", str(gone)))
        except AgentFault as fault:
            await self._fail(job, Failure("UpstreamRefused", str(fault), getattr(fault, "status", 0)))
        except Refusal as refusal:
            await self._fail(job, Failure(type(refusal).__name__, str(refusal)))
        except Exception:  # noqa: BLE001 - whatever it was, the task ends
            _log.exception("turn of task %s broke", task_id)
            await self._fail(job, Failure("InternalError", "the service failed while it ran this turn"))
        finally:
            if self._jobs.get(task_id) is job:
                del self._jobs[task_id]
                if job.rest is not None and job.stay is not None:
                    self._park.put(task_id, job.stay, job.rest, len(job.log.task.pending))
            job.catch_up()
        if self.charge is not None:
            await self.charge(job.log.task.principal, used, job.log.task.usage)

    async def _finish(self, job: Job) -> None:
        """Cancel a task that somebody wants canceled although its turn ended otherwise: halted, or never begun."""
        if job.canceled.is_set():
            await self._keep(job, StatusChanged(TaskState.CANCELED))

    async def _fail(self, job: Job, failure: Failure) -> None:
        task = job.log.task
        if task.state.terminal:
            return
        if task.canceling:
            await self._keep(job, StatusChanged(TaskState.CANCELED, (TextPart(failure.text),)))
            return
        _log.warning("task %s failed: %s: %s", task.id, failure.name, failure.text)
        await self._keep(job, StatusChanged(TaskState.FAILED, (TextPart(failure.text),), failure=failure))

    async def _keep(self, job: Job, update: Update) -> None:
        await keep(job.log, [update], self.clock, self.pace.retry)

    async def _run(self, job: Job, message: Message) -> None:
        """Begin a task: find or open its session, then prompt."""
        if job.canceled.is_set():
            return
        await self._patiently(job, job.log.durable)
        async with self._context(job):
            bound = await self.bind(job.log.task, message, self._patience(job))
        await self._work(job, bound, None, message)

    async def _work(self, job: Job, bound: Bound, prompt: MessageId | None, message: Message) -> None:
        """Prompt a session; if it is gone, a new one, unless the client wanted exactly this one."""
        try:
            await self._prompt(job, bound, prompt, message)
        except SessionLost as lost:
            task = job.log.task
            if task.worked_on.wishes.session is not None:
                raise SessionNotFound(f"there is no session {bound.session.id}") from lost
            async with self._context(job):
                anew = await self.bind.anew(task, task.worked_on, bound.session, self._patience(job))
            await self._prompt(job, anew, None, task.worked_on)

    async def _prompt(self, job: Job, bound: Bound, prompt: MessageId | None, message: Message) -> None:
        """Begin a turn: journaled before the runtime hears of it, by `go_on` if it has a prompt already."""
        session = bound.session
        async with self._staying(job, Stay(session)) as stay:
            if job.canceled.is_set():
                return
            if prompt is None:
                prompt = self.agent.new_prompt_id()
                await self._keep(job, TurnStarted(session, prompt, replaced=bound.replaced))
            follow = self._begin(job, stay, prompt)
            await self._patiently(job, job.log.durable)
            await self._drive(job, follow, message)
            await self._go_on(job, follow)

    async def _go_back(self, job: Job, follow: FollowTurn) -> None:
        """Go on with a turn that was parked."""
        async with self._staying(job, follow.stay):
            await self._drive(job, follow, job.log.task.worked_on, sent=True)
            await self._go_on(job, follow)

    async def _take_up(self, job: Job, session: Session, prompt: MessageId) -> None:
        """Take up a turn that another life of the service began, and perhaps did not come to send."""
        async with self._staying(job, Stay(session)) as stay:
            if job.log.task.only_waits:
                now, seconds = self.clock.monotonic(), self.limits.seconds
                job.stay, job.rest = stay, Rest(prompt, now, seconds, spoke=True, expiries=(), missed=True)
                stay.kept = True
                return
            await self._taking_up.acquire()
            job.caught_up.add_done_callback(lambda _: self._taking_up.release())
            follow = self._begin(job, stay, prompt)
            follow.spoke = True
            follow.turn.receive(Gap())
            unsent = not job.canceled.is_set() and await self._is_unsent(job, session, prompt)
            await self._drive(job, follow, job.log.task.worked_on, sent=not unsent)
            await self._go_on(job, follow)

    async def _drive(self, job: Job, follow: FollowTurn, message: Message, *, sent: bool = False) -> None:
        """Send a prompt, unless that was done, and follow its turn to the end: a part of what its message is part of."""
        with self.tracer.begin(Work.TURN, self.agent.name, message.trace) as span:
            self._describe(span, job, follow, message)
            if not sent:
                await self._send(job, follow.session, follow.turn.prompt, message)
            await follow()
            _conclude(span, follow)
        if follow.parks:
            job.rest, follow.stay.kept = follow.rest(), True

    def _describe(self, span: Span, job: Job, follow: FollowTurn, message: Message) -> None:
        task, model = job.log.task, self.options.with_wishes(message.wishes).model
        span.tell(Fact.TASK, task.id)
        span.tell(Fact.CONTEXT, task.context_id)
        span.tell(Fact.SESSION, follow.session.id)
        if model is not None:
            span.tell(Fact.MODEL, model.model_id)

    async def _go_on(self, job: Job, follow: FollowTurn) -> None:
        """Drive the turns of the messages that came meanwhile; the session stays the task's till the last."""
        task = job.log.task
        while not (task.state.terminal or job.canceled.is_set()):
            if task.prompt is None or task.prompt == follow.turn.prompt:
                return
            follow = self._begin(job, follow.stay, task.prompt)
            await self._patiently(job, job.log.durable)
            await self._drive(job, follow, task.worked_on)

    async def _is_unsent(self, job: Job, session: Session, prompt: MessageId) -> bool:
        """Say whether the last life of the service ended between journaling a prompt and sending it."""
        if not job.log.task.turn_seq:
            return False
        behind = job.log.task.turn_seq
        since = await self._patiently(job, lambda: job.log.read(behind).next(patience=0))
        if not all(isinstance(entry.update, MessageReceived) for entry in since):
            return False
        seen = await self._patiently(job, lambda: self._soon(self.agent.recall(session, prompt)), _UNWELL)
        return seen.known and not any(isinstance(told, MessageSeen) and told.message == prompt for told in seen.told)

    def _begin(self, job: Job, stay: Stay, prompt: MessageId, rest: Rest | None = None) -> FollowTurn:
        turn = Turn.of(job.log.task, stay.session.id, prompt, self.limits, self.terms)
        if rest is not None:
            turn.wait_no_more(rest.family)
        if rest is not None and rest.missed:
            turn.receive(Gap())
        job.stay, job.turn = stay, turn
        return FollowTurn(
            self.agent,
            self.clock,
            self.pace,
            job,
            turn,
            stay,
            self.audit,
            self.patch_most,
            self.meter,
            self.prompt_again,
            spoke=rest is not None and rest.spoke,
            rested=rest,
        )

    async def _send(self, job: Job, session: Session, prompt: MessageId, message: Message) -> None:
        task = job.log.task
        options = self.options.with_wishes(message.wishes)
        message = await self._patiently(
            job, lambda: self.bind.places.files(task.principal, message)
        )  # links may lead elsewhere by now
        message = await self._patiently(job, lambda: with_references(self.journal, task.principal, message))
        sent = Prompt(prompt, session, task.id, task.context_id, message, options)
        if self.be_sure is not None:  # who takes this task over sends the prompt, too
            await self._patiently(job, self.be_sure)
        await self._patiently(job, lambda: self._soon(self.agent.prompt(sent)))

    @asynccontextmanager
    async def _staying(self, job: Job, stay: Stay) -> AsyncIterator[Stay]:
        """Have the session alone, and listen; whatever breaks here, the session does not work on unheard."""
        principal = job.log.task.principal
        async with stay:
            if stay.hearing is None:
                await stay.begin(
                    principal, self.bind.sessions, self.holds, self.agent, lambda call: self._patiently(job, call)
                )
            try:
                yield stay
                if stay.use is not None and not stay.kept:
                    stay.use.failed = job.turn is None or job.log.task.state in _FAILED
            except Exception:
                if job.log.mine:  # else somebody else goes on with it
                    job.restless = not await self._aborted(stay.session)
                    self._pass_on(job, stay)
                raise
            self._pass_on(job, stay)

    def _pass_on(self, job: Job, stay: Stay) -> None:
        """Leave who has to calm the session the hold on it."""
        if job.restless and job.turn is not None:
            self._calm(stay.session, job.turn.prompt, stay.part_with_hold())

    async def _aborted(self, session: Session) -> bool:
        with suppress(Exception):
            await soon(self.clock, self.pace.abort, self.agent.abort(session))
            return True
        return False

    async def _patiently(
        self, job: Job, call: Callable[[], Awaitable[_T]], suffered: tuple[type[Refusal], ...] = (Unavailable,)
    ) -> _T:
        """Call the runtime or the store, again and again while it is away; not for ever, and not once canceled."""
        give_up, pause = self.clock.monotonic() + self.pace.unreachable, self.pace.retry
        while True:
            try:
                return await call()
            except suffered:
                if self.clock.monotonic() + pause > give_up or await self._canceled_within(job, pause):
                    raise
            pause = min(pause * 2, self.pace.retry_most)

    async def _soon(self, call: Awaitable[_T]) -> _T:
        """
        Wait for a call that may be made again.

        A prompt is worked on once however often it is sent, and of two sessions that were opened one stays empty.
        """
        return await soon(self.clock, 2 * self.pace.call, call)

    async def _canceled_within(self, job: Job, seconds: float) -> bool:
        with suppress(TimeoutError):
            await self.clock.within(seconds, job.canceled.wait())
        return job.canceled.is_set()

    def _patience(self, job: Job) -> Patiently:
        async def patiently(call: Callable[[], Awaitable[_T]], /) -> _T:
            return await self._patiently(job, lambda: self._soon(call()))

        return patiently

    @asynccontextmanager
    async def _context(self, job: Job) -> AsyncIterator[None]:
        """Have a context alone, for the time in which it may get its session."""
        task = job.log.task
        name = json.dumps(["context", task.principal, task.context_id])
        async with AsyncExitStack() as stack:
            await self._patiently(job, lambda: stack.enter_async_context(self.holds.alone(name)))
            yield


def _conclude(span: Span, follow: FollowTurn) -> None:
    """Tell how a turn ended, and what it used."""
    usage, state = follow.usage, follow.turn.outcome
    span.tell(Fact.INPUT_TOKENS, usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens)
    span.tell(Fact.OUTPUT_TOKENS, usage.output_tokens + usage.reasoning_tokens)
    span.tell(Fact.CACHE_READ_TOKENS, usage.cache_read_tokens)
    span.tell(Fact.CACHE_WRITE_TOKENS, usage.cache_write_tokens)
    span.tell(Fact.COST, usage.cost)
    if state is not None:
        span.tell(Fact.STATE, state.value)
        if state in _FAILED:
            span.fail(state.value)


__all__ = ["Job", "Pace", "RunTurns"]
