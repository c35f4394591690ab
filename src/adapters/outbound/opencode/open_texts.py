"""
The texts that are being told, in whatever session and whoever runs its turn.

OpenCode shows a text only when it is whole, so a turn that changes hands in the midst of one could not go on before its
end. Each process that may have to go on with another's turns therefore keeps the end of every text under way: the feed
brings it anyway. One that was heard from its beginning is placed; of another one, begun before this process listened,
it is not known how far it was, until somebody says it for one event that was heard here too.

What is kept is bounded: of each text its end, of all texts those that began last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from attrs import define, field

from opencode_a2a_server.app.ports.earshot import Mark
from opencode_a2a_server.domain.events import (
    MessageRemoved,
    PartRemoved,
    SessionGone,
    SessionIdle,
    TextDelta,
    TextKind,
    TextSeen,
    TextUnderway,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, SessionId

from .codec import Frame

KEPT: Final = 64 * 1024
"""Characters of one text: what a model says while its turn changes hands, many times over."""
_KEPT_OF_ALL: Final = 8 * 1024 * 1024
_TEXTS_MOST: Final = 4096
_EVENTS_MOST: Final = 4096
"""Events of a text that is not placed, by which it may be."""
_ASKED_MOST: Final = 64
_PIECES: Final = 64
"""Words that are joined into one piece: each by itself takes many times its length."""


@define(eq=False)
class _OpenText:
    """One text; `before` is how many characters it had before it was heard, None while nobody knows."""

    session: SessionId
    message: MessageId | None
    part: PartId
    kind: TextKind | None
    before: int | None
    heard: int = 0
    kept: int = 0
    """Of the characters heard, those in the pieces."""
    last: str = ""
    """The event that brought the last of it."""
    mark: Mark | None = None
    """What somebody said of an event that has not come here yet."""
    _pieces: deque[str] = field(factory=deque, init=False)
    _fresh: list[str] = field(factory=list, init=False)
    _events: dict[str, int] = field(factory=dict, init=False)
    """How many characters had been heard with each event, while it is not placed."""

    def grow(self, text: str, event: str) -> None:
        self.heard += len(text)
        self.last = event
        self._fresh.append(text)
        if len(self._fresh) >= _PIECES:
            self._join()
        if self.before is None:
            self._events[event] = self.heard
            if len(self._events) > _EVENTS_MOST:
                del self._events[next(iter(self._events))]

    def place(self, mark: Mark) -> bool:
        """Take a mark; says whether it fits what was heard."""
        heard = self._events.get(mark.event)
        if heard is None:
            self.mark = mark
            return False
        if mark.length < heard:
            return False
        self.before, self.kind, self.mark = mark.length - heard, mark.kind, None
        self._events.clear()
        return True

    def told(self) -> TextUnderway | None:
        if self.before is None or self.kind is None:
            return None
        tail = "".join((*self._pieces, *self._fresh))
        return TextUnderway(self.session, self.message, self.part, self.kind, self.before + self.heard, tail)

    def _join(self) -> None:
        piece = "".join(self._fresh)[-KEPT:]
        self._fresh.clear()
        self._pieces.append(piece)
        self.kept += len(piece)
        while self.kept - len(self._pieces[0]) >= KEPT:
            self.kept -= len(self._pieces.popleft())


@define(eq=False)
class OpenTexts:
    """All of them."""

    _texts: dict[PartId, _OpenText] = field(factory=dict, init=False)
    _sessions: dict[SessionId, dict[PartId, None]] = field(factory=dict, init=False)
    _kept: int = field(default=0, init=False)
    """Characters, as of when each text last grew by a piece."""
    _unplaced: dict[PartId, None] = field(factory=dict, init=False)
    _waiting: asyncio.Event = field(factory=asyncio.Event, init=False)

    def hear(self, frame: Frame) -> TextUnderway | None:
        """Take what was said; gives a text that came to be placed by it."""
        placed = None
        for telling in frame.tellings:
            match telling:
                case TextDelta():
                    placed = self._grow(telling, frame.event)
                case TextSeen():
                    self._see(telling, frame.event)
                case PartRemoved():
                    self._drop(telling.part)
                case MessageRemoved():
                    self._end(telling.session, telling.message)
                case SessionIdle() | SessionGone():
                    self._end(telling.session)
        return placed

    def of(self, session: SessionId) -> Iterator[TextUnderway]:
        """Say how far those of a session are."""
        for part in self._sessions.get(session, ()):
            if (told := self._texts[part].told()) is not None:
                yield told

    def clear(self) -> None:
        """Forget all: something was missed."""
        self._texts.clear()
        self._sessions.clear()
        self._unplaced.clear()
        self._waiting.clear()
        self._kept = 0

    # See `Earshot`

    async def unplaced(self) -> Sequence[PartId]:
        """Wait until there are any."""
        await self._waiting.wait()
        named = tuple(islice(self._unplaced, _ASKED_MOST))
        for part in named:  # the next time others come first: of these, perhaps, nobody knows
            self._unplaced[part] = self._unplaced.pop(part)
        return named

    def marks(self, parts: Iterable[PartId]) -> Iterator[Mark]:
        """Say how far texts are."""
        for part in parts:
            text = self._texts.get(part)
            if text is not None and text.before is not None and text.kind is not None and text.last:
                yield Mark(part, text.kind, text.before + text.heard, text.last)

    def place(self, mark: Mark) -> TextUnderway | None:
        """Take how far one is; gives it if it came to be placed by that."""
        text = self._texts.get(mark.part)
        if text is None or text.before is not None or not text.place(mark):
            return None
        self._is_placed(mark.part)
        return text.told()

    # What is said

    def _grow(self, delta: TextDelta, event: str) -> TextUnderway | None:
        text = self._texts.get(delta.part)
        if text is None:
            text = self._begin(_OpenText(delta.session, delta.message, delta.part, None, None))
        self._add(text, delta.text, event)
        if text.mark is not None and text.mark.event == event:
            return self.place(text.mark)
        return None

    def _see(self, seen: TextSeen, event: str) -> None:
        """Take a text as it stands: how it begins, mostly, or its end."""
        text = self._texts.get(seen.part)
        if seen.closed or seen.synthetic:
            self._drop(seen.part)
        elif text is None:
            text = self._begin(_OpenText(seen.session, seen.message, seen.part, seen.kind, 0))
            if seen.text:
                self._add(text, seen.text, event)
        elif seen.text and (text.before is None or len(seen.text) > text.before + text.heard):
            self._drop(seen.part)  # ahead of its deltas: who counts those would count wrong

    def _add(self, text: _OpenText, more: str, event: str) -> None:
        kept = text.kept
        text.grow(more, event)
        self._kept += text.kept - kept
        while self._kept > _KEPT_OF_ALL:
            self._drop(next(iter(self._texts)))

    def _begin(self, text: _OpenText) -> _OpenText:
        if len(self._texts) >= _TEXTS_MOST:
            self._drop(next(iter(self._texts)))
        self._texts[text.part] = text
        self._sessions.setdefault(text.session, {})[text.part] = None
        if text.before is None:
            self._unplaced[text.part] = None
            self._waiting.set()
        return text

    def _drop(self, part: PartId) -> None:
        text = self._texts.pop(part, None)
        if text is None:
            return
        self._kept -= text.kept
        self._is_placed(part)
        parts = self._sessions[text.session]
        del parts[part]
        if not parts:
            del self._sessions[text.session]

    def _end(self, session: SessionId, message: MessageId | None = None) -> None:
        """Forget those of a session that rests, or of one message of it."""
        for part in tuple(self._sessions.get(session, ())):
            if message is None or self._texts[part].message == message:
                self._drop(part)

    def _is_placed(self, part: PartId) -> None:
        self._unplaced.pop(part, None)
        if not self._unplaced:
            self._waiting.clear()
