"""
Streams as Server-Sent Events (A2A 1.0, 9.4.2 and 11.7).

A stream reads the journal and tells it. It has no queue, copies nothing and starts no task for an update. Each frame
carries the place it leads to, `id: <task>:<seq>`; a client that brings it back as `Last-Event-ID` reads on behind it.

Every stream which we close ends in a terminal or interrupted status, or in an `error` event that says why and where
to go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import anyio
from anyio.lowlevel import checkpoint
from attrs import define, evolve, field, frozen
from litestar.types import Receive, Scope, Send

from opencode_a2a_server.app.usecases.subscribe import Subscription
from opencode_a2a_server.domain.errors import Draining
from opencode_a2a_server.domain.ids import Seq
from opencode_a2a_server.domain.updates import Entry

from . import shared
from .drain import Drain
from .encode import Encoder, Line
from .errors import Fault
from .reply import EVENTS, NO_STORE, Headers, Reply, piece, start, terms_of
from .watch import note_refusal

_log = logging.getLogger(__name__)

_HEADERS: Final = (
    (b"content-type", EVENTS),
    NO_STORE,
    (b"x-accel-buffering", b"no"),  # nginx would hold frames back
)
_RETRY: Final = b"retry: 1000\n"
"""A reader whose connection broke may come back after this many milliseconds."""
_PING: Final = b": ping\n\n"
_PIECE: Final = 64 * 1024
_GRACE: Final = 1.0
"""Seconds for a reader to take what is on its way to it when the service ends."""


@frozen
class Feed:
    """What a stream tells: its first result, if it has one, then a subscription's updates; without one, nothing more."""

    first: Line | None
    subscription: Subscription | None = None
    encoder: Encoder | None = None


@frozen
class Envelope:
    """What a binding puts around a result, and how it tells an error."""

    error: Callable[[Fault], bytes]
    before: bytes = b""
    after: bytes = b""

    def wrap(self, result: bytes) -> bytes:
        """Put a result in."""
        return b"".join((self.before, result, self.after))


