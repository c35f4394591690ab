"""The task: the fold of its journal."""

from __future__ import annotations

from typing import Self

from attrs import define, field, frozen

from .errors import IllegalTransition
from .events import Failure
from .ids import ArtifactId, ContextId, MessageId, Principal, RequestId, Seq, SessionId, TaskId
from .interrupt import Answer, Answerer, Channel, Interrupt, resolution_of
from .message import Message, Part, Role, TextPart
from .session import Session
from .state import TaskState, step
from .updates import (
    AnswerDropped,
    AnswerGiven,
    ArtifactTold,
    BlockKind,
    CancelRequested,
    Entry,
    InterruptRaised,
    InterruptResolved,
    MessageReceived,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
    Update,
)
from .usage import Usage

_NEVER = Seq(0)
_STRUCTURED = frozenset({"application/json", "application/*", "*/*", "*"})


@define
class Artifact:
    """One block of output as far as it was told. Its text grows in pieces, so that an append costs the same always."""

    id: ArtifactId
    kind: BlockKind
    message: MessageId | None
    lane: SessionId | None
    name: str
    seq: Seq
    """The last update that touched it."""
    closed: bool = False
    _parts: tuple[Part, ...] = ()
    _pieces: list[str] = field(factory=list)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content; text is one part however many updates told it."""
        if self._pieces:
            grown = TextPart("".join([self._said(), *self._pieces]))
            self._parts = (grown,)
            self._pieces = []
        return self._parts

    @property
    def text(self) -> str:
        """The text told so far, empty for other content."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    def append(self, text: str) -> None:
        """Add text at the end."""
        if text:
            self._pieces.append(text)

    def _said(self) -> str:
        match self._parts:
            case ():
                return ""
            case (TextPart(text=text),):
                return text
        raise IllegalTransition(f"artifact {self.id} is not text and cannot grow by text")


@define
class Status:
    """Where the task stands, since when, and what was said with it."""

    state: TaskState
    at: float
    seq: Seq
    parts: tuple[Part, ...] = ()


@frozen
class Settled:
    """How an interrupt ended and when; the answer and whose it was, if it was one of ours."""

    request: RequestId
    resolution: str
    by: Principal | None = None
    channel: Channel | None = None
    reason: str = ""
    answer: Answer | None = None
    at: float = 0.0

    @property
    def answerer(self) -> Answerer | None:
        """Who answered."""
        return None if self.channel is None else Answerer(self.channel, self.by, self.reason)


