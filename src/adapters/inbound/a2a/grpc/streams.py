"""
Streams over gRPC: the same updates in the same order as over SSE, one message each.

A message has no place for a frame's id; the place in the stream is `metadata.shared.stream` of each. A reader brings the
last one back as `last-event-id` in the metadata of its next call. gRPC itself holds back who writes to a slow reader.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio
from attrs import define, frozen
from google.protobuf.message import Message

from opencode_a2a_server.adapters.inbound.a2a import shared
from opencode_a2a_server.adapters.inbound.a2a.drain import Drain
from opencode_a2a_server.adapters.inbound.a2a.sse import Feed
from opencode_a2a_server.app.usecases.subscribe import Subscription
from opencode_a2a_server.domain.errors import Draining
from opencode_a2a_server.domain.ids import Seq
from opencode_a2a_server.domain.updates import Entry

from .frames import Frames, read


class Cut(Exception):
    """A stream ends before its task does: why, and where to go on."""

    def __init__(self, error: Exception, cursor: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.cursor = cursor


@frozen
class Streams:
    """What tells feeds as the StreamResponses of one version."""

    drain: Drain
    response: type[Message]

    async def __call__(self, feed: Feed) -> AsyncIterator[bytes]:
        """
        Give a feed's messages, encoded.

        Raises:
            Cut: The service ends, or the store cannot be read, before all was told.

        """
        if feed.first is not None:
            yield read(feed.first.body, self.response()).SerializeToString()
        if feed.subscription is None or feed.encoder is None:
            return
        subscription, frames = feed.subscription, Frames(feed.encoder, self.response)
        place = _Place(subscription.seq)
        try:
            while not subscription.ended:
                for entry in await self._next(subscription):
                    if frame := frames(entry):
                        yield frame
                    place.told = entry.seq
        except Exception as error:
            raise Cut(error, shared.cursor(feed.encoder.task.id, place.told)) from error

    async def _next(self, subscription: Subscription) -> Sequence[Entry]:
        """Wait for updates, but not beyond the end of the service."""
        if not self.drain.ending:
            with anyio.CancelScope() as scope, self.drain.telling(scope.cancel):
                return await subscription.next()
        raise Draining("the service is about to stop; the task goes on: resume from the cursor in a moment")


@define
class _Place:
    """The last update that was told, or had nothing to tell."""

    told: Seq
