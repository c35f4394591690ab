"""Short words for what a runtime tells."""

from __future__ import annotations

from typing import Any

from opencode_a2a_server.domain.events import (
    Answered,
    Asked,
    Failure,
    MessageSeen,
    Recollection,
    SessionBusy,
    SessionFailed,
    SessionIdle,
    SessionOpened,
    SessionRetrying,
    StepFinished,
    Telling,
    TextDelta,
    TextKind,
    TextSeen,
    TextUnderway,
    ToolSeen,
    ToolState,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import Interrupt, Permission
from opencode_a2a_server.domain.message import Role
from opencode_a2a_server.domain.usage import Usage

from .folding import PROMPT, SESSION

CHILD = SessionId("ses_child")
ABORTED = Failure("MessageAbortedError", "Aborted")
DENIED = Failure("APIError", "no such key", 401)


def asked_for(prompt: str = PROMPT, created: int = 10, session: SessionId = SESSION) -> MessageSeen:
    """The prompt, as the runtime shows it."""
    return MessageSeen(session, MessageId(prompt), Role.USER, created=created)


def answer(message: str = "a1", *, created: int = 20, **more: Any) -> MessageSeen:
    """An answer; `finish` means that it is whole."""
    more.setdefault("completed", bool(more.get("finish")))
    more.setdefault("parent", PROMPT)
    return MessageSeen(more.pop("session", SESSION), MessageId(message), Role.AGENT, created=created, **more)


def text(words: str, part: str = "p1", message: str = "a1", **more: Any) -> TextSeen:
    """A text, whole unless it is said not to be."""
    more.setdefault("closed", True)
    more.setdefault("kind", TextKind.TEXT)
    return TextSeen(more.pop("session", SESSION), MessageId(message), PartId(part), text=words, **more)


def opened(part: str = "p1", message: str = "a1", **more: Any) -> TextSeen:
    """A text that begins."""
    return text("", part, message, closed=False, **more)


def delta(words: str, part: str = "p1", message: str = "a1", session: SessionId = SESSION) -> TextDelta:
    """More text."""
    return TextDelta(session, MessageId(message), PartId(part), words)


def underway(words: str, part: str = "p1", message: str = "a1", *, length: int = 0, **more: Any) -> TextUnderway:
    """How far a text is, by who has heard it all along: all of it, or the end of so much."""
    kind = more.pop("kind", TextKind.TEXT)
    session = more.pop("session", SESSION)
    return TextUnderway(session, MessageId(message), PartId(part), kind, length or len(words), words)


def tool(state: ToolState, part: str = "t1", message: str = "a1", **more: Any) -> ToolSeen:
    """A call of a tool."""
    return ToolSeen(
        more.pop("session", SESSION),
        MessageId(message),
        PartId(part),
        f"call_{part}",
        more.pop("tool", "bash"),
        state,
        **more,
    )


def step(
    part: str, reason: str = "stop", message: str = "a1", session: SessionId = SESSION, **used: Any
) -> StepFinished:
    """The end of a call of the model."""
    return StepFinished(session, MessageId(message), PartId(part), reason, Usage(**used))


def permission(number: int = 1, session: SessionId = SESSION, message: str | None = "a1") -> Permission:
    """A permission asked for."""
    return Permission(
        RequestId(f"per_{number}"), session, "bash", ("ls",), message=None if message is None else MessageId(message)
    )


def shown(*told: Telling, busy: tuple[SessionId, ...] = (), asked: tuple[Interrupt, ...] = ()) -> Recollection:
    """What the runtime shows when it is asked."""
    return Recollection(frozenset(busy), told, asked)


def asks(interrupt: Interrupt) -> Asked:
    """Somebody must answer."""
    return Asked(interrupt)


def answered(number: int = 1, resolution: str = "once", session: SessionId = SESSION) -> Answered:
    """Somebody did."""
    return Answered(session, RequestId(f"per_{number}"), resolution)


def failed(failure: Failure, session: SessionId = SESSION) -> SessionFailed:
    """A failure of the session."""
    return SessionFailed(session, failure)


BUSY = SessionBusy(SESSION)
IDLE = SessionIdle(SESSION)
TRIES_AGAIN = SessionRetrying(SESSION, 1, "429")
SUB_AGENT = SessionOpened(CHILD, SESSION)
