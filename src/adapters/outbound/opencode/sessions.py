"""OpenCode's sessions as the ports of `app.ports.sessions`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import httpx
from attrs import frozen

from opencode_a2a_server.app.ports.sessions import (
    AgentNamed,
    Command,
    FileDiff,
    Order,
    PartGiven,
    Reverted,
    SessionDetails,
    SessionFilter,
    SessionState,
    ShellLine,
    Spoken,
    SpokenPage,
    SubtaskGiven,
    Todo,
)
from opencode_a2a_server.domain.errors import AgentFault, AgentRefused, InvalidRequest, SessionBusy, SessionNotFound
from opencode_a2a_server.domain.ids import MessageId, SessionId
from opencode_a2a_server.domain.interrupt import Interrupt
from opencode_a2a_server.domain.message import Json
from opencode_a2a_server.domain.session import Directory, ModelChoice, PromptOptions, Session

from . import wire
from .catalog import OpenCodeCatalog
from .client import Client, safe, within
from .codec import encode_part
from .history import decode_history, decode_spoken

_PREFIX: Final = "ses"
"""How ids of sessions begin; to any other OpenCode says that it is broken itself."""
_TURN: Final = 4 * 3600.0
"""Seconds to wait for what OpenCode answers only when a turn has ended."""


@frozen
class _Time:
    created: float
    updated: float
    archived: float | None = None


@frozen
class _SessionModel:
    """The model of a session, whose own id is called otherwise than in prompts."""

    id: str
    provider_id: str


@frozen
class _Share:
    url: str = ""


@frozen
class _Revert:
    message_id: str
    part_id: str | None = None
    snapshot: str | None = None
    diff: str | None = None


@frozen
class _Session:
    id: str
    directory: str
    time: _Time
    title: str = ""
    project_id: str | None = None
    parent_id: str | None = None
    version: str | None = None
    agent: str | None = None
    model: _SessionModel | None = None
    cost: float | None = None
    share: _Share | None = None
    revert: _Revert | None = None


@frozen
class _Status:
    type: str
    attempt: float | None = None
    message: str | None = None
    next: float | None = None


@frozen
class _Change:
    file: str = ""
    patch: str | None = None
    additions: float = 0
    deletions: float = 0
    status: str | None = None


@frozen
class _Todo:
    content: str
    status: str = ""
    priority: str = ""


@contextmanager
def _finding(session: SessionId, message: MessageId | None = None) -> Iterator[None]:
    """Say what OpenCode does not have, or what it has that works."""
    try:
        yield
    except AgentRefused as refused:
        if refused.status == httpx.codes.NOT_FOUND:
            what = f"session {session}" if message is None else f"message {message} in session {session}"
            raise SessionNotFound(f"OpenCode has no {what}") from refused
        if refused.status == httpx.codes.CONFLICT:
            raise SessionBusy(f"session {session} works on something else; wait for its end, or cancel it") from refused
        raise


def decode_details(data: bytes) -> SessionDetails:
    """Read a session."""
    return _details(wire.read(data, _Session))


def decode_diffs(data: bytes) -> Sequence[FileDiff]:
    """Read an array of changes."""
    return [
        FileDiff(told.file, told.patch, int(told.additions), int(told.deletions), told.status)
        for told in wire.read(data, tuple[_Change, ...])
    ]


@frozen
class OpenCodeReader:
    """Reads of sessions."""

    client: Client

    async def list(self, wanted: SessionFilter) -> Sequence[SessionDetails]:
        """See `SessionReader.list`."""
        query = {**within(self.client, wanted.directory), "limit": str(wanted.limit)}
        if wanted.roots is not None:
            query["roots"] = "true" if wanted.roots else "false"
        if wanted.start is not None:
            query["start"] = f"{wanted.start:.0f}"
        if wanted.search:
            query["search"] = wanted.search
        return [_details(told) for told in await self._sessions("/session", query)]

    async def get(self, session: SessionId) -> SessionDetails:
        """See `SessionReader.get`."""
        with _finding(session):
            return decode_details(await self.client.call("GET", path_of(session)))

    async def children(self, session: SessionId) -> Sequence[SessionDetails]:
        """See `SessionReader.children`."""
        with _finding(session):
            return [_details(told) for told in await self._sessions(f"{path_of(session)}/children")]

    async def states(self, directory: Directory | None) -> Sequence[SessionState]:
        """See `SessionReader.states`."""
        data = await self.client.call("GET", "/session/status", query=within(self.client, directory))
        statuses = {name: wire.structure(status, _Status) for name, status in wire.read(data, wire.Object).items()}
        return [
            SessionState(SessionId(name), status.type, _whole(status.attempt), status.message, _whole(status.next))
            for name, status in statuses.items()
        ]

    async def interrupts(self, session: Session) -> Sequence[Interrupt]:
        """See `SessionReader.interrupts`."""
        return await self.client.asked(session)

    async def todos(self, session: SessionId) -> Sequence[Todo]:
        """See `SessionReader.todos`."""
        with _finding(session):
            data = await self.client.call("GET", f"{path_of(session)}/todo")
        return [Todo(told.content, told.status, told.priority) for told in wire.read(data, tuple[_Todo, ...])]

    async def changes(self, session: SessionId, message: MessageId | None) -> Sequence[FileDiff]:
        """See `SessionReader.changes`. OpenCode gives nothing unless it is told the turn's own message."""
        with _finding(session, message):
            if message is not None:
                return await self._changed_by(session, message)
            page = await self._page(session, {"limit": str(_LOOKED_BACK)})
            for spoken in reversed(page.messages):
                if spoken.parent_id is None and (found := await self._changed_by(session, spoken.id)):
                    return found
        return []

    async def messages(self, session: SessionId, limit: int, before: str | None) -> SpokenPage:
        """
        See `SessionReader.messages`.

        A message that wanted structured output can never be read again, nor can any page it is on. What is newer than
        it is read one by one.
        """
        place = {} if before is None else {"before": before}
        with _finding(session):
            try:
                return await self._page(session, {"limit": str(limit), **place})
            except AgentRefused as refused:
                if refused.status != httpx.codes.BAD_REQUEST:
                    raise
                page = await self._one_by_one(session, limit, before)
                if not page.messages and before is not None:
                    raise InvalidRequest("before must be the next_cursor of an earlier page", "before") from refused
                return page

    async def message(self, session: SessionId, message: MessageId) -> Spoken:
        """See `SessionReader.message`."""
        with _finding(session, message):
            return decode_spoken(await self.client.call("GET", f"{path_of(session)}/message/{safe(message)}"))

    async def _changed_by(self, session: SessionId, message: MessageId) -> Sequence[FileDiff]:
        query = {"messageID": safe(message)}
        return decode_diffs(await self.client.call("GET", f"{path_of(session)}/diff", query=query))

    async def _page(self, session: SessionId, query: Mapping[str, str]) -> SpokenPage:
        response = await self.client.send("GET", f"{path_of(session)}/message", query=query)
        return SpokenPage(decode_history(response.content), response.headers.get("x-next-cursor"))

    async def _one_by_one(self, session: SessionId, limit: int, before: str | None) -> SpokenPage:
        newest_first: list[Spoken] = []
        while len(newest_first) < limit:
            query = {"limit": "1"} if before is None else {"limit": "1", "before": before}
            try:
                page = await self._page(session, query)
            except AgentRefused as refused:
                if refused.status == httpx.codes.BAD_REQUEST:
                    before = None
                    break
                raise
            newest_first += page.messages
            if (before := page.before) is None:
                break
        return SpokenPage(newest_first[::-1], before)

    async def _sessions(self, path: str, query: Mapping[str, str] | None = None) -> Sequence[_Session]:
        return wire.read(await self.client.call("GET", path, query=query), tuple[_Session, ...])


