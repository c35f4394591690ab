"""Files of OpenCode's directories as the port `Files`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
from attrs import frozen

from opencode_a2a_server.app.ports.files import Branch, Content, Entry, FileStatus, Match
from opencode_a2a_server.app.ports.sessions import FileDiff
from opencode_a2a_server.domain.errors import AgentRefused, InvalidRequest
from opencode_a2a_server.domain.session import Directory

from . import wire
from .client import Client, within
from .sessions import decode_diffs


@frozen
class _Entry:
    name: str
    path: str
    type: str
    ignored: bool = False


@frozen
class _Content:
    type: str
    content: str = ""
    encoding: str | None = None
    mime_type: str | None = None


@frozen
class _Text:
    text: str = ""


@frozen
class _Status:
    file: str
    status: str
    additions: float = 0
    deletions: float = 0


@contextmanager
def _inside(path: str, field: str) -> Iterator[None]:
    """OpenCode calls it a fault of its own when a path leads out of the directory."""
    try:
        yield
    except AgentRefused as refused:
        if refused.status in (httpx.codes.INTERNAL_SERVER_ERROR, httpx.codes.BAD_REQUEST):
            raise InvalidRequest(
                f"OpenCode cannot read {path!r}; paths are those within its directory", field
            ) from None
        raise


@frozen
class OpenCodeFiles:
    """Files."""

    client: Client

    async def find(self, directory: Directory | None, query: str, kind: str | None, limit: int) -> Sequence[str]:
        """See `Files.find`."""
        more = {"limit": str(limit), **({} if kind is None else {"type": kind})}
        return list(wire.read(await self._get("/find/file", directory, query=query, **more), tuple[str, ...]))

    async def search(self, directory: Directory | None, pattern: str) -> Sequence[Match]:
        """See `Files.search`."""
        with _inside(pattern, "pattern"):
            found = wire.read(await self._get("/find", directory, pattern=pattern), tuple[wire.Object, ...])
        return [_match(told) for told in found]

    async def list(self, directory: Directory | None, path: str) -> Sequence[Entry]:
        """See `Files.list`."""
        with _inside(path, "path"):
            data = await self._get("/file", directory, path=path)
        return [Entry(told.name, told.path, told.type, told.ignored) for told in wire.read(data, tuple[_Entry, ...])]

    async def read(self, directory: Directory | None, path: str) -> Content:
        """See `Files.read`."""
        with _inside(path, "path"):
            told = wire.read(await self._get("/file/content", directory, path=path), _Content)
        return Content(told.type, told.content, told.encoding, told.mime_type)

    async def status(self, directory: Directory | None) -> Sequence[FileStatus]:
        """See `Files.status`. `/file/status` of OpenCode 1.18 is always empty; `/vcs/status` has it."""
        found = wire.read(await self._get("/vcs/status", directory), tuple[_Status, ...])
        return [FileStatus(told.file, told.status, int(told.additions), int(told.deletions)) for told in found]

    async def branch(self, directory: Directory | None) -> Branch:
        """See `Files.branch`."""
        told = wire.read(await self._get("/vcs", directory), wire.Object)
        return Branch(told.get("branch"), told.get("default_branch"))

    async def changes(self, directory: Directory | None, against: str) -> Sequence[FileDiff]:
        """See `Files.changes`."""
        return decode_diffs(await self._get("/vcs/diff", directory, mode=against))

    async def _get(self, where: str, directory: Directory | None, **query: str) -> bytes:
        return await self.client.call("GET", where, query={**within(self.client, directory), **query})


def _match(told: wire.Object) -> Match:
    return Match(
        wire.structure(told.get("path", {}), _Text).text,
        int(told.get("line_number", 0)),
        wire.structure(told.get("lines", {}), _Text).text.rstrip("\n"),
    )
