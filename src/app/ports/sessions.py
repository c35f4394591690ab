"""
What a runtime shows of its sessions and lets be done with them, beyond what a turn needs.

Three small protocols, so that a runtime may offer some of them. All methods raise `SessionNotFound` for a session or a
message the runtime does not have, besides `AgentUnreachable` and `AgentFault` as `Agent` does. Times are seconds since
the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from attrs import field, frozen

from opencode_a2a_server.domain.ids import MessageId, SessionId
from opencode_a2a_server.domain.interrupt import Interrupt
from opencode_a2a_server.domain.message import Json, Part, Role
from opencode_a2a_server.domain.session import Directory, ModelChoice, PromptOptions, Session
from opencode_a2a_server.domain.usage import Usage


@frozen
class Reverted:
    """Up to where a session was taken back, and what that undid."""

    message_id: str
    part_id: str | None = None
    snapshot: str | None = None
    diff: str | None = None


@frozen
class SessionDetails:
    """A session as the runtime keeps it."""

    id: SessionId
    directory: Directory
    title: str = ""
    created: float | None = None
    updated: float | None = None
    archived: float | None = None
    project_id: str | None = None
    parent_id: SessionId | None = None
    version: str | None = None
    agent: str | None = None
    model: ModelChoice | None = None
    cost: float | None = None
    share_url: str | None = None
    revert: Reverted | None = None

    @property
    def session(self) -> Session:
        """What the rest of the service knows of it."""
        return Session(self.id, self.directory)


@frozen
class SessionFilter:
    """Which sessions are listed; the last changed come first."""

    limit: int
    directory: Directory | None = None
    roots: bool | None = None
    """Whether only those without a parent."""
    start: float | None = None
    """The earliest time of their last change, in milliseconds since the epoch: the runtime's own clock."""
    search: str | None = None
    """What their title has in it."""


@frozen
class SessionState:
    """What a session that does not rest is at."""

    session_id: SessionId
    type: str
    attempt: int | None = None
    message: str | None = None
    next: int | None = None


@frozen
class Todo:
    """One entry of a session's list of things to do. The runtime gives it no id."""

    content: str
    status: str
    priority: str


@frozen
class FileDiff:
    """What became of a file, as a unified diff."""

    file: str = ""
    patch: str | None = None
    additions: int = 0
    deletions: int = 0
    status: str | None = None


@frozen
class Spoken:
    """A message of a session's history, with all its parts; text parts are what was said, all else is data or a file."""

    id: MessageId
    session_id: SessionId
    role: Role
    parts: tuple[Part, ...] = ()
    created: float | None = None
    completed: float | None = None
    parent_id: str | None = None
    agent: str | None = None
    model: ModelChoice | None = None
    finish: str | None = None
    error: Mapping[str, Any] | None = None
    usage: Usage | None = None
    structured: Json = None
    """The data in which the model answered, if it was told a schema; the last part has it, too."""


@frozen
class SpokenPage:
    """Messages, oldest first, and where older ones are read on from."""

    messages: Sequence[Spoken]
    before: str | None = None


class SessionReader(Protocol):
    """Reads."""

    async def list(self, wanted: SessionFilter) -> Sequence[SessionDetails]:
        """List sessions."""
        ...

    async def get(self, session: SessionId) -> SessionDetails:
        """Give one."""
        ...

    async def children(self, session: SessionId) -> Sequence[SessionDetails]:
        """Give the sessions of its sub-agents."""
        ...

    async def states(self, directory: Directory | None) -> Sequence[SessionState]:
        """Give those of a directory which do not rest."""
        ...

    async def interrupts(self, session: Session) -> Sequence[Interrupt]:
        """Give what waits for an answer in a session's directory, of whichever sessions there."""
        ...

    async def todos(self, session: SessionId) -> Sequence[Todo]:
        """Give what the session means to do."""
        ...

    async def changes(self, session: SessionId, message: MessageId | None) -> Sequence[FileDiff]:
        """Give what the turn of a message of the user's changed, or the last one that changed anything."""
        ...

    async def messages(self, session: SessionId, limit: int, before: str | None) -> SpokenPage:
        """
        Give the last messages before a place.

        Raises:
            InvalidRequest: There is no such place.

        """
        ...

    async def message(self, session: SessionId, message: MessageId) -> Spoken:
        """Give one message."""
        ...


class SessionEditor(Protocol):
    """Changes sessions, without any work of the model's except `summarize`."""

    async def create(self, directory: Directory | None, title: str, parent: SessionId | None) -> SessionDetails:
        """Open a session."""
        ...

    async def rename(self, session: SessionId, title: str) -> SessionDetails:
        """Give it another title."""
        ...

    async def delete(self, session: SessionId) -> None:
        """Delete it, with its sub-agents' sessions and all messages."""
        ...

    async def fork(self, session: SessionId, before: MessageId | None) -> SessionDetails:
        """Copy it, up to what is before a message."""
        ...

    async def share(self, session: SessionId) -> SessionDetails:
        """Let anybody read it who has the URL."""
        ...

    async def unshare(self, session: SessionId) -> SessionDetails:
        """Let nobody."""
        ...

    async def revert(self, session: SessionId, message: MessageId, part: str | None) -> SessionDetails:
        """Take it back, files included, to before a message or a part of it."""
        ...

    async def unrevert(self, session: SessionId) -> SessionDetails:
        """Take that back."""
        ...

    async def summarize(self, session: SessionId, model: ModelChoice | None, *, auto: bool) -> None:
        """Have the history replaced by a summary; without a model by the session's own, or the default one."""
        ...


@frozen
class AgentNamed:
    """A sub-agent to work with."""

    name: str


@frozen
class SubtaskGiven:
    """Work for a sub-agent."""

    prompt: str
    description: str
    agent: str
    model: ModelChoice | None = None
    command: str | None = None


PartGiven: TypeAlias = Part | AgentNamed | SubtaskGiven


@frozen
class Order:
    """A prompt as its sender words it, past the message of a task."""

    parts: tuple[PartGiven, ...]
    id: MessageId | None = None
    options: PromptOptions = field(factory=PromptOptions)
    tools: Mapping[str, bool] = field(factory=dict)
    """Which tools the model may use; those not named are as the agent has them."""
    no_reply: bool = False
    """Whether it is only kept, and not worked on."""
    schema: Mapping[str, Any] | None = None
    """What the answer is to look like, as a JSON Schema."""
    retries: int | None = None
    """How often the model may try again if its answer does not."""


@frozen
class Command:
    """A command of the runtime's to run; `arguments` may be empty."""

    name: str
    arguments: str
    id: MessageId | None = None
    options: PromptOptions = field(factory=PromptOptions)
    files: tuple[Part, ...] = ()


@frozen
class ShellLine:
    """A line for the shell."""

    agent: str
    command: str
    model: ModelChoice | None = None


class SessionWorker(Protocol):
    """
    Has sessions work, outside of any task.

    All methods raise `SessionBusy` if the session works on something else and the runtime says so.
    """

    async def prompt(self, session: SessionId, order: Order) -> None:
        """Have a prompt taken; what comes of it is read later."""
        ...

    async def command(self, session: SessionId, command: Command) -> Spoken:
        """Run a command; gives the last message that came of it. Takes as long as a turn does."""
        ...

    async def shell(self, session: SessionId, line: ShellLine) -> Spoken:
        """Run a line in the shell, with the rights of the runtime; gives the message that tells of it."""
        ...


@frozen
class Sessions:
    """All three."""

    read: SessionReader
    edit: SessionEditor
    work: SessionWorker
