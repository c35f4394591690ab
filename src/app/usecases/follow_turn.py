"""Follow one turn: hear, or ask when hearing is not enough, until the turn is over."""

from __future__ import annotations

import asyncio
import logging
import posixpath
from collections.abc import Sequence
from contextlib import suppress

from attrs import define, evolve, field

from opencode_a2a_server.app.ports.agent import Agent, Hearing
from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.meter import UNMETERED, Meter, TurnEnd
from opencode_a2a_server.app.usecases.job import Job, Pace, Rest, keep, soon
from opencode_a2a_server.app.usecases.stay import Stay
from opencode_a2a_server.app.usecases.tend_inbox import TendInbox
from opencode_a2a_server.domain.changes import FileChange, FileStatus, changes_told
from opencode_a2a_server.domain.errors import AgentFault, AgentUnreachable, JournalUnavailable, Refusal
from opencode_a2a_server.domain.events import Event, Failure, Gap, Recollection
from opencode_a2a_server.domain.ids import SessionId
from opencode_a2a_server.domain.meanwhile import Meanwhile
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.session import Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.turn import Turn
from opencode_a2a_server.domain.updates import ArtifactTold, StatusChanged, TextAppended, TurnStarted, Update
from opencode_a2a_server.domain.usage import Usage

_log = logging.getLogger(__name__)

_AGAIN = "OpenCode stopped in mid-turn (was it restarted?). It had called no tool, so the prompt is sent again."