@define(eq=False)
class EventStream(Reply):
    """A feed on its way to one reader, who may leave at any time: the task does not notice."""

    feed: Feed
    envelope: Envelope
    drain: Drain
    keep_alive: float
    headers: Headers = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell everything; return when the reader is gone or all is told."""
        await send(start(HTTPStatus.OK, *_HEADERS, *self.headers, *terms_of(scope).headers))
        async with anyio.create_task_group() as group:
            group.start_soon(_leave, receive, group.cancel_scope)
            with suppress(OSError):  # how a server may say that nobody is there
                await self._tell(send)
            group.cancel_scope.cancel()

    def let_go(self) -> None:
        """Keep nothing of how it began: that may be all a task has, and the stream may be open for long."""
        self.feed = evolve(self.feed, first=None)

    async def _tell(self, send: Send) -> None:
        subscription, encoder = self.feed.subscription, self.feed.encoder
        if subscription is None or encoder is None:
            only = b"" if self.feed.first is None else self.feed.first.body
            await send(piece(b"data: " + self.envelope.wrap(only) + b"\n\n", more=False))
            return
        telling = _Telling(self, subscription, encoder, send)
        try:
            await telling()
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader must not take it for the end
            await telling.fail(error)


@define(eq=False)
class _Telling:
    """The loop of one stream: read, frame, send."""

    stream: EventStream
    subscription: Subscription
    encoder: Encoder
    send: Send

    _scope: anyio.CancelScope = field(factory=anyio.CancelScope, init=False)
    _reading: bool = field(default=False, init=False)
    _told: Seq = field(init=False)
    """The last update that was sent, or had nothing to send."""
    _around: tuple[bytes, bytes, bytes] = field(init=False)
    """What stands before a frame's number, between that and its result, and behind."""

    @_told.default
    def _known(self) -> Seq:
        return self.subscription.seq

    @_around.default
    def _fixed(self) -> tuple[bytes, bytes, bytes]:
        envelope = self.stream.envelope
        return f"id: {self.encoder.task.id}:".encode(), b"\ndata: " + envelope.before, envelope.after + b"\n\n"

    async def __call__(self) -> None:
        """
        Tell until all is told.

        Raises:
            Draining: The service ends before the stream does.
            JournalUnavailable: The store cannot be read.

        """
        drain, subscription = self.stream.drain, self.subscription
        with drain.telling(self._interrupt), self._scope:
            for frames in self._opening():
                await self._say(frames)
            self.stream.let_go()
            while not (subscription.ended or drain.ending):
                self._reading = True
                entries = await subscription.next(self.stream.keep_alive)
                self._reading = False
                await self._say_all(entries)
            if subscription.ended:
                await self.send(piece(b"", more=False))
        if self._scope.cancelled_caught and not self._reading:
            return  # the reader has stopped reading: what it got of the last piece is not known, nor would it hear more
        if not subscription.ended:
            raise Draining("the service is about to stop; the task goes on: resume from the cursor in a moment")

    async def fail(self, error: Exception) -> None:
        """End with an error, and where to go on."""
        fault = Fault.of(error, cursor=shared.cursor(self.encoder.task.id, self._told))
        note_refusal(fault)
        if fault.internal:
            _log.error("a stream of task %s broke", self.encoder.task.id, exc_info=error)
        head, *_ = self._around
        frame = (b"event: error\n", head, b"%d" % self._told, b"\ndata: ", self.stream.envelope.error(fault), b"\n\n")
        with anyio.move_on_after(_GRACE):
            await self.send(piece(b"".join(frame), more=False))

    def _interrupt(self) -> None:
        """Stop waiting for updates at once, and for the reader soon."""
        if self._reading:
            self._scope.cancel()
        else:
            self._scope.deadline = anyio.current_time() + _GRACE

    def _opening(self) -> Iterator[bytes]:
        """Give a long one in slices: a reader that is slow costs one of them, not a task of its own."""
        head, between, end = self._around
        if (first := self.stream.feed.first) is None:
            yield _RETRY + b"\n"
            return
        yield from _sliced(b"".join((_RETRY, head, b"%d" % self._told, between)), first.body, end)

    async def _say_all(self, entries: Sequence[Entry]) -> None:
        if not entries:
            await self._say(_PING)
        for frames, seq in self._pieces(entries):
            await self._say(frames)
            self._told = seq

    def _pieces(self, entries: Sequence[Entry]) -> Iterator[tuple[bytes, Seq]]:
        """Join frames to pieces of bounded size, each with the last update that is whole then."""
        head, between, end = self._around
        joined: list[bytes] = []
        size, whole = 0, self._told
        for entry in entries:
            result = self.encoder(entry)
            if len(result) > _PIECE:
                yield b"".join(joined), whole
                joined, size = [], 0
                for part in _sliced(b"".join((head, b"%d" % entry.seq, between)), result, end):
                    yield part, whole
            elif result:
                joined += (head, b"%d" % entry.seq, between, result, end)
                size += len(result)
            whole = entry.seq
            if size > _PIECE:
                yield b"".join(joined), whole
                joined, size = [], 0
        if entries:
            yield b"".join(joined), whole

    async def _say(self, frames: bytes) -> None:
        """
        Send, then let others run.

        Granian's `send` may return at once for ever, also when nobody reads any more: without a suspension this task
        would not hear that its reader has left.
        """
        if frames:
            await self.send(piece(frames, more=True))
            await checkpoint()


def _sliced(before: bytes, body: bytes, after: bytes) -> Iterator[bytes]:
    """Give bytes in pieces of bounded size."""
    if len(body) <= _PIECE:
        yield b"".join((before, body, after))
        return
    yield before
    for place in range(0, len(body), _PIECE):
        yield body[place : place + _PIECE]
    yield after


async def _leave(receive: Receive, scope: anyio.CancelScope) -> None:
    """End the stream when its reader leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
