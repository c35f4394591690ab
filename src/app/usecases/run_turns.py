"""
Run turns: they belong to the service, not to a request.

Each task that has something to do has one job here. A job waits for its session (one active turn each), prompts the
runtime, hears what comes of it, and journals what the `Turn` makes of it. Clients come and go; the turn does not care.

The feed is not trusted. Whenever it may have missed something, when the turn doubts what it heard, and when a turn
stays quiet, the job asks the runtime for a recollection: a turn ends even if no event ever comes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Self, TypeVar

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.agent import Agent, Hearing, Prompt
from opencode_a2a_server.app.ports.bindings import Bindings
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.domain.errors import AgentFault, AgentUnreachable, Draining, Refusal
from opencode_a2a_server.domain.events import Event, Failure, Gap
from opencode_a2a_server.domain.ids import MessageId, Principal, RequestId, TaskId
from opencode_a2a_server.domain.message import Message, TextPart
from opencode_a2a_server.domain.session import Binding, PromptOptions, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.turn import Limits, Turn
from opencode_a2a_server.domain.updates import StatusChanged, TurnStarted

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_TITLE_LENGTH = 80


@frozen
class Pace:
    """How patient a job is, in seconds."""

    settle: float = 0.5
    """From a doubt to the question: a late event settles most doubts by itself."""
    first_look: float = 2.0
    """Silence after a prompt before it is looked after: one that was lost says nothing."""
    quiet: float = 10.0
    """Silence of a turn before it is looked after."""
    waiting: float = 60.0
    """The same while somebody's answer is awaited."""
    retry: float = 1.0
    """Between tries to reach the runtime; doubles up to `retry_most`."""
    retry_most: float = 15.0
    unreachable: float = 120.0
    """Without any contact, before the turn is given up."""
    abort: float = 5.0
    """For an abort to show its effect, before it is sent again."""
    abort_tries: int = 3
    """Aborts sent before the task is canceled whatever the runtime does."""


@define(eq=False)
class Job:
    """One task's turn, and how others reach it."""

    log: TaskLog
    turn: Turn | None = None
    hearing: Hearing | None = None
    canceled: asyncio.Event = field(factory=asyncio.Event)

    def cancel(self) -> None:
        """Stop it: at once if it has not begun, else by way of the runtime."""
        self.canceled.set()
        if self.turn is None:
            self.log.append([StatusChanged(TaskState.CANCELED)])
        elif self.hearing is not None:
            self.turn.cancel()
            self.hearing.wake()


