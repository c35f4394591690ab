"""Methods that read sessions."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.ports.sessions import SessionFilter
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from opencode_a2a_server.domain.ids import MessageId

from .read import Identifier, InvalidField, OfSession, Placed, Words
from .row import Answer, ExtensionMethod, Rows
from .told import history_message, plain, session_task
from .uris import SESSION_QUERY

DEFAULT_LIMIT: Final = 20
MOST_LISTED: Final = 100
Limit = Annotated[int, Meta(ge=1, le=MOST_LISTED)]


class ListSessions(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions to list."""

    limit: Limit | None = None
    roots: bool | None = None
    start: Annotated[float, Meta(ge=0)] | None = None
    search: Words | None = None
    query: dict[str, Any] | None = None
    """What 0.2 passed on to OpenCode as it was; of it `limit` is read."""


class ListMessages(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages to list."""

    limit: Limit | None = None
    before: Words | None = None
    query: dict[str, Any] | None = None


class OfMessage(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which message is meant."""

    message_id: Identifier


class OfTurn(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which turn is meant, by its message of the user's."""

    message_id: Identifier | None = None


async def _list(sessions: ReadSessions, call: Call, asked: ListSessions) -> Told:
    wanted = SessionFilter(_limit(asked.limit, asked.query), roots=asked.roots, start=asked.start, search=asked.search)
    found = await sessions.list(call.principal, wanted, asked.place)
    return {"items": [session_task(details, call.shape) for details in found]}


async def _get(sessions: ReadSessions, call: Call, asked: OfSession) -> Told:
    return {"item": session_task(await sessions.get(call.principal, asked.named), call.shape)}


async def _children(sessions: ReadSessions, call: Call, asked: OfSession) -> Told:
    found = await sessions.children(call.principal, asked.named)
    return {"items": [session_task(details, call.shape) for details in found]}


async def _status(sessions: ReadSessions, call: Call, asked: Placed) -> Told:
    return {"items": plain(await sessions.states(call.principal, asked.place))}


async def _todo(sessions: ReadSessions, call: Call, asked: OfSession) -> Told:
    return {"items": plain(await sessions.todos(call.principal, asked.named))}


async def _diff(sessions: ReadSessions, call: Call, asked: OfTurn) -> Told:
    message = None if asked.message_id is None else MessageId(asked.message_id)
    return {"items": plain(await sessions.diffs(call.principal, asked.named, message))}


async def _messages(sessions: ReadSessions, call: Call, asked: ListMessages) -> Told:
    limit = _limit(asked.limit, asked.query)
    page = await sessions.messages(call.principal, asked.named, limit, asked.before)
    told: Told = {"items": [history_message(spoken, call.shape) for spoken in page.messages]}
    return told if page.before is None else {**told, "next_cursor": page.before}


async def _message(sessions: ReadSessions, call: Call, asked: OfMessage) -> Told:
    spoken = await sessions.message(call.principal, asked.named, MessageId(asked.message_id))
    return {"item": history_message(spoken, call.shape)}


def _limit(limit: int | None, query: dict[str, Any] | None) -> int:
    named = None if query is None else query.get("limit")
    if named is None:
        return limit or DEFAULT_LIMIT
    if not isinstance(named, int) or isinstance(named, bool) or not 1 <= named <= MOST_LISTED:
        raise InvalidField(f"query.limit must be a whole number from 1 to {MOST_LISTED}", "query.limit")
    if limit not in (None, named):
        raise InvalidField("limit and query.limit say different things; drop one", "limit")
    return named


_ROWS: Final[Rows[ReadSessions]] = Rows(SESSION_QUERY, lambda services: services.sessions)

ROWS: Final[tuple[ExtensionMethod, ...]] = (
    _ROWS.of(
        "opencode.sessions.list",
        "list_sessions",
        summary="Sessions, the last changed first, each as a completed task.",
        params=ListSessions,
        answer=Answer(("items",), "Task"),
        call=_list,
        since="0.2",
    ),
    _ROWS.of(
        "opencode.sessions.messages.list",
        "get_session_messages",
        summary="The last messages of a session, oldest first, with all their parts; `next_cursor` leads to older ones.",
        params=ListMessages,
        answer=Answer(("items", "next_cursor"), "Message"),
        call=_messages,
        since="0.2",
    ),
    _ROWS.of(
        "opencode.sessions.status",
        "status",
        summary="The sessions that do not rest, and what they are at.",
        params=Placed,
        answer=Answer(("items",), "SessionStatusSummary"),
        call=_status,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.sessions.get",
        "get_session",
        summary="One session.",
        params=OfSession,
        answer=Answer(("item",), "Task"),
        call=_get,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.sessions.children",
        "get_session_children",
        summary="The sessions of its sub-agents.",
        params=OfSession,
        answer=Answer(("items",), "Task"),
        call=_children,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.sessions.todo",
        "get_session_todo",
        summary="What the agent means to do: content, status, priority.",
        params=OfSession,
        answer=Answer(("items",), "Todo"),
        call=_todo,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.sessions.diff",
        "get_session_diff",
        summary="What a turn changed, a unified diff for each file; without `message_id` the last turn that changed any.",
        params=OfTurn,
        answer=Answer(("items",), "FileDiff"),
        call=_diff,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.sessions.messages.get",
        "get_session_message",
        summary="One message.",
        params=OfMessage,
        answer=Answer(("item",), "Message"),
        call=_message,
        since="1.4",
    ),
)