_LOOKED_BACK: Final = 50
"""Messages among which the last change is looked for."""


@frozen
class OpenCodeEditor:
    """Changes of sessions."""

    client: Client
    default: ModelChoice | None = None
    """What summarizes a session that no model has worked in yet."""

    async def create(self, directory: Directory | None, title: str, parent: SessionId | None) -> SessionDetails:
        """See `SessionEditor.create`."""
        body: dict[str, Json] = {"title": title} if title else {}
        if parent is not None:
            body["parentID"] = _checked(parent)
        query = within(self.client, directory)
        return decode_details(await self.client.call("POST", "/session", query=query, body=body))

    async def rename(self, session: SessionId, title: str) -> SessionDetails:
        """See `SessionEditor.rename`."""
        return await self._edit("PATCH", session, "", {"title": title})

    async def delete(self, session: SessionId) -> None:
        """See `SessionEditor.delete`."""
        with _finding(session):
            await self.client.call("DELETE", path_of(session))

    async def fork(self, session: SessionId, before: MessageId | None) -> SessionDetails:
        """See `SessionEditor.fork`."""
        return await self._edit("POST", session, "/fork", {} if before is None else {"messageID": before})

    async def share(self, session: SessionId) -> SessionDetails:
        """See `SessionEditor.share`."""
        return await self._edit("POST", session, "/share")

    async def unshare(self, session: SessionId) -> SessionDetails:
        """See `SessionEditor.unshare`."""
        return await self._edit("DELETE", session, "/share")

    async def revert(self, session: SessionId, message: MessageId, part: str | None) -> SessionDetails:
        """See `SessionEditor.revert`."""
        place = {"messageID": message} if part is None else {"messageID": message, "partID": part}
        return await self._edit("POST", session, "/revert", place)

    async def unrevert(self, session: SessionId) -> SessionDetails:
        """See `SessionEditor.unrevert`."""
        return await self._edit("POST", session, "/unrevert")

    async def summarize(self, session: SessionId, model: ModelChoice | None, *, auto: bool) -> None:
        """See `SessionEditor.summarize`."""
        chosen = model or await self._own_model(session)
        body: dict[str, Json] = {"providerID": chosen.provider_id, "modelID": chosen.model_id}
        if auto:
            body["auto"] = True
        with _finding(session):
            await self.client.call("POST", f"{path_of(session)}/summarize", body=body, read=_TURN)

    async def _own_model(self, session: SessionId) -> ModelChoice:
        known = await OpenCodeReader(self.client).get(session)
        found = known.model or self.default or await OpenCodeCatalog(self.client).default_model(known.directory)
        if found is None:
            raise AgentFault("OpenCode has no default model; name one: request.providerID and request.modelID")
        return found

    async def _edit(
        self, method: str, session: SessionId, verb: str, body: Mapping[str, Json] | None = None
    ) -> SessionDetails:
        with _finding(session):
            return decode_details(await self.client.call(method, path_of(session) + verb, body=body))


