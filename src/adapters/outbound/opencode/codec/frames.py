"""
The frames of `/global/event`.

Each event comes twice, plain and as a `sync` twin; twins and whatever does not concern a turn are passed over without being
parsed. The new dialect (`session.next.*`, `permission.v2.*`) belongs to sessions which are not ours.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from opencode_a2a_server.adapters.outbound.opencode import wire
from opencode_a2a_server.domain.events import Telling, TextDelta
from opencode_a2a_server.domain.ids import MessageId, PartId, SessionId
from opencode_a2a_server.domain.session import Directory

from .events import EVENTS


class Frame(NamedTuple):
    """
    What one frame of the feed says: what happened in a session.

    `connected` marks the feed's first frame. That one, and the heartbeats, are nobody's and tell nothing. `event` is what
    OpenCode calls it, on all feeds alike.
    """

    session: SessionId | None = None
    tellings: tuple[Telling, ...] = ()
    directory: Directory | None = None
    connected: bool = False
    event: str = ""


def decode_frame(data: bytes) -> Frame | None:
    """
    Read one frame of `/global/event`; None if it does not concern us.

    Raises:
        Malformed: It should concern us, but it is not what we know.

    """
    if _DELTA in data and (frame := _decode_delta(data)) is not None:
        return frame
    # Before the envelope's payload there are only strings, in which its quotes would be escaped: no text can fake it.
    head = _HEAD.search(data)
    if head is not None and (head[1] not in EVENTS or (head[1] == b"session.status" and _BUSY in data)):
        return None
    return _decode_event(data)


_HEAD = re.compile(rb'"payload":\{(?:"id":"[^"]*",)?"type":"([^"]*)"')
_DELTA = b'"type":"message.part.delta"'
_BUSY = b'"status":{"type":"busy"}'
"""Each step says it twice, and nobody needs to hear it: work shows in what it tells."""


class _DeltaProperties(msgspec.Struct, gc=False):
    sessionID: str  # noqa: N815 - theirs
    messageID: str  # noqa: N815 - theirs
    partID: str  # noqa: N815 - theirs
    field: str
    delta: str


class _DeltaPayload(msgspec.Struct, gc=False):
    type: str
    properties: _DeltaProperties
    id: str = ""


class _DeltaFrame(msgspec.Struct, gc=False):
    payload: _DeltaPayload
    directory: str = ""


_read_delta = msgspec.json.Decoder(_DeltaFrame).decode


def _decode_delta(data: bytes) -> Frame | None:
    """Read the event that there is one of for each word, at a fifth of the others' cost; None if it is another."""
    try:
        frame = _read_delta(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    delta = frame.payload.properties
    if frame.payload.type != "message.part.delta" or delta.field != "text":
        return None
    session = SessionId(delta.sessionID)
    told = TextDelta(session, MessageId(delta.messageID), PartId(delta.partID), delta.delta)
    return Frame(session, (told,), Directory(frame.directory), event=frame.payload.id)


def _decode_event(data: bytes) -> Frame | None:
    kind, properties, identifier, directory = _opened(wire.parse(data))
    decode = EVENTS.get(kind.encode())
    if decode is None:
        return None
    if (told := decode(properties)) is None:
        return Frame(connected=kind == "server.connected")
    session, tellings = told
    return Frame(session, tellings, Directory(directory), event=identifier) if tellings else None


def _opened(event: object) -> tuple[str, wire.Object, str, str]:
    """Take an event out of its envelope; one that is as they all are is spared the tables, which say why one is not."""
    match event:
        case {
            "payload": {"type": str(kind), "properties": dict(properties), "id": str(identifier)},
            "directory": str(directory),
        }:
            return kind, properties, identifier, directory
    read = wire.structure(event, wire.GlobalEvent)
    return read.payload.type, read.payload.properties, read.payload.id, read.directory
