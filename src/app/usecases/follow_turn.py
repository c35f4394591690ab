"""Follow one turn: hear, or ask when hearing is not enough, until the turn is over."""

from __future__ import annotations

import asyncio
import logging
import posixpath
from collections.abc import Callable, Sequence
from contextlib import suppress

from attrs import define, evolve, field, frozen

from opencode_a2a_server.app.ports.agent import Agent, Hearing
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.domain.changes import FileChange, FileStatus, changes_told
from opencode_a2a_server.domain.errors import AgentFault, AgentUnreachable, JournalUnavailable, Refusal
from opencode_a2a_server.domain.events import Event, Failure, Gap
from opencode_a2a_server.domain.ids import Principal, RequestId
from opencode_a2a_server.domain.interrupt import Answer
from opencode_a2a_server.domain.session import Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.turn import Turn
from opencode_a2a_server.domain.updates import StatusChanged, TurnStarted, Update

_log = logging.getLogger(__name__)


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
    changes: float = 10.0
    """For the runtime to say which files a turn has changed, before the turn ends without that."""
    abort_tries: int = 3
    """Aborts sent before the task is canceled whatever the runtime does."""


@frozen
class Given:
    """An answer on its way, and whose it is."""

    answer: Answer
    by: Principal


@define(eq=False)
class Job:
    """One task's turn, and how others reach it."""

    log: TaskLog
    turn: Turn | None = None
    hearing: Hearing | None = None
    canceled: asyncio.Event = field(factory=asyncio.Event)
    given: dict[RequestId, Given] = field(factory=dict)

    @property
    def waits(self) -> bool:
        """Whether it goes on only when somebody answers."""
        return self.turn is not None and bool(self.turn.pending)

    def cancel(self) -> None:
        """Stop it: at once if it has not begun, else by way of the runtime."""
        if self.log.task.state.terminal:
            return
        if self.turn is None:
            self.log.append([StatusChanged(TaskState.CANCELED)])
        self.canceled.set()
        if self.turn is not None and self.hearing is not None:
            self.turn.cancel()
            self.hearing.wake()

    def doubt(self) -> None:
        """Have the runtime asked soon what it shows."""
        if self.turn is not None and self.turn.outcome is None and self.hearing is not None:
            self.turn.doubtful = True
            self.hearing.wake()


Revise = Callable[[Sequence[Update]], Sequence[Update]]


async def keep(
    log: TaskLog, updates: Sequence[Update], clock: Clock, pause: float, revise: Revise | None = None
) -> None:
    """
    Append to a task's journal, however long the store takes until it has room; nothing once the task has ended.

    `revise` says what the updates become at the moment they are appended.
    """
    while not log.task.state.terminal:
        try:
            log.append(updates if revise is None else revise(updates))
        except JournalUnavailable as full:
            _log.warning("task %s waits for the store: %s", log.task.id, full)
            await clock.sleep(pause)
        else:
            return


