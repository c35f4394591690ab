"""Methods that change sessions."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.usecases.change_sessions import ChangeSessions
from opencode_a2a_server.domain.ids import MessageId, SessionId

from .read import Identifier, MessageIdentifier, OfSession, PartIdentifier, Placed
from .row import Answer, ExtensionMethod, Risk, Rows
from .told import session_summary
from .uris import SESSION_QUERY

Title = Annotated[str, Meta(min_length=1, max_length=512)]


class CreateSession(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session to open."""

    title: Title | None = None
    parent_id: Identifier | None = None


class RenameSession(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session's new title."""

    title: Title


class ForkRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to where to copy."""

    messageID: MessageIdentifier | None = None  # noqa: N815 - OpenCode's


class ForkSession(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session to copy."""

    request: ForkRequest | None = None


class RevertRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to where to take back."""

    messageID: MessageIdentifier  # noqa: N815 - OpenCode's
    partID: PartIdentifier | None = None  # noqa: N815 - OpenCode's


class RevertSession(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session to take back."""

    request: RevertRequest


async def _create(sessions: ChangeSessions, call: Call, asked: CreateSession) -> Told:
    parent = None if asked.parent_id is None else SessionId(asked.parent_id)
    return {"item": session_summary(await sessions.create(call.principal, asked.title or "", parent, asked.place))}


async def _rename(sessions: ChangeSessions, call: Call, asked: RenameSession) -> Told:
    return {"item": session_summary(await sessions.rename(call.principal, asked.named, asked.title))}


async def _delete(sessions: ChangeSessions, call: Call, asked: OfSession) -> Told:
    await sessions.delete(call.principal, asked.named)
    return {"ok": True, "session_id": asked.session_id}


async def _fork(sessions: ChangeSessions, call: Call, asked: ForkSession) -> Told:
    named = None if asked.request is None else asked.request.messageID
    before = None if named is None else MessageId(named)
    return {"item": session_summary(await sessions.fork(call.principal, asked.named, before))}


async def _share(sessions: ChangeSessions, call: Call, asked: OfSession) -> Told:
    return {"item": session_summary(await sessions.share(call.principal, asked.named))}


async def _unshare(sessions: ChangeSessions, call: Call, asked: OfSession) -> Told:
    return {"item": session_summary(await sessions.unshare(call.principal, asked.named))}


async def _revert(sessions: ChangeSessions, call: Call, asked: RevertSession) -> Told:
    message = MessageId(asked.request.messageID)
    return {"item": session_summary(await sessions.revert(call.principal, asked.named, message, asked.request.partID))}


async def _unrevert(sessions: ChangeSessions, call: Call, asked: OfSession) -> Told:
    return {"item": session_summary(await sessions.unrevert(call.principal, asked.named))}


_SUMMARY: Final = Answer(("item",), "SessionSummary")

_ROWS: Final[Rows[ChangeSessions]] = Rows(SESSION_QUERY, lambda services: services.changes)

ROWS: Final[tuple[ExtensionMethod, ...]] = (
    _ROWS.of(
        "opencode.sessions.create",
        "create_session",
        summary="Open a session; it is yours.",
        params=CreateSession,
        answer=_SUMMARY,
        call=_create,
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.sessions.rename",
        "rename_session",
        summary="Give a session another title.",
        params=RenameSession,
        answer=_SUMMARY,
        call=_rename,
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.sessions.delete",
        "delete_session",
        summary="Delete a session, its messages and its sub-agents' sessions for good.",
        params=OfSession,
        answer=Answer(("ok", "session_id")),
        call=_delete,
        risk=Risk.DANGER,
        capability=Capability.SESSION_DELETE,
        setting="A2A_ENABLE_SESSION_DELETE",
    ),
    _ROWS.of(
        "opencode.sessions.fork",
        "fork",
        summary="Copy a session, up to what is before a message; the copy is yours.",
        params=ForkSession,
        answer=_SUMMARY,
        call=_fork,
        since="1.4",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.sessions.share",
        "share",
        summary="Publish a session by OpenCode's sharing service; `share_url` opens it to anybody who has it.",
        params=OfSession,
        answer=_SUMMARY,
        call=_share,
        since="1.4",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.sessions.unshare",
        "unshare",
        summary="Take that back.",
        params=OfSession,
        answer=_SUMMARY,
        call=_unshare,
        since="1.4",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.sessions.revert",
        "revert",
        summary="Take a session back to before a message or a part of it, files included (OpenCode's snapshots must be on).",
        params=RevertSession,
        answer=_SUMMARY,
        call=_revert,
        since="1.4",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.sessions.unrevert",
        "unrevert",
        summary="Take that back.",
        params=OfSession,
        answer=_SUMMARY,
        call=_unrevert,
        since="1.4",
        risk=Risk.CHANGE,
    ),
)