@define
class Task:
    """
    One unit of work, as of update `seq`.

    Only `apply` changes it. Readers encode what they need at once and keep no reference over an await.
    """

    id: TaskId
    context_id: ContextId
    principal: Principal
    created_at: float
    seq: Seq
    status: Status
    history: list[Message]
    artifacts: dict[ArtifactId, Artifact] = field(factory=dict)
    session: Session | None = None
    prompt: MessageId | None = None
    """The prompt of the turn under way, or of the last one."""
    usage: Usage | None = None
    failure: Failure | None = None
    pending: dict[RequestId, Interrupt] = field(factory=dict)
    """Interrupts that wait for an answer, oldest first."""
    given: dict[RequestId, AnswerGiven] = field(factory=dict)
    """Answers whose effect has not shown yet."""
    resolved: dict[RequestId, Settled] = field(factory=dict)
    canceling: bool = False
    waiting: list[int] = field(factory=list)
    """Messages that wait for a turn of their own, oldest first, by their places in the history."""
    prompted: int = 0
    """The place of the message which the turn under way works on, or the last one did."""
    turn_seq: Seq = _NEVER
    """The update with which that turn began."""
    again: bool = False
    """Whether that turn is the second try at its message; there is no third."""
    accepts: tuple[str, ...] = ()
    """Media types of output, as the last message that says anything of them does."""

    @classmethod
    def submitted(cls, task_id: TaskId, entry: Entry) -> Self:
        """
        Begin a task with the first entry of its journal.

        Raises:
            IllegalTransition: The entry is not a `TaskSubmitted`.

        """
        update = entry.update
        if not isinstance(update, TaskSubmitted):
            raise IllegalTransition(f"the journal of {task_id} begins with {type(update).__name__}")
        return cls(
            id=task_id,
            context_id=update.context_id,
            principal=update.principal,
            created_at=entry.at,
            seq=entry.seq,
            status=Status(TaskState.SUBMITTED, entry.at, entry.seq),
            history=[update.message],
            accepts=update.message.accepts,
        )

    @property
    def state(self) -> TaskState:
        """Where the task stands."""
        return self.status.state

    @property
    def worked_on(self) -> Message:
        """The message of the turn under way, or of the last one."""
        return self.history[self.prompted]

    @property
    def only_waits(self) -> bool:
        """Whether nothing is to be done before somebody answers."""
        return bool(self.pending) and not (self.given or self.canceling or self.state.terminal)

    @property
    def text_only(self) -> bool:
        """Whether the client takes text, and no structured data."""
        return bool(self.accepts) and _STRUCTURED.isdisjoint(self.accepts)

    def apply(self, entry: Entry) -> None:
        """
        Take in the next entry of the journal.

        Raises:
            IllegalTransition: The task has ended, or a number is missing.

        """
        if self.state.terminal:
            raise IllegalTransition(f"task {self.id} is {self.state.value}: nothing can follow")
        if entry.seq != self.seq + 1:
            raise IllegalTransition(f"task {self.id} is at {self.seq}, update {entry.seq} cannot follow")
        update = entry.update
        if type(update) is TextAppended:  # first: most updates are
            self._grow(update, entry.seq)
        else:
            self._take(update, entry)
        self.seq = entry.seq

    def _grow(self, update: TextAppended, seq: Seq) -> None:
        artifact = self.artifacts[update.artifact]
        artifact.append(update.text)
        artifact.seq = seq
        artifact.closed = update.last

    def _take(self, update: Update, entry: Entry) -> None:  # noqa: C901, PLR0912 - one case for each kind
        match update:
            case ArtifactTold():
                self.artifacts[update.artifact] = Artifact(
                    id=update.artifact,
                    kind=update.kind,
                    message=update.message,
                    lane=update.lane,
                    name=update.name,
                    seq=entry.seq,
                    closed=update.last,
                    parts=update.parts,
                )
            case StatusChanged():
                self._enter(update.state, entry, update.parts)
                self.usage = update.usage or self.usage
                self.failure = update.failure
                if update.state.terminal:
                    self._end()
            case TurnStarted():
                self.session, self.prompt, self.turn_seq = update.session, update.prompt, entry.seq
                self.again = update.again
                if update.queued and self.waiting:
                    self.prompted = self.waiting.pop(0)
                self._enter(TaskState.WORKING, entry, update.parts)
            case InterruptRaised():
                self.pending[update.interrupt.id] = update.interrupt
                self._show(update.shown or update.interrupt, entry)
            case AnswerGiven():
                self.given[update.request] = update
            case AnswerDropped():
                self.given.pop(update.request, None)
            case InterruptResolved():
                self._settle(update, entry)
            case MessageReceived():
                self._hear(update, entry.seq)
            case CancelRequested():
                self.canceling = True
            case TaskSubmitted():
                raise IllegalTransition(f"task {self.id} was submitted twice")
            case TextAppended():  # pragma: no cover - taken by apply
                self._grow(update, entry.seq)

    def _hear(self, update: MessageReceived, seq: Seq) -> None:
        """Keep a message: for later, as that of the turn which just began, or as an answer."""
        self.history.append(update.message)
        self.accepts = update.message.accepts or self.accepts
        if update.queued:
            self.waiting.append(len(self.history) - 1)
        elif seq == self.turn_seq + 1:
            self.prompted = len(self.history) - 1

    def _settle(self, update: InterruptResolved, entry: Entry) -> None:
        self.pending.pop(update.request, None)
        given = self.given.pop(update.request, None)
        ours = given if given is not None and update.channel is not None else None
        self.resolved[update.request] = Settled(
            update.request,
            update.resolution,
            update.by,
            update.channel,
            update.reason,
            answer=None if ours is None else ours.answer,
            at=entry.at if ours is None else ours.at,
        )
        if update.asked:
            self._show(update.shown, entry)

    def _end(self) -> None:
        """Nothing waits any more; an answer that was given stays the answer although its effect was not seen."""
        for given in self.given.values():
            by = given.by
            self.resolved[given.request] = Settled(
                given.request,
                resolution_of(given.answer),
                by.principal,
                by.channel,
                by.reason,
                given.answer,
                given.at,
            )
        self.given.clear()
        self.pending.clear()
        self.waiting.clear()

    def _show(self, interrupt: Interrupt | None, entry: Entry) -> None:
        """Wait for the answer to this, or work on."""
        if interrupt is None:
            self._enter(TaskState.WORKING, entry)
        else:
            self._enter(TaskState.INPUT_REQUIRED, entry, (TextPart(interrupt.prompt),))

    def _enter(self, state: TaskState, entry: Entry, parts: tuple[Part, ...] = ()) -> None:
        old = self.status
        step(old.state, state)
        if old.parts:
            self.history.append(status_message(self, old))
        self.status = Status(state, entry.at, entry.seq, parts)


def status_message(task: Task, status: Status) -> Message:
    """Give what was said with a status as a message; the id tells the same message however it is read."""
    return Message(
        message_id=MessageId(f"{task.id}-{status.seq}"),
        role=Role.AGENT,
        parts=status.parts,
        context_id=task.context_id,
        task_id=task.id,
    )
