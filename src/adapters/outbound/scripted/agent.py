"""The port `Agent` as a play: sessions in memory, turns by script."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from attrs import define, field

from opencode_a2a_server.app.ports.agent import Hearing, Prompt, Readiness, Surroundings
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.ids import Ids
from opencode_a2a_server.domain.changes import FileChange
from opencode_a2a_server.domain.errors import ContentTypeNotSupported
from opencode_a2a_server.domain.events import Gap, MessageSeen, Recollection, SessionIdle
from opencode_a2a_server.domain.ids import MessageId, Principal, SessionId
from opencode_a2a_server.domain.interrupt import Answer, Interrupt, PermissionAnswer, QuestionAnswer
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.session import Directory, FoundSession, Session

from .files import load_scripts
from .play import Player, abort
from .scripts import CONFORMANCE, Choose
from .session import Conversation, ScriptedHearing, Turn
from .steps import Fail, Reply, Script

_log = logging.getLogger(__name__)


@define(eq=False)
class Scripted:
    """
    An agent that plays scripts; a context manager, on leaving which what still plays is dropped.

    `scripts` chooses by the message; it may be asked more than once about the same one. `refuses` are patterns of
    media types that `check` does not let in. `directory` is where sessions work by themselves. They live as long as the object; one it does not know begins empty.
    """

    clock: Clock
    ids: Ids
    scripts: Choose = CONFORMANCE
    name: str = "Scripted"
    refuses: tuple[str, ...] = ("application/x-unsupported*",)
    directory: str = "/"
    _conversations: dict[SessionId, Conversation] = field(factory=dict, init=False)
    _hearings: dict[SessionId, list[ScriptedHearing]] = field(factory=dict, init=False)
    _deaf: bool = field(default=False, init=False)
    _jobs: set[asyncio.Task[None]] = field(factory=set, init=False)
    _latest: int = field(default=0, init=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    @contextmanager
    def lapse(self) -> Iterator[None]:
        """Let nobody hear anything for a while, as when a feed is cut: for tests of what happens then."""
        self._deaf = True
        self._all(deaf=True)
        try:
            yield
        finally:
            self._deaf = False
            self._all(deaf=False)

    def _all(self, *, deaf: bool) -> None:
        for hearings in self._hearings.values():
            for hearing in hearings:
                hearing.deaf = deaf
                hearing.tell(Gap())

    # Before a task

    def check(self, message: Message) -> None:
        """See `Agent.check`."""
        for part in message.parts:
            media_type = "" if isinstance(part, TextPart) else part.media_type.lower()
            if any(fnmatchcase(media_type, pattern) for pattern in self.refuses):
                raise ContentTypeNotSupported(f"the script takes no {media_type}")

    def new_prompt_id(self) -> MessageId:
        """See `Agent.new_prompt_id`."""
        return MessageId(f"msg-{self.ids.new()}")

    async def reply(self, principal: Principal, message: Message) -> Message | None:  # noqa: ARG002 - the port's
        """See `Agent.reply`."""
        match self._choose(message):
            case (Reply(text),):
                said = MessageId(self.ids.new())
                return Message(said, Role.AGENT, (TextPart(text),), message.context_id)
        return None

    def _choose(self, message: Message) -> Script:
        try:
            return tuple(self.scripts(message))
        except Exception as error:  # noqa: BLE001 - a choice of somebody else's
            _log.exception("no script could be chosen")
            return (Fail(f"no script could be chosen: {error!r}"),)

    # Sessions

    async def open_session(self, title: str, directory: Directory | None = None) -> Session:  # noqa: ARG002 - a play has no use for the title
        """See `Agent.open_session`."""
        session = Session(SessionId(f"ses-{self.ids.new()}"), directory or Directory(self.directory))
        self._conversation(session)
        return session

    async def find_session(self, session_id: SessionId) -> FoundSession | None:
        """See `Agent.find_session`."""
        conversation = self._conversations.get(session_id)
        return None if conversation is None else FoundSession(conversation.session)

    async def workspace(self) -> Directory:
        """See `Agent.workspace`."""
        return Directory(self.directory)

    def hear(self, session: Session) -> AbstractAsyncContextManager[Hearing]:
        """See `Agent.hear`."""
        return self._hear(session)

    @asynccontextmanager
    async def _hear(self, session: Session) -> AsyncIterator[Hearing]:
        hearings = self._hearings.setdefault(session.id, [])
        hearing = ScriptedHearing()
        if self._deaf:
            hearing.tell(Gap())
            hearing.deaf = True
        hearings.append(hearing)
        try:
            yield hearing
        finally:
            hearings.remove(hearing)

    async def prompt(self, prompt: Prompt) -> None:
        """See `Agent.prompt`. A prompt that comes while another one is worked on waits for its end."""
        conversation = self._conversation(prompt.session)
        if conversation.find(prompt.id) is not None:
            return
        said = MessageSeen(prompt.session.id, prompt.id, Role.USER, created=self._tick(), completed=True)
        turn = Turn(said, prompt=prompt)
        conversation.take(turn)
        work = self._work(conversation, turn, prompt)
        job = turn.job = asyncio.get_running_loop().create_task(work, name=f"script of {prompt.id}")
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _work(self, conversation: Conversation, turn: Turn, prompt: Prompt) -> None:
        async with conversation.alone:
            script = conversation.left.pop(prompt.task_id, ()) or self._choose(prompt.message)
            await Player(conversation, turn, prompt.message, self.clock, self.ids, self._tick)(script)

    async def recall(self, session: Session, prompt: MessageId) -> Recollection:
        """See `Agent.recall`."""
        conversation = self._conversations.get(session.id)
        if conversation is None:
            return Recollection(frozenset(), (), known=False)
        turn = conversation.find(prompt)
        told = tuple(turn.retold()) if turn is not None else ()
        asked = tuple(interrupt for interrupt, _ in conversation.waiting.values())
        return Recollection(frozenset(conversation.busy()), told, asked)

    async def changes(self, session: Session, prompt: MessageId) -> Sequence[FileChange]:
        """See `Agent.changes`: those of the turn, its sub-agents' too."""
        conversation = self._conversations.get(session.id)
        turn = None if conversation is None else conversation.find(prompt)
        return () if turn is None else tuple(turn.changed())

    async def answer(self, session: Session, interrupt: Interrupt, answer: Answer) -> bool:
        """See `Agent.answer`."""
        conversation = self._conversations.get(session.id)
        if conversation is None or interrupt.id not in conversation.waiting:
            return False
        conversation.answered(interrupt.id, answer, _resolution(answer))
        return True

    async def abort(self, session: Session) -> None:
        """See `Agent.abort`."""
        conversation = self._conversations.get(session.id)
        busy = [turn for turn in conversation.turns if not turn.over] if conversation is not None else []
        if conversation is None or not busy:
            for hearing in self._hearings.get(session.id, ()):
                hearing.tell(SessionIdle(session.id))
            return
        jobs = [turn.job for turn in busy if turn.job is not None]
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        for turn in busy:
            abort(conversation, turn)

    async def probe(self) -> Readiness:
        """See `Agent.probe`."""
        return Readiness(ready=True)

    def _conversation(self, session: Session) -> Conversation:
        known = self._conversations.get(session.id)
        if known is None:
            hearings = self._hearings.setdefault(session.id, [])
            known = self._conversations[session.id] = Conversation(session, hearings)
        return known

    def _tick(self) -> int:
        """Give the time in ms, each time a later one: what came before what can be told by it."""
        self._latest = max(self._latest + 1, int(self.clock.now() * 1000))
        return self._latest


def _resolution(answer: Answer) -> str:
    if isinstance(answer, PermissionAnswer):
        return answer.verdict.value
    return "replied" if isinstance(answer, QuestionAnswer) else "rejected"


def factory(surroundings: Surroundings, script: Path | None = None) -> AbstractAsyncContextManager[Scripted]:
    """
    Make the agent, as `A2A_RUNTIME` wants it.

    Args:
        surroundings: What the service gives.
        script: A file of scripts (see `files`); if none, the one that `A2A_SCRIPT` names; if none, the built-in ones
            play.

    Raises:
        ScriptError: The file cannot be used.

    """
    named = surroundings.environ.get("A2A_SCRIPT", "")
    path = script or (Path(named) if named else None)
    scripts = CONFORMANCE if path is None else load_scripts(path)
    return Scripted(surroundings.clock, surroundings.ids, scripts)
