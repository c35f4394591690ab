"""A runtime's sessions without a runtime: the ports of `app.ports.sessions` over a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

from attrs import define, evolve, field

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.owners import Owners
from opencode_a2a_server.app.ports.sessions import (
    Command,
    FileDiff,
    Order,
    Reverted,
    SessionDetails,
    SessionFilter,
    Sessions,
    SessionState,
    ShellLine,
    Spoken,
    SpokenPage,
    Todo,
)
from opencode_a2a_server.app.usecases.choose_directory import ChooseDirectory, ReachSession
from opencode_a2a_server.domain.errors import InvalidRequest, SessionNotFound
from opencode_a2a_server.domain.events import Answered, Asked, Event, SessionIdle
from opencode_a2a_server.domain.ids import MessageId, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import Answer, Interrupt, resolution_of
from opencode_a2a_server.domain.message import Role, TextPart
from opencode_a2a_server.domain.session import Directory, FoundSession, ModelChoice, Session
from tests.fakes.binding import bind_session
from tests.fakes.paths import FakePaths


@define(eq=False)
class FakeReader:
    """See `SessionReader`. `raises` is what every method raises instead."""

    sessions: dict[SessionId, SessionDetails] = field(factory=dict)
    spoken: dict[SessionId, list[Spoken]] = field(factory=dict)
    busy: dict[SessionId, SessionState] = field(factory=dict)
    things: dict[SessionId, list[Todo]] = field(factory=dict)
    changed: dict[SessionId, list[FileDiff]] = field(factory=dict)
    asked: list[SessionFilter] = field(factory=list)
    waiting: list[Interrupt] = field(factory=list)
    """What waits for an answer."""
    raises: Exception | None = None

    def add(self, *details: SessionDetails) -> None:
        """Have sessions."""
        self.sessions |= {one.id: one for one in details}

    async def list(self, wanted: SessionFilter) -> Sequence[SessionDetails]:
        """See `SessionReader.list`."""
        self._check()
        self.asked.append(wanted)
        found = [one for one in self.sessions.values() if self._fits(one, wanted)]
        return sorted(found, key=lambda one: -(one.updated or 0))[: wanted.limit]

    def _fits(self, one: SessionDetails, wanted: SessionFilter) -> bool:
        return (
            wanted.directory in (None, one.directory)
            and not (wanted.roots and one.parent_id)
            and (wanted.search or "") in one.title
            and (one.updated or 0) * 1000 >= (wanted.start or 0)
        )

    async def get(self, session: SessionId) -> SessionDetails:
        """See `SessionReader.get`."""
        self._check()
        if session not in self.sessions:
            raise SessionNotFound(f"the runtime has no session {session}")
        return self.sessions[session]

    async def children(self, session: SessionId) -> Sequence[SessionDetails]:
        """See `SessionReader.children`."""
        await self.get(session)
        return [one for one in self.sessions.values() if one.parent_id == session]

    async def states(self, directory: Directory | None) -> Sequence[SessionState]:
        """See `SessionReader.states`."""
        self._check()
        return [
            state
            for name, state in self.busy.items()
            if directory is None or self.sessions[name].directory == directory
        ]

    async def interrupts(self, session: Session) -> Sequence[Interrupt]:
        """See `SessionReader.interrupts`."""
        self._check()
        return [one for one in self.waiting if self.sessions[one.session].directory == session.directory]

    async def todos(self, session: SessionId) -> Sequence[Todo]:
        """See `SessionReader.todos`."""
        await self.get(session)
        return self.things.get(session, [])

    async def changes(self, session: SessionId, message: MessageId | None) -> Sequence[FileDiff]:
        """See `SessionReader.changes`."""
        await (self.get(session) if message is None else self.message(session, message))
        return self.changed.get(session, [])

    async def messages(self, session: SessionId, limit: int, before: str | None) -> SpokenPage:
        """See `SessionReader.messages`."""
        await self.get(session)
        if before is not None and not before.isdigit():
            raise InvalidRequest("before must be the next_cursor of an earlier page", "before")
        every = self.spoken.get(session, [])
        end = len(every) if before is None else int(before)
        start = max(0, end - limit)
        return SpokenPage(every[start:end], str(start) if start else None)

    async def message(self, session: SessionId, message: MessageId) -> Spoken:
        """See `SessionReader.message`."""
        await self.get(session)
        found = [one for one in self.spoken.get(session, []) if one.id == message]
        if not found:
            raise SessionNotFound(f"the runtime has no message {message} in session {session}")
        return found[0]

    def _check(self) -> None:
        if self.raises is not None:
            raise self.raises


@define(eq=False)
class FakeEditor:
    """See `SessionEditor`. `calls` is what was asked of it."""

    reader: FakeReader
    calls: list[tuple[str, SessionId]] = field(factory=list)
    raises: Exception | None = None
    summarized: list[ModelChoice | None] = field(factory=list)

    async def create(self, directory: Directory | None, title: str, parent: SessionId | None) -> SessionDetails:
        """See `SessionEditor.create`."""
        return self._made(SessionDetails(self._new(), directory or Directory("/w"), title, parent_id=parent))

    async def rename(self, session: SessionId, title: str) -> SessionDetails:
        """See `SessionEditor.rename`."""
        return self._put("rename", evolve(await self.reader.get(session), title=title))

    async def delete(self, session: SessionId) -> None:
        """See `SessionEditor.delete`."""
        await self.reader.get(session)
        self._note("delete", session)
        del self.reader.sessions[session]

    async def fork(self, session: SessionId, before: MessageId | None) -> SessionDetails:
        """See `SessionEditor.fork`."""
        forked = self._made(evolve(await self.reader.get(session), id=self._new(), title="fork"))
        spoken = self.reader.spoken.get(session, [])
        self.reader.spoken[forked.id] = [one for one in spoken if before is None or one.id < before]
        return forked

    async def share(self, session: SessionId) -> SessionDetails:
        """See `SessionEditor.share`."""
        return self._put("share", evolve(await self.reader.get(session), share_url="https://share.example/1"))

    async def unshare(self, session: SessionId) -> SessionDetails:
        """See `SessionEditor.unshare`."""
        return self._put("unshare", evolve(await self.reader.get(session), share_url=None))

    async def revert(self, session: SessionId, message: MessageId, part: str | None) -> SessionDetails:
        """See `SessionEditor.revert`."""
        return self._put("revert", evolve(await self.reader.get(session), revert=Reverted(message, part)))

    async def unrevert(self, session: SessionId) -> SessionDetails:
        """See `SessionEditor.unrevert`."""
        return self._put("unrevert", evolve(await self.reader.get(session), revert=None))

    async def summarize(self, session: SessionId, model: ModelChoice | None, *, auto: bool) -> None:
        """See `SessionEditor.summarize`."""
        await self.reader.get(session)
        self._note("summarize", session)
        self.summarized.append(model)

    def _note(self, verb: str, session: SessionId) -> None:
        if self.raises is not None:
            raise self.raises
        self.calls.append((verb, session))

    def _new(self) -> SessionId:
        return SessionId(f"ses_new{len(self.calls)}")

    def _made(self, made: SessionDetails) -> SessionDetails:
        return self._put("make", made)

    def _put(self, verb: str, details: SessionDetails) -> SessionDetails:
        self._note(verb, details.id)
        self.reader.add(details)
        return details


@define(eq=False)
class FakeWorker:
    """
    See `SessionWorker`.

    What is prompted stays at work until a test calls `rest`; then `answers` are what the session says, if any.
    `begun` is set when work has begun, and commands and shell lines end when `release` is set.
    """

    reader: FakeReader
    orders: list[tuple[SessionId, Order]] = field(factory=list)
    commands: list[Command] = field(factory=list)
    lines: list[ShellLine] = field(factory=list)
    raises: Exception | None = None
    begun: asyncio.Event = field(factory=asyncio.Event)
    release: asyncio.Event | None = None
    hearings: list[FakeHearing] = field(factory=list)
    aborted: list[SessionId] = field(factory=list)

    async def prompt(self, session: SessionId, order: Order) -> None:
        """See `SessionWorker.prompt`."""
        self._check()
        self.orders.append((session, order))
        if not order.no_reply:
            self.reader.busy[session] = SessionState(session, "busy")
        self.begun.set()

    async def command(self, session: SessionId, command: Command) -> Spoken:
        """See `SessionWorker.command`."""
        self.commands.append(command)
        return await self._work(session)

    async def shell(self, session: SessionId, line: ShellLine) -> Spoken:
        """See `SessionWorker.shell`."""
        self.lines.append(line)
        return await self._work(session)

    def rest(self, session: SessionId, *said: Spoken, heard: bool = True) -> None:
        """Let a session rest; unless it is heard, only who asks knows."""
        self.reader.busy.pop(session, None)
        self.reader.spoken.setdefault(session, []).extend(said)
        if heard:
            self.tell(SessionIdle(session))

    def ask(self, interrupt: Interrupt, *, heard: bool = True) -> None:
        """Have something asked; unless it is heard, only who asks knows."""
        self.reader.waiting.append(interrupt)
        if heard:
            self.tell(Asked(interrupt))

    def tell(self, *events: Event) -> None:
        """Have something heard."""
        for hearing in self.hearings:
            hearing.queue.put_nowait(events)

    async def _work(self, session: SessionId) -> Spoken:
        self._check()
        self.begun.set()
        if self.release is not None:
            await self.release.wait()
        return Spoken(MessageId("msg_done"), session, Role.AGENT, (TextPart("done"),))

    def _check(self) -> None:
        if self.raises is not None:
            raise self.raises


@define(eq=False)
class FakeHearing:
    """See `Hearing`."""

    queue: asyncio.Queue[tuple[Event, ...]] = field(factory=asyncio.Queue)

    async def next(self) -> Sequence[Event]:
        """See `Hearing.next`."""
        return await self.queue.get()

    def wake(self) -> None:
        """See `Hearing.wake`."""
        self.queue.put_nowait(())

    def attend(self, call: Callable[[], None] | None) -> None:
        """See `Hearing.attend`; work without a task waits in `next`."""
        raise NotImplementedError


@define(eq=False)
class FakeSessions:
    """A runtime of sessions: the three ports, and of `Agent` what work in sessions needs."""

    reader: FakeReader = field(factory=FakeReader)
    name: str = "Fake"
    answered: list[tuple[RequestId, Answer]] = field(factory=list)
    editor: FakeEditor = field(init=False)
    worker: FakeWorker = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.editor = FakeEditor(self.reader)
        self.worker = FakeWorker(self.reader)

    @property
    def ports(self) -> Sessions:
        """The ports."""
        return Sessions(self.reader, self.editor, self.worker)

    @property
    def agent(self) -> Agent:
        """The runtime as an agent."""
        return cast("Agent", self)

    async def find_session(self, session_id: SessionId) -> FoundSession | None:
        """See `Agent.find_session`."""
        found = self.reader.sessions.get(session_id)
        return None if found is None else FoundSession(found.session, found.parent_id)

    async def workspace(self) -> Directory:
        """See `Agent.workspace`."""
        return Directory("/w")

    def new_prompt_id(self) -> MessageId:
        """See `Agent.new_prompt_id`."""
        return MessageId(f"msg_{len(self.worker.orders)}")

    @asynccontextmanager
    async def hear(self, session: Session) -> AsyncIterator[FakeHearing]:
        """See `Agent.hear`."""
        hearing = FakeHearing()
        self.worker.hearings.append(hearing)
        yield hearing
        self.worker.hearings.remove(hearing)

    async def answer(self, session: Session, interrupt: Interrupt, answer: Answer) -> bool:
        """See `Agent.answer`."""
        self.reader._check()
        if interrupt.id not in [one.id for one in self.reader.waiting]:
            return False
        self.answered.append((interrupt.id, answer))
        self.reader.waiting = [one for one in self.reader.waiting if one.id != interrupt.id]
        self.worker.tell(Answered(interrupt.session, interrupt.id, resolution_of(answer)))
        return True

    async def abort(self, session: Session) -> None:
        """See `Agent.abort`."""
        self.worker.aborted.append(session.id)
        self.worker.rest(session.id)

    def reach(self, clock: Clock, owners: Owners | None = None) -> ReachSession:
        """Wire what reaches sessions; the workspace is /w, with a directory below."""
        paths = FakePaths({"/", "/w", "/w/below", "/etc"})
        sessions = bind_session(self.agent, clock, owners=owners, paths=paths).sessions
        return ReachSession(sessions, ChooseDirectory(sessions.places))
