"""What OpenCode calls its events, and what each of them tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from opencode_a2a_server.adapters.outbound.opencode import wire
from opencode_a2a_server.domain.events import (
    Answered,
    Asked,
    Failure,
    MessageRemoved,
    PartRemoved,
    SessionBusy,
    SessionFailed,
    SessionGone,
    SessionIdle,
    SessionOpened,
    SessionRetrying,
    Telling,
    TextDelta,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import Interrupt

from .interrupts import read_permission, read_question
from .messages import read_failure, read_message, read_part

Told: TypeAlias = tuple[SessionId, tuple[Telling, ...]]


def _server_lives(_: wire.Object) -> None:
    return None


def _session_created(properties: wire.Object) -> Told:
    info = wire.structure(properties, wire.SessionEvent).info
    session, parent = SessionId(info.id), None if info.parent_id is None else SessionId(info.parent_id)
    return session, (SessionOpened(session, parent),)


def _session_deleted(properties: wire.Object) -> Told:
    session = SessionId(wire.structure(properties, wire.SessionEvent).info.id)
    return session, (SessionGone(session),)


def _session_status(properties: wire.Object) -> Told:
    event = wire.structure(properties, wire.StatusEvent)
    session, status = SessionId(event.session_id), event.status
    match status.type:
        case "busy":
            return session, (SessionBusy(session),)
        case "retry":
            return session, (SessionRetrying(session, int(status.attempt), status.message),)
        case "idle":
            return session, (SessionIdle(session),)
    return session, ()


def _session_idle(properties: wire.Object) -> Told:
    session = SessionId(wire.structure(properties, wire.IdleEvent).session_id)
    return session, (SessionIdle(session),)


def _session_error(properties: wire.Object) -> Told:
    event = wire.structure(properties, wire.ErrorEvent)
    session = SessionId(event.session_id or "")
    failure = Failure("UnknownError", "") if event.error is None else read_failure(event.error)
    return session, (SessionFailed(session, failure),) if session else ()


def _message_updated(properties: wire.Object) -> Told:
    told = read_message(wire.structure(properties, wire.MessageEvent).info)
    return told.session, (told,)


def _message_removed(properties: wire.Object) -> Told:
    event = wire.structure(properties, wire.MessageRemovedEvent)
    session = SessionId(event.session_id)
    return session, (MessageRemoved(session, MessageId(event.message_id)),)


def _part_updated(properties: wire.Object) -> Told:
    part = wire.structure(properties, wire.PartEvent).part
    if isinstance(part, wire.OtherPart):
        return SessionId(""), ()
    return SessionId(part.session_id), read_part(part)


def _part_delta(properties: wire.Object) -> Told:
    event = wire.structure(properties, wire.DeltaEvent)
    session = SessionId(event.session_id)
    told = TextDelta(session, MessageId(event.message_id), PartId(event.part_id), event.delta)
    return session, (told,) if event.field == "text" else ()


def _part_removed(properties: wire.Object) -> Told:
    event = wire.structure(properties, wire.PartRemovedEvent)
    session = SessionId(event.session_id)
    return session, (PartRemoved(session, MessageId(event.message_id), PartId(event.part_id)),)


def _permission_asked(properties: wire.Object) -> Told:
    return _asked(read_permission(wire.structure(properties, wire.Permission)))


def _question_asked(properties: wire.Object) -> Told:
    return _asked(read_question(wire.structure(properties, wire.Question)))


def _asked(interrupt: Interrupt) -> Told:
    return interrupt.session, (Asked(interrupt),)


def _permission_replied(properties: wire.Object) -> Told:
    return _answered(properties, None)


def _question_replied(properties: wire.Object) -> Told:
    return _answered(properties, "replied")


def _question_rejected(properties: wire.Object) -> Told:
    return _answered(properties, "rejected")


def _answered(properties: wire.Object, resolution: str | None) -> Told:
    event = wire.structure(properties, wire.RepliedEvent)
    session = SessionId(event.session_id)
    return session, (Answered(session, RequestId(event.request_id), resolution or event.reply),)


EVENTS: Mapping[bytes, Callable[[wire.Object], Told | None]] = {
    b"server.connected": _server_lives,
    b"server.heartbeat": _server_lives,
    b"session.created": _session_created,
    b"session.deleted": _session_deleted,
    b"session.status": _session_status,
    b"session.idle": _session_idle,
    b"session.error": _session_error,
    b"message.updated": _message_updated,
    b"message.removed": _message_removed,
    b"message.part.updated": _part_updated,
    b"message.part.delta": _part_delta,
    b"message.part.removed": _part_removed,
    b"permission.asked": _permission_asked,
    b"permission.replied": _permission_replied,
    b"question.asked": _question_asked,
    b"question.replied": _question_replied,
    b"question.rejected": _question_rejected,
}
"""What we listen to; all other events are noise."""
