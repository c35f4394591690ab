"""
A turn: from the sending of one prompt until the session rests. The merger, sans-IO.

Events of the runtime go in, updates of the task come out. The same object is driven by the live feed, by what the
runtime shows when asked (`Recollection`), and by both in turns; whatever the mix and wherever it was cut, the reader
gets each character once.

What makes this hard is that OpenCode's own signs are not to be trusted one by one (measured on 1.18):

- *idle* comes early (before the last message is whole), twice, late (from the turn before), or never;
- *error* may be final or not: a context overflow is followed by a compaction and by the answer;
- text of an attempt that is tried again stays where it was, without an end;
- deltas that were missed are gone, and a part shows "" until it is whole;
- a request that an abort left unanswered is listed as waiting for ever.

So an idle ends the turn only if the feed told an answer before it and the last one is whole; else the turn is
`doubtful` and asks its driver for a recollection, which decides. What a recollection does not show clearly (rest
without an end, an interrupt that is gone) must be seen twice: it is gathered by several calls while OpenCode goes on.

Readers keep blocks in the order they were told of them. So what begins after a gap waits until a recollection has shown
what was missed before it; blocks that were told of go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from attrs import define, evolve, field, frozen

from .events import (
    Answered,
    Asked,
    ContentSeen,
    Event,
    Failure,
    FilesChanged,
    Gap,
    MessageRemoved,
    MessageSeen,
    PartRemoved,
    Recollection,
    SessionBusy,
    SessionFailed,
    SessionGone,
    SessionIdle,
    SessionOpened,
    SessionRetrying,
    StepFinished,
    Telling,
    TextDelta,
    TextSeen,
    TextUnderway,
    ToolSeen,
    ToolState,
    TurnOver,
)
from .held import Behind, Held, PartTelling
from .ids import MessageId, PartId, RequestId, SessionId
from .inbox import Inbox
from .interrupt import Interrupt
from .message import Part, Role, TextPart
from .output import Output
from .state import TaskState
from .task import Task
from .terms import Terms
from .updates import StatusChanged, Update
from .usage import Usage

_DOUBTS_ENOUGH = 2
"""Recollections of a rest without a clear end, before the turn is ended by what is known."""
_DOUBTS_UNANSWERED = 20
"""The same of a prompt without any answer: OpenCode shows a rest until it begins, and a cold one takes seconds to."""

_ABORTED = "The turn was aborted in OpenCode."
_CUT = frozenset({"", "tool-calls", "unknown"})
"""How a message ends that another one was to follow."""


@frozen
class Limits:
    """
    How far a turn may go, since a model that never finishes makes OpenCode call it for ever.

    None means no bound. `aimless_steps` bounds calls in a row that ended without saying why (finish "unknown").
    `seconds` is for the driver, which has a clock.
    """

    steps: int | None = 500
    aimless_steps: int | None = 8
    output_bytes: int | None = 64 * 1024 * 1024
    cost: float | None = None
    seconds: float | None = 4 * 3600.0


@define(eq=False)
class Turn:
    """
    One turn of a task in a session.

    `outcome` is None until the turn is over; after that nothing comes out any more.
    """

    session: SessionId
    prompt: MessageId
    limits: Limits = field(factory=Limits, kw_only=True)
    inbox: Inbox = field(factory=Inbox, kw_only=True)
    """What it asks. The driver gives answers and tells that deadlines have come; the turn does the rest."""
    now: float = field(default=0.0, init=False)
    """The time, in seconds since the epoch; whoever drives the turn sets it before events are received."""
    outcome: TaskState | None = field(default=None, init=False)
    doubtful: bool = field(default=False, init=False)
    """Whether the driver should ask the runtime for a recollection soon."""
    lost: bool = field(default=False, init=False)
    """Whether it is over since the runtime, restarted perhaps, no longer works on it."""
    canceling: bool = field(default=False, kw_only=True)

    # What it said and used
    _output: Output = field(kw_only=True)
    _spent: Usage = field(factory=Usage, kw_only=True)
    _steps: set[PartId] = field(factory=set, init=False)
    _aimless: int = field(default=0, init=False)
    _changed: dict[str, None] = field(factory=dict, init=False)

    # Whose words are the turn's
    _family: set[SessionId] = field(factory=set, kw_only=True)
    _prompts: set[MessageId] = field(factory=set, init=False)
    _since: int | None = field(default=None, init=False)
    """When the runtime took the prompt, by its own clock; None until it shows it."""
    _answers: dict[MessageId, MessageSeen] = field(factory=dict, init=False)
    _foreign: set[MessageId] = field(factory=set, init=False)
    _held: Held = field(factory=Held, init=False)
    """What is said of messages of which nobody has said yet whose they are."""
    _behind: Behind = field(factory=Behind, init=False)
    """What is said of blocks that come behind what was missed: told when that is."""
    _recalling: bool = field(default=False, init=False)
    """Whether it is being retold what there is, each part in its place."""

    # Whether it is over
    _last: MessageSeen | None = field(default=None, init=False)
    """The last answer of the session itself."""
    _heard: bool = field(default=False, init=False)
    """Whether the feed told an answer: an idle before that is the last turn's."""
    _failure: Failure | None = field(default=None, init=False)
    _doubts: int = field(default=0, init=False)

    @_output.default
    def _silent(self) -> Output:
        return Output(self.session)

    def __attrs_post_init__(self) -> None:
        self._family.add(self.session)
        self._prompts.add(self.prompt)

    @classmethod
    def of(cls, task: Task, session: SessionId, prompt: MessageId, limits: Limits, terms: Terms | None = None) -> Turn:
        """Begin a turn of a task, or go on with one whose updates so far are in the task."""
        return cls(
            session,
            prompt,
            limits=limits,
            inbox=Inbox.of(task, terms or Terms()),
            canceling=task.canceling,
            output=Output.resumed(session, task.artifacts.values()),
            spent=task.usage or Usage(),
            family={artifact.lane for artifact in task.artifacts.values() if artifact.lane is not None},
        )

    # What the driver asks and says

    @property
    def pending(self) -> Mapping[RequestId, Interrupt]:
        """What somebody is to answer, oldest first."""
        return self.inbox.pending

    @property
    def usage(self) -> Usage:
        """What the task consumed, this turn and those before it."""
        return self._spent

    @property
    def changed(self) -> tuple[str, ...]:
        """Paths of the files that it changed, as far as was heard."""
        return tuple(self._changed)

    @property
    def breach(self) -> str:
        """Which limit is passed, in words; empty if none is."""
        limits = self.limits
        for what, is_, most in (
            ("steps", len(self._steps), limits.steps),
            ("steps in a row without a finish reason", self._aimless, limits.aimless_steps),
            ("bytes of output", self._output.size, limits.output_bytes),
            ("cost", self._spent.cost, limits.cost),
        ):
            if most is not None and is_ > most:
                return f"the turn passed its limit of {most} {what}"
        return ""

    @property
    def family(self) -> frozenset[SessionId]:
        """The turn's session and those of its sub-agents."""
        return frozenset(self._family)

    @property
    def only_waits(self) -> bool:
        """Whether all that is known of it is told, and it waits for somebody: it can be gone on with from its task."""
        untold = self._output.underway or self._held.any
        return bool(self.inbox.pending) and not (self.doubtful or self.canceling or untold)

    def wait_no_more(self, family: frozenset[SessionId]) -> None:
        """Go on from its task after it only waited: nothing was missed, but what it knew is for the runtime to show."""
        self._family |= family
        self.doubtful = True

    def tells(self, part: PartId) -> bool:
        """Whether a text is being told to the reader."""
        return self._output.tells(part)

    def cancel(self) -> None:
        """Note that the end of this turn is wanted: an abort that follows is a cancellation."""
        self.canceling = True

    @property
    def idle_handed(self) -> bool:
        """Whether it called no tool, and so did nothing that could be done twice."""
        return not any(self._output.calls(message) for message in self._answers)

    def take_back(self) -> list[Update]:
        """Withdraw all that it told: its message is going to be answered anew."""
        return [update for message in self._answers for update in self._output.withdraw_message(message)]

    def tell_behind(self) -> list[Update]:
        """Tell what had to wait for what was missed: that is told now, or will never be known."""
        self._output.mend()
        return [update for telling in self._behind.take_all() for update in self._hear_part(telling)]

    def close(self, state: TaskState, text: str = "", failure: Failure | None = None) -> list[Update]:
        """End the turn from outside, behind all that is known of it; nothing if it is over."""
        if self.outcome is not None:
            return []
        updates = self.tell_behind()
        self.outcome = state
        self.doubtful = False
        parts: tuple[Part, ...] = (TextPart(text),) if text else ()
        return [*updates, StatusChanged(state, parts, self.usage, failure)]

    # What the runtime says

    def receive_all(self, events: Sequence[Event]) -> list[Update]:
        """Take events that arrived together; deltas of one block that stand in a row become one update."""
        updates: list[Update] = []
        for part, run in groupby(events, key=_delta_of):
            if part is None:
                for event in run:
                    updates += self.receive(event)
                continue
            deltas = [event for event in run if isinstance(event, TextDelta)]
            first = deltas[0]
            if len(deltas) > 1:
                first = TextDelta(first.session, first.message, part, "".join([delta.text for delta in deltas]))
            updates += self.receive(first)
        return updates

    def receive(self, event: Event) -> list[Update]:  # noqa: C901, PLR0911, PLR0912 - one line for each kind of event
        """Take one event; what comes back is what the client is told."""
        if self.outcome is not None:
            return []
        match event:
            case (
                TextDelta()
                | TextSeen()
                | TextUnderway()
                | ToolSeen()
                | ContentSeen()
                | PartRemoved()
                | FilesChanged()
                | StepFinished()
            ):
                return self._hear_part(event)
            case MessageSeen():
                return self._hear_message(event)
            case MessageRemoved():
                return self._hear_removal(event)
            case SessionOpened():
                return self._adopt(event)
            case SessionBusy():
                return []
            case SessionRetrying():
                return self._hear_retry(event)
            case SessionFailed():
                return self._hear_failure(event)
            case SessionIdle():
                return self._rest() if event.session == self.session else []
            case SessionGone():
                return self._give_up("the session was deleted in OpenCode") if event.session == self.session else []
            case Asked():
                return self._ask(event.interrupt)
            case Answered():
                return self.inbox.settle(event.request, event.resolution)
            case TurnOver():
                return self.close(event.state, event.text) if event.session == self.session else []
            case Gap():
                return self._tear()
            case Recollection():
                return self._recall(event)

    # Whose words are the turn's

    def _adopt(self, opened: SessionOpened) -> list[Update]:
        if opened.parent in self._family:
            self._family.add(opened.session)
        return []

    def _hear_message(self, seen: MessageSeen, *, recalled: bool = False) -> list[Update]:
        if seen.session not in self._family:
            return []
        if seen.role is Role.USER:
            return self._hear_user(seen, recalled=recalled)
        if (answers := self._is_answer(seen)) is None:
            return []
        if not answers:
            self._disown(seen.message)
            return []
        known = self._answers.get(seen.message)
        if known is not None and known.completed and not seen.completed:
            return []  # overtaken by a later telling
        self._answers[seen.message] = seen
        if seen != known:
            self._doubts = 0
        if seen.session == self.session:
            self._follow(seen, known)
            if not recalled:
                self._heard = True
                self._failure = self._failure if known is not None else None  # it goes on: that was not final
        return [] if recalled else self._release(seen.message)

    def _hear_user(self, seen: MessageSeen, *, recalled: bool) -> list[Update]:
        """A prompt of this turn: ours, or one OpenCode posted anew (after a compaction) or merged with ours."""
        self._disown(seen.message)  # whatever it says is not the agent's
        if seen.session != self.session:
            return []
        if seen.message == self.prompt:
            if self._since is None and not recalled:
                self._failure = None  # it was the last turn's
            self._since = seen.created if self._since is None else min(self._since, seen.created)
        elif self._since is not None and seen.created >= self._since:
            self._prompts.add(seen.message)
        return []

    def _is_answer(self, seen: MessageSeen) -> bool | None:
        """Whether it answers this turn's prompt; None while nobody can tell. Sub-agents are prompted by their task."""
        if seen.session == self.session:
            return seen.parent in self._prompts
        return None if self._since is None else seen.created >= self._since

    def _follow(self, seen: MessageSeen, known: MessageSeen | None) -> None:
        """Keep the last answer: the youngest, and of two as young the one that was told of later."""
        last = self._last
        if last is None or seen.message == last.message or (seen.created, known is None) > (last.created, False):
            self._last = seen

    def _disown(self, message: MessageId) -> None:
        self._foreign.add(message)
        self._held.drop(message)

    def _hear_removal(self, removed: MessageRemoved) -> list[Update]:
        if self._answers.pop(removed.message, None) is None:
            return []
        self._disown(removed.message)
        self._behind.drop(lambda telling: telling.message == removed.message)
        if self._last is not None and self._last.message == removed.message:
            self._last = None
        return self._output.withdraw_message(removed.message)

    # Parts

    def _hear_part(self, event: PartTelling) -> list[Update]:
        if event.session not in self._family:
            return []
        if event.message is not None and event.message not in self._answers and not self._goes_on(event):
            if event.message not in self._foreign:
                self._held.keep(event, event.message)
            return []
        if isinstance(event, ToolSeen) and event.child is not None:
            self._family.add(event.child)
        if self._comes_behind(event):
            return [] if self._behind.keep(event) else self._tear()
        return self._take_part(event)

    def _take_part(self, event: PartTelling) -> list[Update]:  # noqa: PLR0911 - one line for each kind of event
        match event:
            case TextDelta():
                return self._output.hear_delta(event)
            case TextSeen():
                return self._output.hear_text(event, hidden=self._is_hidden(event))
            case TextUnderway():
                hidden = self._is_summary(event.message)
                return self._output.hear_underway(event, hidden=hidden, in_order=self._recalling)
            case ToolSeen():
                return self._output.hear_tool(event)
            case ContentSeen():
                return self._output.hear_content(event)
            case PartRemoved():
                return self._output.withdraw(event.part)
            case FilesChanged():
                self._changed |= dict.fromkeys(event.paths)
                return []
            case StepFinished():
                return self._count(event)

    def _goes_on(self, event: PartTelling) -> bool:
        """Whether it is more of a text that was told before this turn was taken up: whose that is, is known."""
        return isinstance(event, TextDelta | TextUnderway) and self._output.has_text(event.part)

    def _comes_behind(self, event: PartTelling) -> bool:
        """Whether it is of a block that would get its place now, before what was missed: readers keep that order."""
        if self._recalling or not self._output.lossy or isinstance(event, FilesChanged | StepFinished):
            return False
        return event.part in self._behind or not self._output.knows(event.part)

    def _is_hidden(self, seen: TextSeen) -> bool:
        """The reader is not told what OpenCode says to itself."""
        return seen.synthetic or self._is_summary(seen.message)

    def _is_summary(self, message: MessageId | None) -> bool:
        answer = self._answers.get(message) if message is not None else None
        return answer is not None and answer.summary

    def _count(self, step: StepFinished) -> list[Update]:
        if step.part not in self._steps:
            self._steps.add(step.part)
            self._spent += step.usage
            self._aimless = self._aimless + 1 if step.reason == "unknown" else 0
        return []

    def _release(self, message: MessageId) -> list[Update]:
        """Hear what was kept until it was known who says it; the opening of a message may have been missed."""
        held, whole = self._held.take(message)
        updates = [update for telling in held for update in self._hear_part(telling)]
        return updates if whole else updates + self._tear()

    # What does not count, or was missed

    def _hear_retry(self, event: SessionRetrying) -> list[Update]:
        """What the failed call has said will be said again."""
        if event.session not in self._family:
            return []
        self._behind.abandon(event.session)
        updates = self._output.abandon(event.session)
        if self.pending:
            return updates  # a question is being shown; a retry elsewhere must not hide it
        text = f"The model's provider failed ({event.reason}); OpenCode tries again (attempt {event.attempt})."
        return [*updates, StatusChanged(TaskState.WORKING, (TextPart(text),), retry=event.attempt)]

    def _tear(self) -> list[Update]:
        self._output.tear((*self._held.texts(), *self._behind.texts()))
        self.doubtful = True
        return []

    # Interrupts

    def _ask(self, interrupt: Interrupt) -> list[Update]:
        if interrupt.session not in self._family:
            return []
        return self.inbox.ask(interrupt, self.now, by_rule=not self.canceling)

    def _compare_asked(self, asked: Iterable[Interrupt], *, resting: bool) -> list[Update]:
        """
        Bring the inbox in line with what the runtime lists.

        The list keeps what an abort left unanswered, for ever: only a session at work waits for an answer, and only
        for what this turn's messages ask.
        """
        waiting = [] if resting else [interrupt for interrupt in asked if self._may_ask(interrupt)]
        updates, doubtful = self.inbox.compare(waiting, self.now, by_rule=not self.canceling)
        self.doubtful = self.doubtful or doubtful
        return updates

    def _may_ask(self, interrupt: Interrupt) -> bool:
        if self.inbox.knows(interrupt.id):
            return True
        return interrupt.session in self._family and (interrupt.message is None or interrupt.message in self._answers)

    # What the runtime shows

    def _recall(self, seen: Recollection) -> list[Update]:
        self.doubtful = False
        if not seen.known:
            return self._give_up("OpenCode no longer has the session")
        updates = self._retell(seen.told)
        updates += self.tell_behind()
        if self.outcome is not None:
            return updates
        resting = self.session not in seen.busy
        updates += self._compare_asked(seen.asked, resting=resting)
        if resting:
            return updates + self._find_end()
        self._doubts = 0
        return updates

    def _retell(self, told: Iterable[Telling]) -> list[Update]:
        """Hear again what was said; what was kept of a message until it was known is heard where it belongs."""
        updates: list[Update] = []
        last: MessageId | None = None
        self._recalling = True
        for telling in told:
            if isinstance(telling, MessageSeen):
                updates += self._release_known(last)
                last = telling.message
            updates += self._hear_again(telling)
        updates += self._release_known(last)
        self._recalling = False
        return updates

    def _release_known(self, message: MessageId | None) -> list[Update]:
        return [] if message is None or message not in self._answers else self._release(message)

    def _hear_again(self, telling: Telling) -> list[Update]:
        if self.outcome is not None:
            return []
        if isinstance(telling, MessageSeen):
            return self._hear_message(telling, recalled=True)
        kept: Sequence[PartTelling] = ()
        if isinstance(telling, PartTelling) and telling.message in self._answers:
            # Before it is retold: each part has its place.
            kept = (*self._behind.take(telling.part), *self._held.take_part(telling.message, telling.part))
        return [update for one in kept for update in self._hear_part(one)] + self._hear_part_again(telling)

    def _hear_part_again(self, telling: Telling) -> list[Update]:
        if not isinstance(telling, TextSeen):
            return self.receive(telling)
        answer = self._answers.get(telling.message) if telling.message is not None else None
        if telling.message is not None and answer is None:
            return []
        if answer is not None and answer.completed:
            telling = evolve(telling, closed=True)  # without an end in a whole message: of an attempt tried again
        return self._output.hear_text(telling, recalled=True, hidden=self._is_hidden(telling))

    # The end

    def _hear_failure(self, event: SessionFailed) -> list[Update]:
        if event.session == self.session:
            self._failure = self._failure or event.failure  # the first says what is wrong, others only where it hit
            self.doubtful = True  # it may be all that is ever said (an unknown agent)
        return []

    def _rest(self) -> list[Update]:
        """The session says that it rests; believe it if this turn's last message is whole."""
        last = self._last
        whole = not (self._output.open or self._output.lossy)
        if last is not None and last.completed and self._heard and whole:
            return self._conclude(last)
        self.doubtful = True
        return []

    def _find_end(self) -> list[Update]:
        """The session was seen at rest: look how it ended."""
        last = self._last
        if last is not None and self._is_final(last):
            return self._conclude(last)
        if last is None and self._failure is not None and not self._failure.aborted:
            return self._fail(self._failure)
        self._doubts += 1
        unanswered = last is None and self._failure is None and not self.canceling
        if self._doubts < (_DOUBTS_UNANSWERED if unanswered else _DOUBTS_ENOUGH):
            self.doubtful = True
            return []
        if last is not None and last.completed:
            return self._conclude(last)
        if self._failure is not None:
            return self._fail(self._failure)
        self.lost = True
        return self._give_up(self._what_is_missing())

    def _what_is_missing(self) -> str:
        if self._last is not None:
            return "OpenCode stopped in mid-turn (was it restarted?): what it had not finished is lost"
        if self._since is not None:
            return "OpenCode took the prompt but did not answer it"
        return "OpenCode accepted the prompt but never ran it: does the session's directory exist?"

    @staticmethod
    def _is_final(last: MessageSeen) -> bool:
        """Whether nothing was to follow this message. One cut short, or a summary, may just not be followed yet."""
        return last.completed and (last.failure is not None or not (last.finish in _CUT or last.summary))

    def _conclude(self, last: MessageSeen) -> list[Update]:
        if (failure := self._failure_of(last)) is not None:
            return self._fail(failure)
        if self.canceling and last.finish in _CUT:
            return self.close(TaskState.CANCELED)
        ran = self._output.calls(last.message)
        if not last.finish and ToolState.COMPLETED not in ran:  # a shell command has no finish either, but ran
            return self.close(TaskState.CANCELED, _ABORTED)  # while it waited to try again
        # After a call of a tool the model goes on, unless a person said no.
        rejected = last.finish == "tool-calls" and ToolState.ERROR in ran
        why = f" ({self.inbox.refusal})" if self.inbox.refusal else ""
        return self.close(TaskState.COMPLETED, f"Stopped: the request was rejected{why}." if rejected else "")

    def _failure_of(self, last: MessageSeen) -> Failure | None:
        if last.failure is not None:
            return last.failure
        if last.finish in ("", "error") and self._failure is not None:
            return self._failure
        if last.finish == "error":
            return Failure("UnknownError", "the model ended with an error")
        if last.finish == "content-filter":
            return Failure("ContentFilterError", "the model's provider filtered the answer")
        return None

    def _fail(self, failure: Failure) -> list[Update]:
        if self.canceling:
            return self.close(TaskState.CANCELED)
        if failure.aborted:
            return self.close(TaskState.CANCELED, _ABORTED)
        return self.close(TaskState.FAILED, failure.text or failure.name, failure)

    def _give_up(self, text: str) -> list[Update]:
        if self.canceling:
            return self.close(TaskState.CANCELED)
        return self.close(TaskState.FAILED, text, Failure("UpstreamLost", text))


def _delta_of(event: Event) -> PartId | None:
    return event.part if type(event) is TextDelta else None