@define(eq=False)
class RunTurns:
    """
    The turns under way; a context manager whose body is the service's life.

    Leaving it detaches the jobs: the runtime works on, and the next start goes on with what the journal says.
    """

    agent: Agent
    journal: Journal
    bindings: Bindings
    clock: Clock
    options: PromptOptions = field(factory=PromptOptions)
    limits: Limits = field(factory=Limits)
    pace: Pace = field(factory=Pace)

    draining: bool = field(default=False, init=False)
    """Whether no new work is taken."""
    stopping: bool = field(default=False, init=False)
    """Whether nobody should wait for a turn any longer."""
    _jobs: dict[TaskId, Job] = field(factory=dict, init=False)
    _running: set[asyncio.Task[None]] = field(factory=set, init=False)
    _locks: dict[object, tuple[asyncio.Lock, list[None]]] = field(factory=dict, init=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    @property
    def active(self) -> int:
        """How many jobs there are."""
        return len(self._running)

    async def drain(self, seconds: float) -> bool:
        """Take no new work and wait for what is under way; True if all of it ended in time."""
        self.draining = True
        if not self._running:
            return True
        _, late = await asyncio.wait(self._running, timeout=seconds)
        return not late

    # What use cases ask for

    def start(self, log: TaskLog, message: Message) -> None:
        """
        Begin a turn of the task with this message.

        Raises:
            Draining: The service is about to stop.

        """
        if self.draining:
            raise Draining("the service is about to stop; try again in a moment")
        self._spawn(log, lambda job: self._run(job, message))

    def resume(self, log: TaskLog) -> None:
        """Go on with a task that was left in mid-turn, or never begun."""
        task = log.task
        if task.session is None or task.prompt is None:
            self._spawn(log, lambda job: self._run(job, task.history[0]))
        elif task.state is TaskState.WORKING or task.pending or task.canceling:
            session, prompt = task.session, task.prompt
            self._spawn(log, lambda job: self._follow(job, session, prompt))

    def cancel(self, task_id: TaskId) -> bool:
        """Tell the job that its turn is to be canceled; False if there is none."""
        job = self._jobs.get(task_id)
        if job is None:
            return False
        job.cancel()
        return True

    def answering(self, task_id: TaskId, request: RequestId, by: Principal) -> None:
        """Note who answers, so that the journal can say it when the answer takes effect."""
        job = self._jobs.get(task_id)
        if job is not None and job.turn is not None:
            job.turn.answering(request, by)

    # Jobs

    def _spawn(self, log: TaskLog, run: Callable[[Job], Awaitable[None]]) -> None:
        job = Job(log)
        if log.task.canceling:
            job.canceled.set()
        self._jobs[log.task.id] = job
        running = asyncio.get_running_loop().create_task(self._guard(job, run), name=f"turn {log.task.id}")
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _guard(self, job: Job, run: Callable[[Job], Awaitable[None]]) -> None:
        """No fault of a job goes unseen or leaves its task working for ever."""
        task_id = job.log.task.id
        try:
            await run(job)
        except AgentUnreachable as gone:
            self._fail(job, Failure("UpstreamUnreachable", str(gone)))
        except AgentFault as fault:
            self._fail(job, Failure("UpstreamRefused", str(fault), getattr(fault, "status", 0)))
        except Refusal as refusal:
            self._fail(job, Failure(type(refusal).__name__, str(refusal)))
        except Exception:
            _log.exception("turn of task %s broke", task_id)
            self._fail(job, Failure("InternalError", "the service failed while it ran this turn"))
        finally:
            if self._jobs.get(task_id) is job:
                del self._jobs[task_id]

    def _fail(self, job: Job, failure: Failure) -> None:
        task = job.log.task
        if task.state.terminal:
            return
        _log.warning("task %s failed: %s: %s", task.id, failure.name, failure.text)
        state = TaskState.CANCELED if task.canceling else TaskState.FAILED
        job.log.append([StatusChanged(state, (TextPart(failure.text),), failure=failure)])

    async def _run(self, job: Job, message: Message) -> None:
        task = job.log.task
        async with self._alone(("context", task.principal, task.context_id)):
            session = task.session or await self._session(job, message)
        async with self._alone(session.id):
            if not task.state.terminal:  # canceled while it waited
                await self._prompt(job, session, message)

    async def _session(self, job: Job, message: Message) -> Session:
        principal, context_id = job.log.task.principal, job.log.task.context_id
        bound = await self.bindings.find(principal, context_id)
        if bound is not None:
            return bound.session
        title = " ".join(message.text.split())[:_TITLE_LENGTH]
        session = await self._patiently(job, lambda: self.agent.open_session(title))
        await self.bindings.bind(Binding(principal, context_id, session))
        return session

    async def _prompt(self, job: Job, session: Session, message: Message) -> None:
        log, task = job.log, job.log.task
        async with self.agent.hear(session) as hearing:
            prompt = self.agent.new_prompt_id()
            log.append([TurnStarted(session, prompt)])
            job.hearing, job.turn = hearing, Turn.of(task, session.id, prompt, self.limits)
            await log.durable()
            sent = Prompt(prompt, session, task.id, task.context_id, message, self.options)
            await self._patiently(job, lambda: self.agent.prompt(sent))
            await _Listener(self, job, job.turn, session, hearing)()

    async def _follow(self, job: Job, session: Session, prompt: MessageId) -> None:
        """Take up a turn that another life of the service began."""
        async with self._alone(session.id), self.agent.hear(session) as hearing:
            job.hearing, job.turn = hearing, Turn.of(job.log.task, session.id, prompt, self.limits)
            job.turn.receive(Gap())
            await _Listener(self, job, job.turn, session, hearing)()

    async def _patiently(self, job: Job, call: Callable[[], Awaitable[_T]]) -> _T:
        """Call the runtime, again and again while it does not answer; not for ever, and not once canceled."""
        give_up, pause = self.clock.monotonic() + self.pace.unreachable, self.pace.retry
        while True:
            try:
                return await call()
            except AgentUnreachable:
                if job.canceled.is_set() or self.clock.monotonic() + pause > give_up:
                    raise
            with suppress(TimeoutError):
                await self.clock.within(pause, job.canceled.wait())
            pause = min(pause * 2, self.pace.retry_most)

    def _alone(self, key: object) -> _Alone:
        return _Alone(self._locks, key)


@define(eq=False)
class _Alone:
    """A lock by key which exists only while somebody holds it or waits for it."""

    locks: dict[object, tuple[asyncio.Lock, list[None]]]
    key: object

    async def __aenter__(self) -> None:
        lock, users = self.locks.setdefault(self.key, (asyncio.Lock(), []))
        users.append(None)
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.locks[self.key][0].release()
        self._leave()

    def _leave(self) -> None:
        users = self.locks[self.key][1]
        users.pop()
        if not users:
            del self.locks[self.key]


@define(eq=False)
class _Listener:
    """The loop of one turn: hear, or ask when hearing is not enough, until the turn is over."""

    runs: RunTurns
    job: Job
    turn: Turn
    session: Session
    hearing: Hearing

    _contact: float = field(default=0.0, init=False)
    """When the runtime last said or showed anything."""
    _deadline: float | None = field(default=None, init=False)
    _quiet: float = field(default=0.0, init=False)
    _aborts: int = field(default=0, init=False)
    _aborted_at: float = field(default=0.0, init=False)

    async def __call__(self) -> None:
        self._contact = self._now()
        self._quiet = self.runs.pace.first_look
        if (seconds := self.turn.limits.seconds) is not None:
            self._deadline = self._now() + seconds
        while self.turn.outcome is None:
            await self._advance()

    async def _advance(self) -> None:
        if self.job.canceled.is_set() and self._abort_is_due():
            await self._abort()
            return
        events = await self._hear()
        if events is not None:
            self._tell(events)
        if self.turn.outcome is not None:
            return
        if reason := self._passed():
            await self._stop(reason)
        elif events is None or any(type(event) is Gap for event in events):
            await self._ask()

    def _now(self) -> float:
        return self.runs.clock.monotonic()

    async def _hear(self) -> Sequence[Event] | None:
        """Give what is heard, None when patience ends. A person's time to answer is not the turn's."""
        began, waits = self._now(), bool(self.turn.pending)
        try:
            return await self.runs.clock.within(self._patience(), self.hearing.next())
        except TimeoutError:
            return None
        finally:
            if waits and self._deadline is not None:
                self._deadline += self._now() - began

    def _patience(self) -> float:
        pace = self.runs.pace
        if self.turn.doubtful:
            return pace.settle
        if self._aborts:
            return pace.abort
        return pace.waiting if self.turn.pending else self._quiet

    def _tell(self, events: Sequence[Event]) -> None:
        if not events:
            return
        self._contact = self._now()
        self._quiet = self.runs.pace.quiet
        if updates := self.turn.receive_all(events):
            self.job.log.append(updates)

    def _passed(self) -> str:
        if self._deadline is not None and self._now() > self._deadline:
            return f"the turn passed its limit of {self.turn.limits.seconds:g} seconds"
        return self.turn.breach

    async def _ask(self) -> None:
        """Ask the runtime what it shows; one that does not answer for too long ends the turn."""
        try:
            seen = await self.runs.agent.recall(self.session, self.turn.prompt)
        except AgentUnreachable as gone:
            silent = self._now() - self._contact
            if silent > self.runs.pace.unreachable:
                raise AgentUnreachable(f"no contact with the runtime for {silent:.0f} s: {gone}") from gone
            self.turn.doubtful = True
            await self.runs.clock.sleep(self.runs.pace.retry)
            return
        self._tell((seen,))

    def _abort_is_due(self) -> bool:
        return self._aborts == 0 or self._now() - self._aborted_at >= self.runs.pace.abort

    async def _abort(self) -> None:
        """Send the abort; after some tries the task is canceled whatever the runtime does."""
        self.turn.cancel()
        if self._aborts >= self.runs.pace.abort_tries:
            self.job.log.append(self.turn.close(TaskState.CANCELED, "OpenCode did not confirm the abort."))
            return
        self._aborts += 1
        self._aborted_at = self._now()
        try:
            await self.runs.agent.abort(self.session)
        except AgentUnreachable:
            _log.warning("abort of session %s did not get through (try %d)", self.session.id, self._aborts)

    async def _stop(self, reason: str) -> None:
        """Stop a turn that went too far."""
        self.job.log.append(self.turn.close(TaskState.FAILED, reason, Failure("LimitExceeded", reason)))
        try:
            await self.runs.agent.abort(self.session)
        except Refusal as refusal:
            _log.warning("session %s could not be aborted: %s", self.session.id, refusal)


__all__ = ["Job", "Pace", "RunTurns"]