_NOBODY: frozenset[SessionId] = frozenset()
_OUTPUT = (TextAppended, ArtifactTold)
_ENDS = {TaskState.COMPLETED: TurnEnd.COMPLETED, TaskState.CANCELED: TurnEnd.CANCELED}


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
    stay: Stay
    audit: Audit
    patch_most: int = 0
    """Bytes that a patch of what the turn changed may have; 0 if changes are not told."""
    meter: Meter = UNMETERED
    prompt_again: bool = False
    """Whether a prompt that the runtime lost is sent a second time, if it did nothing with it."""
    spoke: bool = False
    """Whether it has given output; of one that was taken up that was perhaps long ago."""
    rested: Rest | None = None
    """What it goes on with after it was parked."""
    parks: bool = field(default=False, init=False)
    """Whether it returned with the turn not over, since all that it does is wait for somebody."""

    session: Session = field(init=False)
    hearing: Hearing = field(init=False)
    _began: float = field(init=False)
    _before: Usage = field(init=False)
    """What the task had used before."""
    _inbox: TendInbox = field(init=False)
    _contact: float = field(default=0.0, init=False)
    """When the runtime last said or showed anything."""
    _answered: float = field(default=0.0, init=False)
    """When it last showed what there is."""
    _deadline: float | None = field(default=None, init=False)
    _quiet: float = field(default=0.0, init=False)
    _faults: int = field(default=0, init=False)
    """How often in a row the runtime could not be asked."""
    _unheard: Sequence[Event] = field(default=(), init=False)
    """What was heard while the runtime was asked, and belongs behind what it showed."""
    _listens: bool = field(default=False, init=False)
    """Whether it listens until the runtime, which was asked, has answered."""
    _aborts: int = field(default=0, init=False)
    _aborted_at: float = field(default=0.0, init=False)
    _news: bool = field(default=False, init=False)
    """Whether it has told anything, or heard anything but gaps."""

    @session.default
    def _own(self) -> Session:
        return self.stay.session

    @hearing.default
    def _heard(self) -> Hearing:
        return self.stay.heard

    @_began.default
    def _begun(self) -> float:
        return self.clock.monotonic() if self.rested is None else self.rested.began

    @_before.default
    def _used(self) -> Usage:
        return self.turn.usage

    @_inbox.default
    def _tended(self) -> TendInbox:
        expiries = {} if self.rested is None else dict(self.rested.expiries)
        return TendInbox(
            self.agent, self.clock, self.pace, self.job, self.turn, self.session, self.audit, expiries=expiries
        )

    async def __call__(self) -> None:
        """Follow the turn to its end, or until it parks."""
        self._contact = self._answered = self._now()
        self._quiet = self.pace.first_look
        seconds = self.turn.limits.seconds if self.rested is None else self.rested.left
        if seconds is not None:
            self._deadline = self._now() + seconds
        end: TurnEnd | None = TurnEnd.LEFT
        try:
            await self._take_up()
            while self.turn.outcome is None and not self.parks:
                await self._advance()
            end = None if self.turn.outcome is None else _ENDS.get(self.turn.outcome, TurnEnd.FAILED)
        except Exception:
            end = TurnEnd.FAILED
            raise
        finally:
            self._inbox.close()
            if end is not None:
                self.meter.turn_ended(end, self._now() - self._began, self.usage)

    def rest(self) -> Rest:
        """Say what the turn, which is parked, is to go on with."""
        return Rest(
            self.turn.prompt,
            self._began,
            None if self._deadline is None else self._deadline - self._now(),
            self.spoke,
            self._inbox.expiries,
            self.turn.family if len(self.turn.family) > 1 else _NOBODY,
            looks=0 if self.rested is None or self._news else self.rested.looks + 1,
        )

    @property
    def usage(self) -> Usage:
        """What this turn has used."""
        return self.turn.usage - self._before

    async def _advance(self) -> None:
        if self.job.canceled.is_set() and self._abort_is_due():
            await self._abort()
            return
        if self._inbox.busy:
            await self._inbox()
        events = await self._hear()
        if events is not None:
            await self._take(events)
        if self.turn.outcome is not None:
            return
        if reason := self._passed():
            await self._stop(reason)
        elif events is None and self._may_park():
            self.parks = True
        elif events is None or any(type(event) is Gap for event in events):
            await self._ask()

    async def _take_up(self) -> None:
        """Go on with a turn that was begun before; with one that was parked by the answer that it waited for."""
        if self.turn.doubtful and not self.job.canceled.is_set():
            if self.rested is not None and self._inbox.busy:
                await self._inbox()
            await self._catch_up()
            self.parks = self.rested is not None and not self._news and self._may_park()
        self.job.catch_up()

    async def _catch_up(self) -> None:
        """Go on at once with a turn that others have begun: with what is heard already, then with what is shown."""
        self.hearing.wake()
        await self._take(await self._hear() or ())
        if self.turn.outcome is None:
            await self._ask()

    def _may_park(self) -> bool:
        """Whether all that is to be done is to wait for somebody."""
        return (
            self.turn.only_waits
            and self._inbox.only_waits
            and not (self._unheard or self._faults or self._aborts or self.job.canceled.is_set())
        )

    def _now(self) -> float:
        return self.clock.monotonic()

    async def _hear(self) -> Sequence[Event] | None:
        """Give what is heard, None when patience ends. A person's time to answer is not the turn's."""
        if self._unheard:
            heard, self._unheard = self._unheard, ()
            return heard
        began, waits = self._now(), self.job.waits
        try:
            return await self.clock.within(self._inbox.within(self._patience()), self.hearing.next())
        except TimeoutError:
            return None
        finally:
            if waits and self._deadline is not None:
                self._deadline += self._now() - began

    def _patience(self) -> float:
        if self._aborts:
            return min(self._usual_patience(), self._until_abort)
        return self._usual_patience()

    def _usual_patience(self) -> float:
        if self._faults:
            return min(self.pace.retry * float(2 ** (self._faults - 1)), self.pace.retry_most)
        if self.turn.doubtful:
            return self.pace.settle
        if self._aborts:
            return self.pace.abort / 2  # then there is time to look whether it had its effect
        if self._may_park():
            return self.pace.park
        return self.pace.waiting if self.turn.pending else self._quiet

    @property
    def _until_abort(self) -> float:
        return max(self._aborted_at + self.pace.abort - self._now(), 0.0)

    async def _take(self, events: Sequence[Event]) -> None:
        """Take what was heard. Who hears only gaps hears nothing for now, and looks more often."""
        if events:
            deaf = all(type(event) is Gap for event in events)
            self._news = self._news or not deaf
            self._quiet = self.pace.first_look if deaf else self.pace.quiet
            await self._tell(events)

    async def _tell(self, events: Sequence[Event]) -> None:
        """Journal what comes of events. A store without room holds up the turn: what it says meanwhile is kept."""
        self._contact = self._now()
        self.turn.now = self.clock.now()
        if updates := self.turn.receive_all(events):
            self._news = True
            if not self.spoke and any(isinstance(update, _OUTPUT) for update in updates):
                self.spoke = True
                self.meter.turn_spoke(self._now() - self._began)
            await self._keep(updates)
            await self._inbox.note(updates)

    async def _keep(self, updates: Sequence[Update]) -> None:
        if not updates:
            return
        if self.turn.outcome is not None and self.turn.changed and self.patch_most:
            await keep(self.job.log, updates[:-1], self.clock, self.pace.retry)
            updates = [*await self._changes(), updates[-1]]
        if self._begins_anew():
            updates = [*updates[:-1], *self._anew()]
        await keep(self.job.log, updates, self.clock, self.pace.retry, self._unless_more_waits)

    def _begins_anew(self) -> bool:
        """
        Say whether the prompt is sent a second time.

        The runtime was seen at rest often enough without an end of the turn, so nothing works on it; it called no tool,
        so nothing is done twice; and the message has not been tried again before.
        """
        turn, task = self.turn, self.job.log.task
        return self.prompt_again and turn.lost and turn.idle_handed and not (turn.canceling or task.again)

    def _anew(self) -> Sequence[Update]:
        """End the turn and begin the next in one step of the journal, so that no crash comes between."""
        _log.warning("task %s: OpenCode lost the prompt, it is sent again", self.job.log.task.id)
        said = StatusChanged(TaskState.WORKING, (TextPart(_AGAIN),), self.turn.usage)
        begun = TurnStarted(self.session, self.agent.new_prompt_id(), again=True)
        return [*self.turn.take_back(), said, begun]

    async def _changes(self) -> Sequence[Update]:
        """Say what the turn has changed on disk; a runtime that does not answer must not hold up the end."""
        try:
            changes = await self.clock.within(self.pace.changes, self._compared())
        except (AgentUnreachable, AgentFault, TimeoutError) as error:
            _log.warning("what task %s changed cannot be told: %s", self.job.log.task.id, str(error) or "no answer")
            changes = ()
        # OpenCode cannot compare what an abort cut short; which files there are it has said.
        paths = (posixpath.relpath(path, self.session.directory or "/") for path in self.turn.changed)
        listed = [FileChange(path, FileStatus.CHANGED, text=False) for path in paths]
        return changes_told(changes or listed, self.turn.prompt, self.patch_most)

    async def _compared(self) -> Sequence[FileChange]:
        """
        Ask for the changes until there are any.

        OpenCode compares its snapshots only when a turn is over, and says that it is over first. What was cut short it
        does not compare at all.
        """
        pause = self.pace.compare
        while not (changes := await self.agent.changes(self.session, self.turn.prompt)):
            if self.turn.outcome is not TaskState.COMPLETED:
                break
            await self.clock.sleep(pause)
            pause *= 2
        return changes

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
        return self._inbox.stuck or self.turn.breach

    async def _ask(self) -> None:
        """Ask the runtime what it shows; one that neither answers nor says anything for too long ends the turn."""
        try:
            seen = await self._recollection()
        except (AgentUnreachable, AgentFault):
            if self._now() - self._answered > self.pace.unreachable:  # what was missed is not to be known
                await self._keep(self.turn.tell_behind())
            if self._now() - self._contact > self.pace.unreachable:
                raise
            self.turn.doubtful = True
            self._faults += 1
            return
        if seen is None:
            self.turn.doubtful = True
            return
        self._faults, self._answered = 0, self._now()
        await self._tell((seen,))
        self._inbox.see(seen)

    async def _recollection(self) -> Recollection | None:
        """
        Give what the runtime shows, None if somebody wants something of the turn before it has answered.

        Meanwhile the texts that are being told go on: it may take long, or never answer this call.
        """
        if self._is_wanted:
            return None
        asked = asyncio.get_running_loop().create_task(self._recall(self._call_patience()))
        asked.add_done_callback(self._stop_listening)
        meanwhile = Meanwhile(self.turn)
        try:
            while not asked.done():
                self._listens = True
                heard = await self.hearing.next()
                self._listens = False
                if heard:
                    await self._tell(meanwhile.hear(heard))
                if self._is_wanted and not asked.done():
                    return None
            return asked.result()
        finally:
            self._listens = False
            self._unheard = meanwhile.kept
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def _recall(self, patience: float) -> Recollection:
        return await soon(self.clock, patience, self.agent.recall(self.session, self.turn.prompt))

    def _stop_listening(self, _: object) -> None:
        """Go on with what is shown; who does not listen must not be woken by it when he next does."""
        if self._listens:
            self.hearing.wake()

    @property
    def _is_wanted(self) -> bool:
        """Whether there is something to be done for somebody at once."""
        return self._inbox.due or (self.job.canceled.is_set() and self._abort_is_due())

    def _call_patience(self) -> float:
        """Grow with each call in vain; the next abort does not wait for one."""
        if self._aborts:
            return max(self._until_abort, self.pace.retry)
        return self.pace.call * float(2 ** min(self._faults, 3))

    async def _look_last(self) -> None:
        """Tell all that the runtime has said by now, if it soon lets us know: of a turn ended by force no more is told."""
        try:
            seen = await self.clock.within(self.pace.abort, self._shown())
        except TimeoutError:
            _log.warning(
                "what was said last in task %s is not known: the runtime does not show it", self.job.log.task.id
            )
        else:
            await self._tell((seen,))
        self.hearing.wake()
        await self._take((*self._unheard, *await self.hearing.next()))
        self._unheard = ()

    async def _shown(self) -> Recollection:
        """Ask until there is an answer: to one call there may never be any."""
        while True:
            with suppress(AgentUnreachable, AgentFault):
                return await self._recall(self.pace.abort / 2)
            await self.clock.sleep(self.pace.retry)

    def _abort_is_due(self) -> bool:
        return self._aborts == 0 or self._until_abort == 0

    async def _abort(self) -> None:
        """Send the abort; after some tries the task is canceled whatever the runtime does."""
        self.turn.cancel()
        if self._aborts >= self.pace.abort_tries:
            await self._end_by_force(TaskState.CANCELED, "The runtime did not confirm the abort.")
            return
        if self._aborts == 0:
            with suppress(JournalUnavailable, TimeoutError):  # the intent first, so that a crash does not lose it
                await self.clock.within(self.pace.abort, self.job.log.durable())
        self._aborts += 1
        self._aborted_at = self._now()
        try:
            await soon(self.clock, self.pace.abort, self.agent.abort(self.session))
        except (AgentUnreachable, AgentFault) as error:
            _log.warning("session %s could not be aborted (try %d): %s", self.session.id, self._aborts, error)

    async def _stop(self, reason: str) -> None:
        """Stop a turn that went too far."""
        if not await self._end_by_force(TaskState.FAILED, reason, Failure("LimitExceeded", reason)):
            return
        try:
            await soon(self.clock, self.pace.abort, self.agent.abort(self.session))
        except Refusal as refusal:
            _log.warning("session %s could not be aborted: %s", self.session.id, refusal)
        else:
            self.job.restless = False

    async def _end_by_force(self, state: TaskState, reason: str, failure: Failure | None = None) -> bool:
        """End a turn while the runtime works on, as far as is known; False if the last look showed its end."""
        await self._look_last()
        if self.turn.outcome is not None:
            return False
        self.job.restless = True
        await self._keep(self.turn.close(state, reason, failure))
        return True


__all__ = ["FollowTurn"]
