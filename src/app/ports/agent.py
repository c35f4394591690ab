"""The runtime that does the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.ids import Ids
from opencode_a2a_server.app.ports.meter import UNMETERED, Meter
from opencode_a2a_server.app.ports.tracer import UNTRACED, Tracer
from opencode_a2a_server.domain.changes import FileChange
from opencode_a2a_server.domain.events import Event, Recollection
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, SessionId, TaskId
from opencode_a2a_server.domain.interrupt import Answer, Interrupt
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.session import Directory, FoundSession, PromptOptions, Session


@frozen
class Prompt:
    """A message on its way to the runtime, under the id by which the runtime's answers name it."""

    id: MessageId
    session: Session
    task_id: TaskId
    context_id: ContextId
    message: Message
    """The A2A message as it came, with its ids and metadata."""
    options: PromptOptions = field(factory=PromptOptions)


@frozen
class Readiness:
    """Whether the runtime can be worked with; if not, `remedy` says in words what to do about it."""

    ready: bool
    version: str = ""
    remedy: str = ""


class Hearing(Protocol):
    """One listener of the runtime's events: those of one session and of its sub-agents."""

    async def next(self) -> Sequence[Event]:
        """
        Wait until something was said, then give all that has come since.

        Where events may have been missed (the connection was cut, the listener was too slow), a `Gap` stands in
        their place. Cancelling loses nothing. Empty only after `wake`.
        """
        ...

    def wake(self) -> None:
        """Let `next` return at once, with what there is, if only nothing."""
        ...

    def attend(self, call: Callable[[], None] | None) -> None:
        """
        Have this called once, as soon as there is something to hear, for who does not wait in `next` meanwhile.

        At once, if there is something already. It neither raises nor waits. None ends it.
        """
        ...


class Agent(Protocol):
    """
    A runtime which keeps sessions and works on prompts.

    Prompts are admitted, not awaited: what comes of one is heard. All methods may raise `AgentUnreachable` (worth
    another try) and `AgentFault` (not worth one); `check` may not.
    """

    @property
    def name(self) -> str:
        """What to call it in logs and cards."""
        ...

    def check(self, message: Message) -> None:
        """
        Refuse what the runtime cannot take, before anything is kept of it.

        Raises:
            ContentTypeNotSupported: A part of a kind or media type that cannot be mapped.

        """
        ...

    def new_prompt_id(self) -> MessageId:
        """Give an id for the next prompt, in the form the runtime wants; unique over restarts."""
        ...

    async def reply(self, principal: Principal, message: Message) -> Message | None:
        """Answer at once with a bare message, without a task; None lets the message become a task's."""
        ...

    async def open_session(self, title: str, directory: Directory | None = None) -> Session:
        """Create a session, in the runtime's own directory unless another one is named."""
        ...

    async def find_session(self, session_id: SessionId) -> FoundSession | None:
        """Look a session up, whoever made it; None if there is none, or could be none of this id."""
        ...

    async def workspace(self) -> Directory | None:
        """Name the directory that clients are to be kept inside; None if there is nothing like that to choose."""
        ...

    def hear(self, session: Session) -> AbstractAsyncContextManager[Hearing]:
        """Listen to a session; nothing said after entering is missed unless a `Gap` says so."""
        ...

    async def prompt(self, prompt: Prompt) -> None:
        """
        Hand the prompt over; returns when the runtime has taken it, not when it is done.

        The same prompt id given twice is worked on once.

        Raises:
            SessionLost: The session is no more.

        """
        ...

    async def recall(self, session: Session, prompt: MessageId) -> Recollection:
        """Ask what the session shows now, from this prompt on."""
        ...

    async def changes(self, session: Session, prompt: MessageId) -> Sequence[FileChange]:
        """
        Say which files a turn has changed, once it has told of any (`FilesChanged`) and is over.

        What the runtime cannot say of is left out; nothing is given as long as it has not compared them yet.
        """
        ...

    async def answer(self, session: Session, interrupt: Interrupt, answer: Answer) -> bool:
        """Answer an interrupt; False if the runtime no longer waits for it."""
        ...

    async def abort(self, session: Session) -> None:
        """Stop what the session does. Its effect is heard; a session at rest is no error."""
        ...

    async def probe(self) -> Readiness:
        """Look whether the runtime is there and can be worked with; raises nothing."""
        ...


@frozen
class Surroundings:
    """What the service gives to whoever makes its agent."""

    clock: Clock
    ids: Ids
    environ: Mapping[str, str] = field(factory=dict, repr=False)
    """The environment variables, for settings of the runtime's own."""
    meter: Meter = UNMETERED
    tracer: Tracer = UNTRACED
    """Who hears of the runtime's calls, and what they are part of."""


class AgentFactory(Protocol):
    """
    What `A2A_RUNTIME=package.module:factory` names.

    The service enters what it gives once, before it takes requests, and leaves it once, after the last turn was let
    go. An exception on entering stops the start; its message is what the operator reads.
    """

    def __call__(self, surroundings: Surroundings) -> AbstractAsyncContextManager[Agent]:
        """Make the agent; it is there from entering to leaving."""
        ...
