"""
A turn: from the sending of one prompt until the session rests. The merger, sans-IO.

Events of the runtime go in, updates of the task come out. The same object is driven by the live feed, by what the
runtime shows when asked (`Recollection`), and by both in turns; whatever the mix and wherever it was cut, the reader
gets each character once.

What makes this hard is that OpenCode's own signs are not to be trusted one by one (measured on 1.18):

- *idle* comes early (before the last message is whole), twice, late (from the turn before), or never;
- *error* may be final or not: a context overflow is followed by a compaction and by the answer;
- text of an attempt that is tried again stays where it was, without an end;
- deltas that were missed are gone, and a part shows "" until it is whole.

So an idle ends the turn only if the turn's last message is whole; else the turn is `doubtful` and asks its driver for
a recollection, which decides. A recollection that shows rest without an end must be seen twice before the turn is
given up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from attrs import define, field, frozen

from .block import Append, Rewrite, TextBlock
from .events import (
    Answered,
    Asked,
    ContentSeen,
    Failure,
    Gap,
    MessageSeen,
    PartRemoved,
    Recollection,
    SessionBusy,
    SessionFailed,
    SessionIdle,
    SessionOpened,
    SessionRetrying,
    StepFinished,
    Telling,
    TextDelta,
    TextKind,
    TextSeen,
    ToolSeen,
    ToolState,
    TurnOver,
)
from .events import Event as Event
from .ids import ArtifactId, MessageId, PartId, Principal, RequestId, SessionId
from .interrupt import Interrupt
from .message import DataPart, Json, Part, Role, TextPart
from .state import TaskState
from .task import Task
from .updates import (
    ArtifactTold,
    BlockKind,
    InterruptRaised,
    InterruptResolved,
    StatusChanged,
    TextAppended,
    Update,
)
from .usage import Usage

_DOUBTS_ENOUGH = 2
"""Recollections of a rest without an end, before the turn is given up."""
_HELD_ENOUGH = 4096
"""Events kept for one message whose role is not known yet; beyond, the next snapshot has to tell."""

_BLOCK_KINDS: Mapping[TextKind, BlockKind] = {
    TextKind.TEXT: BlockKind.TEXT,
    TextKind.REASONING: BlockKind.REASONING,
}
_TOOL_STATES: Mapping[ToolState, str] = {state: state.name.lower() for state in ToolState}

_PartTelling = TextSeen | TextDelta | ToolSeen | ContentSeen | PartRemoved | StepFinished


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
    outcome: TaskState | None = field(default=None, init=False)
    doubtful: bool = field(default=False, init=False)
    """Whether the driver should ask the runtime for a recollection soon."""
    canceling: bool = field(default=False, kw_only=True)
    pending: dict[RequestId, Interrupt] = field(factory=dict, kw_only=True)

    _spent: Usage = field(factory=Usage, kw_only=True)
    _blocks: dict[PartId, TextBlock] = field(factory=dict, kw_only=True)
    _tools: dict[PartId, ToolSeen] = field(factory=dict, init=False)
    _contents: set[PartId] = field(factory=set, init=False)
    _early: dict[PartId, list[str]] = field(factory=dict, init=False)
    _steps: dict[PartId, Usage] = field(factory=dict, init=False)
    _family: set[SessionId] = field(factory=set, init=False)
    _prompts: set[MessageId] = field(factory=set, init=False)
    _since: int | None = field(default=None, init=False)
    _answers: dict[MessageId | None, MessageSeen | None] = field(factory=dict, init=False)
    _foreign: set[MessageId] = field(factory=set, init=False)
    _held: dict[MessageId, list[_PartTelling]] = field(factory=dict, init=False)
    _last: MessageId | None = field(default=None, init=False)
    _failure: Failure | None = field(default=None, init=False)
    _settled: set[RequestId] = field(factory=set, kw_only=True)
    _answerers: dict[RequestId, Principal] = field(factory=dict, init=False)
    _doubts: int = field(default=0, init=False)
    _aimless: int = field(default=0, init=False)
    _output: int = field(default=0, init=False)
    _rejected: bool = field(default=False, init=False)
    _prompt_seen: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._family.add(self.session)
        self._prompts.add(self.prompt)
        self._answers[None] = None  # parts without a message are the turn's own

    @classmethod
    def of(cls, task: Task, session: SessionId, prompt: MessageId, limits: Limits) -> Turn:
        """Begin a turn of a task, or go on with one whose updates so far are in the task."""
        return cls(
            session,
            prompt,
            limits=limits,
            canceling=task.canceling,
            pending=dict(task.pending),
            spent=task.usage or Usage(),
            blocks={
                PartId(artifact.id): TextBlock.resumed(artifact.text, closed=artifact.closed)
                for artifact in task.artifacts.values()
                if artifact.kind in (BlockKind.TEXT, BlockKind.REASONING)
            },
            settled=set(task.resolved),
        )

    # What the driver asks and says

    @property
    def usage(self) -> Usage:
        """What the task consumed, this turn and those before it."""
        return sum(self._steps.values(), self._spent)

    @property
    def breach(self) -> str:
        """Which limit is passed, in words; empty if none is."""
        limits = self.limits
        for what, is_, most in (
            ("steps", len(self._steps), limits.steps),
            ("steps in a row without a finish reason", self._aimless, limits.aimless_steps),
            ("bytes of output", self._output, limits.output_bytes),
            ("cost", self.usage.cost, limits.cost),
        ):
            if most is not None and is_ > most:
                return f"the turn passed its limit of {most} {what}"
        return ""

    @property
    def family(self) -> frozenset[SessionId]:
        """The turn's session and those of its sub-agents."""
        return frozenset(self._family)

    def cancel(self) -> None:
        """Note that the end of this turn is wanted: an abort that follows is a cancellation."""
        self.canceling = True

    def answering(self, request: RequestId, by: Principal) -> None:
        """Note who answers an interrupt; it counts when the runtime shows the effect."""
        self._answerers[request] = by

    def close(self, state: TaskState, text: str = "", failure: Failure | None = None) -> list[Update]:
        """End the turn from outside; nothing if it is over."""
        if self.outcome is not None:
            return []
        self.outcome = state
        self.doubtful = False
        parts: tuple[Part, ...] = (TextPart(text),) if text else ()
        return [StatusChanged(state, parts, self.usage, failure)]

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
                first = TextDelta(first.session, first.message, part, "".join(delta.text for delta in deltas))
            updates += self.receive(first)
        return updates

    def receive(self, event: Event) -> list[Update]:  # noqa: C901, PLR0911, PLR0912 - one line for each kind of event
        """Take one event; what comes back is what the client is told."""
        if self.outcome is not None:
            return []
        match event:
            case TextDelta() | TextSeen() | ToolSeen() | ContentSeen() | PartRemoved() | StepFinished():
                return self._hear_part(event)
            case MessageSeen():
                return self._hear_message(event)
            case SessionIdle():
                return self._rest() if event.session == self.session else []
            case SessionBusy():
                return []
            case Asked():
                return self._ask(event.interrupt)
            case Answered():
                return self._hear_answer(event.request, event.resolution)
            case SessionFailed():
                return self._hear_failure(event)
            case SessionRetrying():
                return self._retry(event)
            case SessionOpened():
                if event.parent in self._family:
                    self._family.add(event.session)
                return []
            case Gap():
                return self._tear()
            case TurnOver():
                return self.close(event.state, event.text) if event.session in self._family else []
            case Recollection():
                return self._recall(event)

    # Messages

    def _hear_message(self, seen: MessageSeen) -> list[Update]:
        if seen.session not in self._family:
            return []
        if seen.role is Role.USER:
            return self._hear_user(seen)
        if not self._is_answer(seen):
            self._foreign.add(seen.message)
            self._held.pop(seen.message, None)
            return []
        known = self._answers.get(seen.message)
        if known is not None and known.completed and not seen.completed:
            return []  # overtaken by a later telling
        if seen.session == self.session and (known is None or self._last is None):
            self._last = seen.message
        self._answers[seen.message] = seen
        self._doubts = 0
        return self._release(seen.message)

    def _hear_user(self, seen: MessageSeen) -> list[Update]:
        """A prompt of this turn: ours, or one OpenCode posted anew (after a compaction) or merged with ours."""
        self._foreign.add(seen.message)  # whatever it says is not the agent's
        self._held.pop(seen.message, None)
        if seen.session != self.session:
            return []
        if seen.message == self.prompt:
            self._prompt_seen = True
            self._since = seen.created
        elif self._since is not None and seen.created >= self._since:
            self._prompts.add(seen.message)
        return []

    def _is_answer(self, seen: MessageSeen) -> bool:
        if seen.session == self.session:
            return seen.parent in self._prompts
        return self._since is None or seen.created >= self._since

    def _release(self, message: MessageId) -> list[Update]:
        updates: list[Update] = []
        for telling in self._held.pop(message, ()):
            updates += self._hear_part(telling)
        return updates

    # Parts

    def _hear_part(self, event: _PartTelling) -> list[Update]:
        message = event.message
        if message not in self._answers:
            if message is not None and message not in self._foreign and event.session in self._family:
                held = self._held.setdefault(message, [])
                if len(held) < _HELD_ENOUGH:
                    held.append(event)
            return []
        if event.session not in self._family:
            return []
        match event:
            case TextDelta():
                return self._hear_delta(event)
            case TextSeen():
                return self._hear_text(event, recalled=False)
            case ToolSeen():
                return self._hear_tool(event)
            case ContentSeen():
                return self._hear_content(event)
            case PartRemoved():
                return self._withdraw(event.part, event.session, event.message)
            case StepFinished():
                return self._count(event)

    def _hear_delta(self, delta: TextDelta) -> list[Update]:
        block = self._blocks.get(delta.part)
        if block is None:
            self._early.setdefault(delta.part, []).append(delta.text)
            return []
        if not (text := block.delta(delta.text)):
            return []
        self._output += len(text)
        if block.told == len(text):
            return [self._begin(delta.part, text)]
        return [TextAppended(ArtifactId(delta.part), text)]

    def _hear_text(self, seen: TextSeen, *, recalled: bool) -> list[Update]:
        message = self._answers[seen.message]
        if seen.synthetic or (message is not None and message.summary):
            self._blocks.setdefault(seen.part, TextBlock(closed=True))
            return []
        block = self._blocks.get(seen.part)
        if block is None:
            block = self._blocks[seen.part] = TextBlock(torn=recalled and not seen.closed)
        self._kinds[seen.part] = (seen.kind, seen.session, seen.message)
        if block.torn and not recalled and not seen.text and not block.told:
            block.torn = False  # heard from its very beginning
        updates = self._show(seen.part, block, block.snapshot(seen.text, closed=seen.closed))
        for early in self._early.pop(seen.part, ()):
            updates += self._hear_delta(TextDelta(seen.session, seen.message, seen.part, early))
        return updates

    _kinds: dict[PartId, tuple[TextKind, SessionId, MessageId | None]] = field(factory=dict, init=False)

    def _show(self, part: PartId, block: TextBlock, change: Append | Rewrite | None) -> list[Update]:
        match change:
            case None:
                return []
            case Append(text, last):
                self._output += len(text)
                if block.told == len(text):
                    return [self._begin(part, text, last=last)] if text else []
                return [TextAppended(ArtifactId(part), text, last)]
            case Rewrite(text, last):
                self._output += len(text)
                return [self._begin(part, text, last=last)]

    def _begin(self, part: PartId, text: str, *, last: bool = False) -> ArtifactTold:
        kind, session, message = self._kinds.get(part, (TextKind.TEXT, self.session, None))
        return self._told(part, _BLOCK_KINDS[kind], (TextPart(text),), session, message, last=last)

    def _told(  # noqa: PLR0913 - the fields of an artifact
        self,
        part: PartId,
        kind: BlockKind,
        content: tuple[Part, ...],
        session: SessionId,
        message: MessageId | None,
        *,
        name: str = "",
        last: bool,
    ) -> ArtifactTold:
        lane = None if session == self.session else session
        return ArtifactTold(ArtifactId(part), kind, content, message, lane, name, last)

    def _hear_tool(self, seen: ToolSeen) -> list[Update]:
        if seen.child is not None:
            self._family.add(seen.child)
        before = self._tools.get(seen.part)
        if before is not None and (seen.state < before.state or _tool_view(seen) == _tool_view(before)):
            return []
        self._tools[seen.part] = seen
        view = _tool_view(seen)
        done = seen.state >= ToolState.COMPLETED
        self._output += len(seen.output or "")
        updates: list[Update] = [
            self._told(
                seen.part,
                BlockKind.TOOL,
                (DataPart(view),),
                seen.session,
                seen.message,
                name=seen.tool,
                last=done,
            )
        ]
        if done and seen.files:
            files = ContentSeen(seen.session, seen.message, PartId(f"{seen.part}-files"), seen.files, seen.title)
            updates += self._hear_content(files)
        return updates

    def _hear_content(self, seen: ContentSeen) -> list[Update]:
        if seen.part in self._contents:
            return []
        self._contents.add(seen.part)
        return [
            self._told(
                seen.part, BlockKind.CONTENT, seen.content, seen.session, seen.message, name=seen.name, last=True
            )
        ]

    def _count(self, step: StepFinished) -> list[Update]:
        if step.part not in self._steps:
            self._steps[step.part] = step.usage
            self._aimless = self._aimless + 1 if step.reason == "unknown" else 0
        return []

    # Attempts that do not count

    def _retry(self, event: SessionRetrying) -> list[Update]:
        if event.session not in self._family:
            return []
        updates: list[Update] = []
        for part, block in self._blocks.items():
            if not block.closed and self._kinds.get(part, (None, None, None))[1] == event.session:
                updates += self._withdraw(part, event.session, self._kinds[part][2])
        return [*updates, *self._announce_retry(event)]

    def _announce_retry(self, event: SessionRetrying) -> list[Update]:
        if self.pending:
            return []  # a question is being shown; a retry elsewhere must not hide it
        text = f"The model's provider failed ({event.reason}); OpenCode tries again (attempt {event.attempt})."
        return [StatusChanged(TaskState.WORKING, (TextPart(text),), retry=event.attempt)]

    def _withdraw(self, part: PartId, session: SessionId, message: MessageId | None) -> list[Update]:
        block = self._blocks.setdefault(part, TextBlock())
        told, block.closed = block.told, True
        if not told:
            return []
        block.rewrite("")
        kind = self._kinds.get(part, (TextKind.TEXT, session, message))[0]
        return [self._told(part, _BLOCK_KINDS[kind], (TextPart(""),), session, message, last=True)]

    def _tear(self) -> list[Update]:
        for block in self._blocks.values():
            block.torn = not block.closed
        self._early.clear()
        self.doubtful = True
        return []

    # Interrupts

    def _ask(self, interrupt: Interrupt) -> list[Update]:
        if interrupt.session not in self._family or interrupt.id in self.pending or interrupt.id in self._settled:
            return []
        self.pending[interrupt.id] = interrupt
        return [InterruptRaised(interrupt)]

    def _hear_answer(self, request: RequestId, resolution: str) -> list[Update]:
        if self.pending.pop(request, None) is None:
            return []
        self._settled.add(request)
        self._rejected = self._rejected or resolution in ("reject", "rejected")
        return [InterruptResolved(request, resolution, self._answerers.get(request))]

    # The end

    def _hear_failure(self, event: SessionFailed) -> list[Update]:
        if event.session == self.session:
            self._failure = event.failure
            self.doubtful = True  # it may be all that is ever said (an unknown agent)
        return []

    def _rest(self) -> list[Update]:
        """The session says that it rests; believe it if the last message is whole."""
        last = self._answers.get(self._last) if self._last is not None else None
        if last is None or not last.completed or self._has_open_blocks():
            self.doubtful = True
            return []
        return self._conclude(last)

    def _has_open_blocks(self) -> bool:
        return any(not block.closed for block in self._blocks.values()) or bool(self._early)

    def _recall(self, seen: Recollection) -> list[Update]:
        self.doubtful = False
        if not seen.known:
            return self._give_up("OpenCode no longer has the session")
        updates: list[Update] = []
        for telling in seen.told:
            if isinstance(telling, TextSeen) and telling.message in self._answers:
                updates += self._hear_text(telling, recalled=True)
            elif not isinstance(telling, TextSeen):
                updates += self.receive(telling)
        resting = self.session not in seen.busy
        updates += self._compare_asked(seen.asked, resting=resting)
        if resting:
            updates += self._find_end()
        else:
            self._doubts = 0
        return updates

    def _compare_asked(self, asked: Iterable[Interrupt], *, resting: bool) -> list[Update]:
        """OpenCode lists what an abort left unanswered for ever: only a session at work waits for an answer."""
        waiting = {} if resting else {interrupt.id: interrupt for interrupt in asked}
        updates: list[Update] = []
        for gone in [request for request in self.pending if request not in waiting]:
            updates += self._hear_answer(gone, "withdrawn")
        for interrupt in waiting.values():
            updates += self._ask(interrupt)
        return updates

    def _find_end(self) -> list[Update]:
        last = self._answers.get(self._last) if self._last is not None else None
        if last is not None and last.completed:
            return self._conclude(last)
        if last is None and self._failure is not None:
            return self._fail(self._failure)
        if last is None and self.canceling:
            return self.close(TaskState.CANCELED)
        self._doubts += 1
        if self._doubts < _DOUBTS_ENOUGH:
            self.doubtful = True
            return []
        if self.canceling:
            return self.close(TaskState.CANCELED)
        if last is not None:
            return self._give_up("OpenCode stopped in mid-turn (was it restarted?): what it had not finished is lost")
        if self._prompt_seen:
            return self._give_up("OpenCode took the prompt but did not answer it")
        return self._give_up("OpenCode accepted the prompt but never ran it: does the session's directory exist?")

    def _conclude(self, last: MessageSeen) -> list[Update]:
        failure = last.failure or (Failure("UnknownError", "the model ended with an error") if last.finish == "error" else None)
        if failure is not None:
            return self._fail(failure)
        if not last.finish:  # aborted while it waited to try again
            return self.close(TaskState.CANCELED, "" if self.canceling else "The turn was aborted in OpenCode.")
        text = "Stopped: the request was rejected." if self._rejected and last.finish == "tool-calls" else ""
        return self.close(TaskState.COMPLETED, text)

    def _fail(self, failure: Failure) -> list[Update]:
        if failure.aborted or self.canceling:
            return self.close(TaskState.CANCELED, "" if self.canceling else "The turn was aborted in OpenCode.")
        return self.close(TaskState.FAILED, failure.text or failure.name, failure)

    def _give_up(self, text: str) -> list[Update]:
        return self.close(TaskState.FAILED, text, Failure("UpstreamLost", text))


def _delta_of(event: Event) -> PartId | None:
    return event.part if type(event) is TextDelta else None


def _tool_view(seen: ToolSeen) -> Mapping[str, Json]:
    """What the client sees of a tool call; output that grows while it runs is shown when it is whole."""
    view: dict[str, Json] = {
        "call_id": seen.call,
        "tool": seen.tool,
        "status": _TOOL_STATES[seen.state],
        "title": seen.title or None,
        "input": seen.input,
        "output": seen.output if seen.state is ToolState.COMPLETED else None,
        "error": seen.error,
    }
    return {key: value for key, value in view.items() if value is not None}


__all__ = ["Limits", "Telling", "Turn"]
