"""
A session: what was said in it, what waits for an answer, and who listens.

Whatever happens is told and kept in one step, so what is recalled never differs from what was told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from attrs import define, evolve, field

from opencode_a2a_server.app.ports.agent import Prompt
from opencode_a2a_server.domain.changes import FileChange
from opencode_a2a_server.domain.events import (
    Answered,
    Asked,
    ContentSeen,
    Event,
    FilesChanged,
    Gap,
    MessageSeen,
    SessionBusy,
    SessionIdle,
    SessionOpened,
    StepFinished,
    Telling,
    TextDelta,
    TextSeen,
    ToolSeen,
    TurnOver,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, RequestId, SessionId, TaskId
from opencode_a2a_server.domain.interrupt import Answer, Interrupt
from opencode_a2a_server.domain.session import Session

from .steps import Script

_MOST_UNHEARD = 50_000
"""Events kept for a listener that does not listen; beyond, they are dropped and a `Gap` stands in their place."""


@define(eq=False)
class ScriptedHearing:
    """One listener (the port `Hearing`)."""

    deaf: bool = False
    _unheard: list[Event] = field(factory=list)
    _something: asyncio.Event = field(factory=asyncio.Event)
    _call: Callable[[], None] | None = None

    async def next(self) -> Sequence[Event]:
        """See `Hearing.next`."""
        await self._something.wait()
        self._something.clear()
        heard, self._unheard = self._unheard, []
        return heard

    def wake(self) -> None:
        """See `Hearing.wake`."""
        self._rouse()

    def attend(self, call: Callable[[], None] | None) -> None:
        """See `Hearing.attend`."""
        self._call = call
        if self._something.is_set():
            self._rouse()

    def _rouse(self) -> None:
        self._something.set()
        if self._call is not None:
            call, self._call = self._call, None
            call()

    def tell(self, event: Event) -> None:
        """Keep an event until it is asked for."""
        if self.deaf:
            return
        if len(self._unheard) >= _MOST_UNHEARD:
            self._unheard = [Gap()]
        self._unheard.append(event)
        self._rouse()


_Kept = TextSeen | ToolSeen | ContentSeen | FilesChanged | StepFinished


@define(eq=False)
class Turn:
    """One prompt, and what came of it so far."""

    said: MessageSeen
    answer: MessageSeen | None = None
    prompt: Prompt | None = None
    """None in a sub-agent's session."""
    over: bool = False
    parts: dict[PartId, _Kept] = field(factory=dict)
    changes: list[FileChange] = field(factory=list)
    children: list[Conversation] = field(factory=list)
    ending: TurnOver | None = None
    job: asyncio.Task[None] | None = None

    def retold(self) -> Iterator[Telling]:
        """Tell all of it again, as it stands."""
        yield self.said
        if self.answer is not None:
            yield self.answer
        yield from self.parts.values()
        for child in self.children:
            yield SessionOpened(child.session.id, child.parent)
            for turn in child.turns:
                yield from turn.retold()
        if self.ending is not None:
            yield self.ending

    def changed(self) -> Iterator[FileChange]:
        """Give what it changed, what its sub-agents did included."""
        yield from self.changes
        for child in self.children:
            for turn in child.turns:
                yield from turn.changed()


@define(eq=False)
class Conversation:
    """A session, or a sub-agent's, and its turns."""

    session: Session
    hearings: list[ScriptedHearing]
    """Shared with the sub-agents' sessions: who hears the parent hears the child."""
    parent: SessionId | None = None
    turns: list[Turn] = field(factory=list)
    waiting: dict[RequestId, tuple[Interrupt, asyncio.Future[Answer]]] = field(factory=dict)
    """What waits for an answer; shared with the sub-agents' sessions too."""
    granted: set[tuple[str, tuple[str, ...]]] = field(factory=set)
    """What is always allowed."""
    left: dict[TaskId, Script] = field(factory=dict)
    """What a task that halted has still to play."""
    alone: asyncio.Lock = field(factory=asyncio.Lock)

    def child(self, turn: Turn, session: Session) -> Conversation:
        """Open a sub-agent's session."""
        child = Conversation(session, self.hearings, self.session.id, waiting=self.waiting, granted=self.granted)
        turn.children.append(child)
        self.tell(SessionOpened(session.id, self.session.id))
        return child

    def find(self, prompt: MessageId) -> Turn | None:
        """Give the turn of a prompt."""
        return next((turn for turn in self.turns if turn.said.message == prompt), None)

    def busy(self) -> Iterator[SessionId]:
        """Name the sessions at work."""
        for turn in self.turns:
            if not turn.over:
                yield self.session.id
            for child in turn.children:
                yield from child.busy()

    # What happens

    def tell(self, *events: Telling) -> None:
        """Tell events to all who listen."""
        for hearing in self.hearings:
            for event in events:
                hearing.tell(event)

    def take(self, turn: Turn) -> None:
        """Begin a turn."""
        self.turns.append(turn)
        self.tell(turn.said)

    def open(self, turn: Turn, answer: MessageSeen) -> None:
        """Begin to answer."""
        turn.answer = answer
        self.tell(SessionBusy(self.session.id), answer)

    def show(self, turn: Turn, part: _Kept) -> None:
        """Show a block as it stands."""
        turn.parts[part.part] = part
        self.tell(part)

    def grow(self, turn: Turn, block: TextSeen, text: str) -> TextSeen:
        """Add to a text."""
        grown = turn.parts[block.part] = evolve(block, text=block.text + text)
        self.tell(TextDelta(block.session, block.message, block.part, text))
        return grown

    def ask(self, interrupt: Interrupt) -> asyncio.Future[Answer]:
        """Ask, and give where the answer comes."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting[interrupt.id] = (interrupt, answer)
        self.tell(Asked(interrupt))
        return answer

    def answered(self, request: RequestId, answer: Answer, resolution: str) -> None:
        """Take the answer to something that waits."""
        interrupt, where = self.waiting.pop(request)
        self.tell(Answered(interrupt.session, request, resolution))
        if not where.done():  # nobody plays on once the agent was left
            where.set_result(answer)

    def close(self, turn: Turn, answer: MessageSeen, ending: TurnOver | None = None) -> None:
        """End a turn; nothing comes of it any more."""
        turn.answer, turn.ending, turn.over = answer, ending, True
        self.tell(answer)
        if ending is not None:
            self.tell(ending)
        self.tell(SessionIdle(self.session.id))