@define(eq=False)
class FollowTurn:
    """
    The loop of one turn; returns when it is over.

    What is heard is not trusted to be all. The runtime is asked for a recollection when the turn doubts, after a gap,
    and when it was silent for too long; faults on that way are suffered as long as anything is heard.

    Raises:
        AgentUnreachable, AgentFault: Nothing was heard and nothing could be asked for too long.

    """

    agent: Agent
    clock: Clock
    pace: Pace
    job: Job
    turn: Turn
    session: Session
    hearing: Hearing
    patch_most: int = 0
    """Bytes that a patch of what the turn changed may have; 0 if changes are not told."""

    _contact: float = field(default=0.0, init=False)
    """When the runtime last said or showed anything."""
    _deadline: float | None = field(default=None, init=False)
    _quiet: float = field(default=0.0, init=False)
    _faults: int = field(default=0, init=False)
    """How often in a row the runtime could not be asked."""
    _aborts: int = field(default=0, init=False)
    _aborted_at: float = field(default=0.0, init=False)

    async def __call__(self) -> None:
        """Follow the turn to its end."""
        self._contact = self._now()
        self._quiet = self.pace.first_look
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
            await self._take(events)
        if self.turn.outcome is not None:
            return
        if reason := self._passed():
            await self._stop(reason)
        elif events is None or any(type(event) is Gap for event in events):
            await self._ask()

    def _now(self) -> float:
        return self.clock.monotonic()

    async def _hear(self) -> Sequence[Event] | None:
        """Give what is heard, None when patience ends. A person's time to answer is not the turn's."""
        began, waits = self._now(), self.job.waits
        try:
            return await self.clock.within(self._patience(), self.hearing.next())
        except TimeoutError:
            return None
        finally:
            if waits and self._deadline is not None:
                self._deadline += self._now() - began

    def _patience(self) -> float:
        if self._faults:
            most = self.pace.abort if self._aborts else self.pace.retry_most
            return min(self.pace.retry * float(2 ** (self._faults - 1)), most)
        if self.turn.doubtful:
            return self.pace.settle
        if self._aborts:
            return self.pace.abort
        return self.pace.waiting if self.turn.pending else self._quiet

    async def _take(self, events: Sequence[Event]) -> None:
        """Take what was heard. Who hears only gaps hears nothing for now, and looks more often."""
        if events:
            deaf = all(type(event) is Gap for event in events)
            self._quiet = self.pace.first_look if deaf else self.pace.quiet
            await self._tell(events)

    async def _tell(self, events: Sequence[Event]) -> None:
        """Journal what comes of events. A store without room holds up the turn: what it says meanwhile is kept."""
        self._contact = self._now()
        if updates := self.turn.receive_all(events):
            await self._keep(updates)

    async def _keep(self, updates: Sequence[Update]) -> None:
        if updates and self.turn.outcome is not None and self.turn.changed and self.patch_most:
            await keep(self.job.log, updates[:-1], self.clock, self.pace.retry)
            updates = [*await self._changes(), updates[-1]]
        await keep(self.job.log, updates, self.clock, self.pace.retry, self._unless_more_waits)

    async def _changes(self) -> Sequence[Update]:
        """Say what the turn has changed on disk; a runtime that does not answer must not hold up the end."""
        told = self.agent.changes(self.session, self.turn.prompt)
        try:
            changes = await self.clock.within(self.pace.changes, told)
        except (AgentUnreachable, AgentFault, TimeoutError) as error:
            _log.warning("what task %s changed cannot be told: %s", self.job.log.task.id, str(error) or "no answer")
            changes = ()
        # OpenCode cannot compare what an abort cut short; which files there are it has said.
        paths = (posixpath.relpath(path, self.session.directory or "/") for path in self.turn.changed)
        listed = [FileChange(path, FileStatus.CHANGED, text=False) for path in paths]
        return changes_told(changes or listed, self.turn.prompt, self.patch_most)

    def _unless_more_waits(self, updates: Sequence[Update]) -> Sequence[Update]:
        """
        A turn that completes while a message waits does not complete the task: that message's turn begins.

        The end of one turn and the begin of the next are one step of the journal, so that no crash comes between.
        """
        last, task = updates[-1], self.job.log.task
        if not (isinstance(last, StatusChanged) and last.state is TaskState.COMPLETED and task.waiting):
            return updates
        if task.canceling:  # what waits is dropped, and that is what was wanted
            return [*updates[:-1], evolve(last, state=TaskState.CANCELED)]
        begun = TurnStarted(self.session, self.agent.new_prompt_id(), queued=True)
        return [*updates[:-1], evolve(last, state=TaskState.WORKING), begun]

    def _passed(self) -> str:
        if self._deadline is not None and self._now() > self._deadline:
            return f"the turn passed its limit of {self.turn.limits.seconds:g} seconds"
        return self.turn.breach

    async def _ask(self) -> None:
        """Ask the runtime what it shows; one that neither answers nor says anything for too long ends the turn."""
        try:
            seen = await self.agent.recall(self.session, self.turn.prompt)
        except (AgentUnreachable, AgentFault):
            if self._now() - self._contact > self.pace.unreachable:
                raise
            self.turn.doubtful = True
            self._faults += 1
            return
        self._faults = 0
        await self._tell((seen,))

    def _abort_is_due(self) -> bool:
        return self._aborts == 0 or self._now() - self._aborted_at >= self.pace.abort

    async def _abort(self) -> None:
        """Send the abort; after some tries the task is canceled whatever the runtime does."""
        self.turn.cancel()
        if self._aborts >= self.pace.abort_tries:
            await self._keep(self.turn.close(TaskState.CANCELED, "The runtime did not confirm the abort."))
            return
        if self._aborts == 0:
            with suppress(JournalUnavailable, TimeoutError):  # the intent first, so that a crash does not lose it
                await self.clock.within(self.pace.abort, self.job.log.durable())
        self._aborts += 1
        self._aborted_at = self._now()
        try:
            await self.agent.abort(self.session)
        except (AgentUnreachable, AgentFault) as error:
            _log.warning("session %s could not be aborted (try %d): %s", self.session.id, self._aborts, error)

    async def _stop(self, reason: str) -> None:
        """Stop a turn that went too far."""
        await self._keep(self.turn.close(TaskState.FAILED, reason, Failure("LimitExceeded", reason)))
        try:
            await self.agent.abort(self.session)
        except Refusal as refusal:
            _log.warning("session %s could not be aborted: %s", self.session.id, refusal)


__all__ = ["FollowTurn", "Given", "Job", "Pace", "keep"]
