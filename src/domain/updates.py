"""
What the client is told: updates, frozen, one closed union.

A task's journal is the sequence of its updates, numbered from 1; the task anyone reads is their fold
(`task.Task`). Some updates are for the service alone (`heard` by no client): they carry what a restart needs.
"""

from __future__ import annotations

import enum
from typing import Any, TypeAlias

from attrs import define, field, frozen

from .events import Failure
from .ids import ArtifactId, ContextId, MessageId, Principal, RequestId, Seq, SessionId
from .interrupt import Answer, Answerer, Channel, Interrupt
from .message import Message, Part, TextPart
from .session import Session
from .state import TaskState
from .usage import Usage

_REPLACED = (
    "The session of this context is gone. This is a new one: it does not remember what was said before, "
    "the workspace is as it was left."
)


class BlockKind(enum.Enum):
    """What an artifact holds; values are those of `metadata.shared.stream.block_type`."""

    TEXT = "text"
    REASONING = "reasoning"
    TOOL = "tool_call"
    CONTENT = "content"


@frozen
class TaskSubmitted:
    """The first update of each journal."""

    context_id: ContextId
    principal: Principal
    message: Message


@frozen
class MessageReceived:
    """The client said more; `queued` while a turn was under way, so that it waits for a turn of its own."""

    message: Message
    queued: bool = False


@frozen
class TurnStarted:
    """
    A prompt is about to be sent: the task works.

    Journaled before the runtime is told, so that whoever finds the task after a crash can look the prompt up there.
    """

    session: Session
    prompt: MessageId
    queued: bool = False
    """Whether the message that has waited longest is the prompt."""
    replaced: SessionId | None = None
    """The session that was lost, in whose place this one begins anew."""
    again: bool = False
    """Whether the message is the last turn's, which the runtime lost without having done anything."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is said with it: a client must know that nothing is remembered."""
        return () if self.replaced is None else (TextPart(_REPLACED),)


@frozen
class StatusChanged:
    """The task is in a state; `parts` are said with it, `usage` is the task's total where it is known."""

    state: TaskState
    parts: tuple[Part, ...] = ()
    usage: Usage | None = None
    failure: Failure | None = None
    retry: int = 0
    """Which retry of a call of the model this announces; 0 for none."""


@frozen
class InterruptRaised:
    """
    Somebody must answer before the task goes on: it requires input.

    The status goes on showing the oldest interrupt that waits, `shown` if it is not this one: who reads a prompt and
    answers in plain text must not be taken to answer one that came after.
    """

    interrupt: Interrupt
    shown: Interrupt | None = None


@frozen
class AnswerGiven:
    """
    An interrupt is to be answered so: an intent, kept until its effect shows. One that was never raised is decided.

    Journaled before the runtime is told, so that an answer is given once however the service ends.
    """

    interrupt: Interrupt
    answer: Answer
    by: Answerer
    at: float
    """When, in seconds since the epoch."""

    @property
    def request(self) -> RequestId:
        """The interrupt's id."""
        return self.interrupt.id


@frozen
class AnswerDropped:
    """The runtime did not take the answer: the interrupt waits for another one, or is gone."""

    request: RequestId
    reason: str


@frozen
class InterruptResolved:
    """
    An interrupt is gone: answered or withdrawn.

    The task works on, or waits for the next one, which is `shown` from then on. Nobody hears of one that was never
    `asked`, since it was decided before. Who answered, by which `channel` and why is known of our own answers.
    """

    request: RequestId
    resolution: str
    by: Principal | None = None
    shown: Interrupt | None = None
    channel: Channel | None = None
    reason: str = ""
    asked: bool = True


@frozen
class ArtifactTold:
    """
    An artifact begins, or is told anew from its start.

    `message` and `lane` are the runtime's message and, for a sub-agent's output, its session. `last` closes it.
    """

    artifact: ArtifactId
    kind: BlockKind
    parts: tuple[Part, ...]
    message: MessageId | None = None
    lane: SessionId | None = None
    name: str = ""
    last: bool = False


@frozen
class TextAppended:
    """The one text part of an artifact grows; with `last` it is whole."""

    artifact: ArtifactId
    text: str
    last: bool = False


@frozen
class CancelRequested:
    """Somebody wants the task canceled: an intent, kept until its effect shows."""

    by: Principal


Update: TypeAlias = (
    TaskSubmitted
    | MessageReceived
    | TurnStarted
    | StatusChanged
    | InterruptRaised
    | AnswerGiven
    | AnswerDropped
    | InterruptResolved
    | ArtifactTold
    | TextAppended
    | CancelRequested
)


@define
class Entry:
    """
    One line of a journal: an update, its number, and when it was written (seconds since the epoch, UTC).

    `encodings` is a place for adapters to keep what they made of the update, so that it is made once however many
    read it.
    """

    seq: Seq
    at: float
    update: Update
    encodings: dict[str, Any] = field(factory=dict, eq=False, repr=False)
