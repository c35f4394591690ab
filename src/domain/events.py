"""
What the runtime said: facts, frozen, one closed union.

A runtime tells its output in blocks (parts) of messages of sessions. A part is told by snapshots (`TextSeen`), by
deltas, or by both. `message` may be None for a runtime which has no messages of its own: the part then belongs to the
turn that hears it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

from attrs import field, frozen

from .ids import MessageId, PartId, RequestId, SessionId
from .interrupt import Interrupt
from .message import Json, Part, Role
from .state import TaskState
from .usage import Usage


class TextKind(enum.Enum):
    """What a text block is."""

    TEXT = "text"
    REASONING = "reasoning"


class ToolState(enum.IntEnum):
    """How far a tool call is; a call never goes back."""

    PENDING = 1
    RUNNING = 2
    COMPLETED = 3
    ERROR = 4


@frozen
class Failure:
    """Why a message or a session failed; `status` is the HTTP status the model's provider gave, 0 if none."""

    name: str
    text: str
    status: int = 0

    @property
    def aborted(self) -> bool:
        """Whether somebody stopped it, rather than something broke."""
        return self.name == "MessageAbortedError"


@frozen
class SessionOpened:
    """A session came to be; with a parent it is a sub-agent's."""

    session: SessionId
    parent: SessionId | None


@frozen
class SessionGone:
    """A session was deleted."""

    session: SessionId


@frozen
class MessageSeen:
    """A message as it stands. `created` is in ms of the runtime's clock; `summary` marks a compaction's own text."""

    session: SessionId
    message: MessageId
    role: Role
    parent: MessageId | None = None
    created: int = 0
    completed: bool = False
    finish: str = ""
    failure: Failure | None = None
    summary: bool = False


@frozen
class MessageRemoved:
    """A message is no longer part of its session."""

    session: SessionId
    message: MessageId


@frozen
class TextSeen:
    """A text block as it stands; `closed` means that it is whole. Synthetic text was not said by the model."""

    session: SessionId
    message: MessageId | None
    part: PartId
    kind: TextKind
    text: str
    closed: bool
    synthetic: bool = False


@frozen
class TextDelta:
    """More text of a block."""

    session: SessionId
    message: MessageId | None
    part: PartId
    text: str


@frozen
class TextUnderway:
    """
    How far a block is that is still being told, by who has heard it all along: of `length` characters the last are `tail`.

    For who came later: no snapshot shows what a block says before it is whole.
    """

    session: SessionId
    message: MessageId | None
    part: PartId
    kind: TextKind
    length: int
    tail: str


@frozen
class ToolSeen:
    """A tool call as it stands; `child` is the session of the sub-agent it started."""

    session: SessionId
    message: MessageId | None
    part: PartId
    call: str
    tool: str
    state: ToolState
    title: str = ""
    input: Json = None
    output: str | None = None
    error: str | None = None
    child: SessionId | None = None
    files: tuple[Part, ...] = ()


@frozen
class ContentSeen:
    """A block of any other content, whole: files, data."""

    session: SessionId
    message: MessageId | None
    part: PartId
    content: tuple[Part, ...]
    name: str = ""


@frozen
class PartRemoved:
    """A block is no longer part of its message."""

    session: SessionId
    message: MessageId | None
    part: PartId


@frozen
class FilesChanged:
    """Files on disk were changed, as far as is known by absolute paths."""

    session: SessionId
    message: MessageId | None
    part: PartId
    paths: tuple[str, ...]


@frozen
class StepFinished:
    """One call of the model is over."""

    session: SessionId
    message: MessageId | None
    part: PartId
    reason: str
    usage: Usage


@frozen
class Asked:
    """The runtime waits for an answer."""

    interrupt: Interrupt


@frozen
class Answered:
    """An interrupt is resolved; `resolution` is once, always, reject, replied or rejected."""

    session: SessionId
    request: RequestId
    resolution: str


@frozen
class SessionBusy:
    """The session works."""

    session: SessionId


@frozen
class SessionRetrying:
    """A call of the model failed and will be tried again: what it has told so far does not count."""

    session: SessionId
    attempt: int
    reason: str


@frozen
class SessionIdle:
    """
    The session rests.

    A hint, no proof of an end: it may come early, twice, late from the turn before, or never.
    """

    session: SessionId


@frozen
class SessionFailed:
    """Something failed in the session; not always for good."""

    session: SessionId
    failure: Failure


@frozen
class Gap:
    """Events may have been missed: what open blocks told since is incomplete."""


@frozen
class TurnOver:
    """A runtime which knows the end of its turn says so, with the state the task is to have."""

    session: SessionId
    state: TaskState
    text: str = ""
    details: Mapping[str, Json] = field(factory=dict)


Telling: TypeAlias = (
    SessionOpened
    | SessionGone
    | MessageSeen
    | MessageRemoved
    | TextSeen
    | TextDelta
    | TextUnderway
    | ToolSeen
    | ContentSeen
    | PartRemoved
    | FilesChanged
    | StepFinished
    | Asked
    | Answered
    | SessionBusy
    | SessionRetrying
    | SessionIdle
    | SessionFailed
    | Gap
    | TurnOver
)


@frozen
class Recollection:
    """
    What the runtime shows when it is asked, rather than what it told.

    `busy` are the sessions at work; `told` retells the session and its descendants in order, each message before its
    parts; `asked` is all that waits for an answer, in whatever session. `known` is False if the runtime does not have
    the session. What the runtime tells while it is being asked is received after the recollection: it then says
    nothing twice.
    """

    busy: frozenset[SessionId]
    told: tuple[Telling, ...]
    asked: tuple[Interrupt, ...] = ()
    known: bool = True


Event: TypeAlias = Telling | Recollection