@frozen
class OpenCodeWorker:
    """Work in sessions."""

    client: Client

    async def prompt(self, session: SessionId, order: Order) -> None:
        """See `SessionWorker.prompt`."""
        body: dict[str, Json] = {"parts": _parts(order.parts), **_chosen(order.options)}
        if order.id is not None:
            body["messageID"] = order.id
        if order.tools:
            body["tools"] = dict(order.tools)
        if order.no_reply:
            body["noReply"] = True
        if order.schema is not None:
            retries: dict[str, Json] = {} if order.retries is None else {"retryCount": order.retries}
            body["format"] = {"type": "json_schema", "schema": dict(order.schema), **retries}
        with _finding(session):
            await self.client.call("POST", f"{path_of(session)}/prompt_async", body=body)

    async def command(self, session: SessionId, command: Command) -> Spoken:
        """See `SessionWorker.command`."""
        options = _chosen(command.options)
        body: dict[str, Json] = {"command": command.name, "arguments": command.arguments, **options}
        if command.options.model is not None:  # here alone it is one word
            body["model"] = f"{command.options.model.provider_id}/{command.options.model.model_id}"
        if command.id is not None:
            body["messageID"] = command.id
        if command.files:
            body["parts"] = _parts(command.files)
        try:
            return await self._work(session, "command", body)
        except AgentRefused:
            known = [offered.name for offered in await OpenCodeCatalog(self.client).commands(None)]
            if command.name in known:
                raise
            raise InvalidRequest(
                f"OpenCode has no command {command.name!r}; it has: {', '.join(known)}", "request.command"
            ) from None

    async def shell(self, session: SessionId, line: ShellLine) -> Spoken:
        """See `SessionWorker.shell`."""
        body: dict[str, Json] = {"agent": line.agent, "command": line.command, **_model(line.model)}
        try:
            return await self._work(session, "shell", body)
        except AgentRefused:
            known = [offered.name for offered in await OpenCodeCatalog(self.client).agents(None)]
            if line.agent in known:
                raise
            raise InvalidRequest(
                f"OpenCode has no agent {line.agent!r}; it has: {', '.join(known)}", "request.agent"
            ) from None

    async def _work(self, session: SessionId, verb: str, body: Mapping[str, Json]) -> Spoken:
        with _finding(session):
            return decode_spoken(await self.client.call("POST", f"{path_of(session)}/{verb}", body=body, read=_TURN))


def path_of(session: SessionId) -> str:
    """Give a session's path."""
    return f"/session/{_checked(session)}"


def _checked(session: SessionId) -> str:
    if not session.startswith(_PREFIX):
        raise SessionNotFound(f"OpenCode has no session {session}")
    return safe(session)


def _details(told: _Session) -> SessionDetails:
    archived = told.time.archived
    return SessionDetails(
        SessionId(told.id),
        Directory(told.directory),
        told.title,
        told.time.created / 1000,
        told.time.updated / 1000,
        None if archived is None else archived / 1000,
        told.project_id,
        None if told.parent_id is None else SessionId(told.parent_id),
        told.version,
        told.agent,
        None if told.model is None else ModelChoice(told.model.provider_id, told.model.id),
        told.cost,
        told.share.url if told.share else None,
        _reverted(told.revert),
    )


def _reverted(told: _Revert | None) -> Reverted | None:
    return None if told is None else Reverted(told.message_id, told.part_id, told.snapshot, told.diff)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _parts(parts: Sequence[PartGiven]) -> list[Json]:
    return [_part(part, f"request.parts[{index}]") for index, part in enumerate(parts)]


def _part(part: PartGiven, where: str) -> Json:
    match part:
        case AgentNamed(name):
            return {"type": "agent", "name": name}
        case SubtaskGiven():
            told: dict[str, Json] = {"type": "subtask", "prompt": part.prompt, "description": part.description}
            command: dict[str, Json] = {} if part.command is None else {"command": part.command}
            return {**told, "agent": part.agent, **_model(part.model), **command}
        case _:
            return encode_part(part, where)


def _chosen(options: PromptOptions) -> dict[str, Json]:
    chosen: dict[str, Json] = {"agent": options.agent, "system": options.system, "variant": options.variant}
    return {**_model(options.model), **{name: value for name, value in chosen.items() if value}}


def _model(model: ModelChoice | None) -> dict[str, Json]:
    return {} if model is None else {"model": {"providerID": model.provider_id, "modelID": model.model_id}}
