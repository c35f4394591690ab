"""
The one event feed of an OpenCode, shared by all turns.

OpenCode never releases a closed feed (1.18: each costs it CPU for every later event), so there is one long-lived
connection per server, and reconnects are rare and spaced. What was said while it was down is gone: everybody who
listens hears a `Gap` instead and asks for a recollection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Self

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.earshot import Mark
from opencode_a2a_server.app.ports.meter import UNMETERED, Meter
from opencode_a2a_server.domain.errors import Refusal
from opencode_a2a_server.domain.events import Event, Gap, SessionOpened, Telling, TextUnderway
from opencode_a2a_server.domain.ids import PartId, SessionId

from .client import Client
from .codec import Frame, Malformed, decode_frame
from .open_texts import OpenTexts
from .sse import SseParser

_log = logging.getLogger(__name__)

MOST_UNHEARD = 50_000
MOST_UNHEARD_BYTES = 16 * 1024 * 1024
"""Events kept for a listener that does not listen; beyond, they are dropped and a `Gap` stands in their place."""


@define(eq=False)
class FeedHearing:
    """One turn's ear: the events of a session and of its sub-agents (the port `Hearing`)."""

    sessions: tuple[SessionId, ...] = ()
    """Whose events it hears."""
    _unheard: list[Telling] = field(factory=list)
    _size: int = 0
    """Bytes in which they were told."""
    _waiter: asyncio.Future[None] | None = None
    _call: Callable[[], None] | None = None
    _woken: bool = False

    async def next(self) -> Sequence[Event]:
        """See `Hearing.next`."""
        while not self._unheard and not self._woken:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._woken = False
        heard, self._unheard, self._size = self._unheard, [], 0
        return heard

    def wake(self) -> None:
        """See `Hearing.wake`."""
        self._woken = True
        self._rouse()

    def attend(self, call: Callable[[], None] | None) -> None:
        """See `Hearing.attend`."""
        self._call = call
        if self._unheard or self._woken:
            self._rouse()

    def tell(self, telling: Telling, size: int = 0) -> None:
        """Keep an event, told in so many bytes, until it is asked for."""
        self._size += size
        if len(self._unheard) >= MOST_UNHEARD or self._size > MOST_UNHEARD_BYTES:
            self._unheard, self._size = [Gap()], size
        self._unheard.append(telling)
        if self._waiter is not None or self._call is not None:
            self._rouse()

    def _rouse(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._call is not None:
            call, self._call = self._call, None
            call()


@define(eq=False)
class Feed:
    """The connection and who listens to what; a context manager while which it is kept up."""

    client: Client
    clock: Clock
    meter: Meter = UNMETERED
    texts: OpenTexts | None = None
    """What is being told to anybody, if this process may have to go on with what another one runs."""
    connected: bool = field(default=False, init=False)
    _hearings: dict[SessionId, list[FeedHearing]] = field(factory=dict, init=False)
    _keeper: asyncio.Task[None] | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.get_running_loop().create_task(self._keep_up(), name="opencode feed")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    def hear(self, session: SessionId) -> FeedHearing:
        """Listen to a session and, as they come to be, its descendants, until it is forgotten."""
        hearing = FeedHearing((session,))
        self._hearings.setdefault(session, []).append(hearing)
        if self.connected:
            self._tell_underway(hearing, session)
        else:
            hearing.tell(Gap())
        return hearing

    def forget(self, hearing: FeedHearing) -> None:
        """Listen no more."""
        for session in hearing.sessions:
            listeners = self._hearings[session]
            listeners.remove(hearing)
            if not listeners:
                del self._hearings[session]
        hearing.sessions = ()

    def adopt(self, child: SessionId, parent: SessionId) -> None:
        """Let who listens to the parent hear the child too."""
        for hearing in self._hearings.get(parent, ()):
            listeners = self._hearings.setdefault(child, [])
            if hearing not in listeners:
                listeners.append(hearing)
                hearing.sessions += (child,)
                self._tell_underway(hearing, child)

    def _tell_underway(self, hearing: FeedHearing, session: SessionId) -> None:
        """Tell who begins to listen what is being said."""
        for told in () if self.texts is None else self.texts.of(session):
            hearing.tell(told)

    async def _keep_up(self) -> None:
        """Connect, again and again, at growing distances."""
        pause = _FIRST_PAUSE
        while True:
            try:
                async with AsyncExitStack() as stack:
                    # One that is asked for while OpenCode starts may never be answered.
                    opening = stack.enter_async_context(self.client.events())
                    chunks = await self.clock.within(_OPENING, opening)
                    await self._follow(chunks)
                reason = "OpenCode closed it"
            except TimeoutError:
                reason = f"no answer within {_OPENING:g} seconds"
            except Refusal as refusal:
                reason = str(refusal)
            except Exception:  # noqa: BLE001 - whatever it was, the feed is kept up
                _log.exception("the event feed broke")
                reason = "a fault of ours"
            if self.connected:
                self.connected = False
                pause = _FIRST_PAUSE
                _log.warning("event feed lost (%s); turns are looked after by asking until it is back", reason)
            await self.clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _follow(self, chunks: AsyncIterator[bytes]) -> None:
        parser = SseParser()
        async for chunk in chunks:
            lost = parser.dropped
            frames = parser.feed(chunk)
            if parser.dropped > lost:  # it may have stood before any of these
                _log.warning("an event was too large and is skipped")
                self._miss()
            for data in frames:
                self._hand_over(data)

    def _hand_over(self, data: bytes) -> None:
        try:
            frame = decode_frame(data)
        except Malformed as malformed:
            _log.warning("an event cannot be read and is skipped: %s", malformed)
            self._miss()  # whoever it was for asks what it said
            return
        if frame is None:
            return
        if frame.connected:
            self.connected = True
            self.meter.feed_connected()
            _log.info("event feed connected")
            self._miss()
        elif self.texts is None:
            self._deliver(frame, len(data))
        else:
            placed = self.texts.hear(frame)
            self._deliver(frame, len(data))
            self._tell_placed(placed)

    def _deliver(self, frame: Frame, size: int) -> None:
        for telling in frame.tellings:
            if type(telling) is SessionOpened and telling.parent is not None:
                self.adopt(telling.session, telling.parent)
        listeners = self._hearings.get(frame.session) if frame.session is not None else None
        if listeners is None:
            return
        for hearing in listeners:
            for telling in frame.tellings:
                hearing.tell(telling, size)

    def _miss(self) -> None:
        """Something was said that we do not know."""
        if self.texts is not None:
            self.texts.clear()
        for hearing in {
            id(hearing): hearing for listeners in self._hearings.values() for hearing in listeners
        }.values():
            hearing.tell(Gap())

    def _tell_placed(self, placed: TextUnderway | None) -> None:
        if placed is not None:
            for hearing in self._hearings.get(placed.session, ()):
                hearing.tell(placed)

    # See `Earshot`

    async def unplaced(self) -> Sequence[PartId]:
        """See `Earshot.unplaced`."""
        return () if self.texts is None else await self.texts.unplaced()

    def marks(self, parts: Iterable[PartId]) -> Sequence[Mark]:
        """See `Earshot.marks`."""
        return () if self.texts is None else tuple(self.texts.marks(parts))

    def place(self, mark: Mark) -> None:
        """See `Earshot.place`."""
        if self.texts is not None:
            self._tell_placed(self.texts.place(mark))


_FIRST_PAUSE = 0.25
_OPENING = 10.0
"""Seconds for OpenCode to begin a feed that it was asked for."""
_LONGEST_PAUSE = 10.0
