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
from .row import Answer, ExtensionMethod, MethodServices, Risk, row
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


def _part(services: MethodServices) -> ChangeSessions | None:
    return services.changes


_SUMMARY: Final = Answer(("item",), "SessionSummary")

ROWS: Final[tuple[ExtensionMethod, ...]] = (
    row(
        "opencode.sessions.create",
        "create_session",
        extension=SESSION_QUERY,
        summary="Open a session; it is yours.",
        params=CreateSession,
        answer=_SUMMARY,
        part=_part,
        call=_create,
        risk=Risk.CHANGE,
    ),
    row(
        "opencode.sessions.rename",
        "rename_session",
        extension=SESSION_QUERY,
        summary="Give a session another title.",
        params=RenameSession,
        answer=_SUMMARY,
        part=_part,
        call=_rename,
        risk=Risk.CHANGE,
    ),
    row(
        "opencode.sessions.delete",
        "delete_session",
        extension=SESSION_QUERY,
        summary="Delete a session, its messages and its sub-agents' sessions for good.",
        params=OfSession,
        answer=Answer(("ok", "session_id")),
        part=_part,
        call=_delete,
        risk=Risk.DANGER,
        capability=Capability.SESSION_DELETE,
        setting="A2A_ENABLE_SESSION_DELETE",
    ),
    row(
        "opencode.sessions.fork",
        "fork",
        extension=SESSION_QUERY,
        summary="Copy a session, up to what is before a message; the copy is yours.",
        params=ForkSession,
        answer=_SUMMARY,
        part=_part,
        call=_fork,
        since="1.4",
        risk=Risk.CHANGE,
    ),
    row(
        "opencode.sessions.share",
        "share",
        extension=SESSION_QUERY,
        summary="Publish a session by OpenCode's sharing service; `share_url` opens it to anybody who has it.",
        params=OfSession,
        answer=_SUMMARY,
        part=_part,
        call=_share,
        since="1.4",
        risk=Risk.CHANGE,
    ),
    row(
        "opencode.sessions.unshare",
        "unshare",
        extension=SESSION_QUERY,
        summary="Take that back.",
        params=OfSession,
        answer=_SUMMARY,
        part=_part,
        call=_unshare,
        since="1.4",
        risk=Risk.CHANGE,
    ),
    row(
        "opencode.sessions.revert",
        "revert",
        extension=SESSION_QUERY,
        summary="Take a session back to before a message or a part of it, files included (OpenCode's snapshots must be on).",
        params=RevertSession,
        answer=_SUMMARY,
        part=_part,
        call=_revert,
        since="1.4",
        risk=Risk.CHANGE,
    ),
    row(
        "opencode.sessions.unrevert",
        "unrevert",
        extension=SESSION_QUERY,
        summary="Take that back.",
        params=OfSession,
        answer=_SUMMARY,
        part=_part,
        call=_unrevert,
        since="1.4",
        risk=Risk.CHANGE,
    ),
)
