"""Methods that read sessions."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.ports.sessions import SessionFilter
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from opencode_a2a_server.domain.ids import SessionId

from .read import Identifier, InvalidField, Params, Words
from .row import Answer, ExtensionMethod, MethodServices, row
from .told import session_task
from .uris import SESSION_QUERY

_LIMIT: Final = 20
Limit = Annotated[int, Meta(ge=1, le=100)]


class ListSessions(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions to list."""

    limit: Limit | None = None
    roots: bool | None = None
    start: Annotated[float, Meta(ge=0)] | None = None
    search: Words | None = None
    query: dict[str, Any] | None = None
    """What 0.2 passed on to OpenCode as it was; of it `limit` is read."""


class OfSession(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which session is meant."""

    session_id: Identifier


async def _list(sessions: ReadSessions, call: Call, asked: ListSessions) -> Told:
    wanted = SessionFilter(_limit(asked.limit, asked.query), None, asked.roots, asked.start, asked.search)
    found = await sessions.list(call.principal, wanted)
    return {"items": [session_task(details, call.shape) for details in found]}


async def _get(sessions: ReadSessions, call: Call, asked: OfSession) -> Told:
    return {"item": session_task(await sessions.get(call.principal, SessionId(asked.session_id)), call.shape)}


def _limit(limit: int | None, query: dict[str, Any] | None) -> int:
    named = None if query is None else query.get("limit")
    if named is None:
        return limit or _LIMIT
    if not isinstance(named, int) or isinstance(named, bool) or not 1 <= named <= 100:  # noqa: PLR2004
        raise InvalidField("query.limit must be a whole number from 1 to 100", "query.limit")
    if limit not in (None, named):
        raise InvalidField("limit and query.limit say different things; drop one", "limit")
    return named


def _part(services: MethodServices) -> ReadSessions | None:
    return services.sessions


ROWS: Final[tuple[ExtensionMethod, ...]] = (
    row(
        "opencode.sessions.list",
        "list_sessions",
        extension=SESSION_QUERY,
        summary="Sessions, the last changed first.",
        params=ListSessions,
        answer=Answer(("items",), "Task"),
        part=_part,
        call=_list,
        since="0.2",
    ),
    row(
        "opencode.sessions.get",
        "get_session",
        extension=SESSION_QUERY,
        summary="One session.",
        params=OfSession,
        answer=Answer(("item",), "Task"),
        part=_part,
        call=_get,
        since="1.4",
    ),
)
