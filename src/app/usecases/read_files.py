"""Read the files that the runtime works on."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.app.ports.files import Branch, Content, Entry, Files, FileStatus, Match
from opencode_a2a_server.app.ports.sessions import FileDiff
from opencode_a2a_server.app.usecases.choose_directory import ChooseDirectory, Place
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import Principal


@frozen
class ReadFiles:
    """
    Raises what `ChooseDirectory` and `Files` raise.

    A path is checked here and by the runtime: it stays inside the directory by its words, wherever links lead.
    """

    files: Files
    choose: ChooseDirectory

    async def find(self, principal: Principal, place: Place, query: str, kind: str | None, limit: int) -> Sequence[str]:
        """Give the paths that are most like the query."""
        return (await self.files.find(await self.choose(principal, place), query, kind, limit))[:limit]

    async def search(self, principal: Principal, place: Place, pattern: str, limit: int) -> Sequence[Match]:
        """Give the lines that a regular expression fits."""
        return (await self.files.search(await self.choose(principal, place), pattern))[:limit]

    async def list(self, principal: Principal, place: Place, path: str) -> Sequence[Entry]:
        """Give what is in a directory."""
        return await self.files.list(await self.choose(principal, place), _inside(path))

    async def read(self, principal: Principal, place: Place, path: str) -> Content:
        """Give what is in a file."""
        return await self.files.read(await self.choose(principal, place), _inside(path))

    async def status(self, principal: Principal, place: Place) -> Sequence[FileStatus]:
        """Give the files that were changed and not committed."""
        return await self.files.status(await self.choose(principal, place))

    async def branch(self, principal: Principal, place: Place) -> Branch:
        """Say on which branch the directory is."""
        return await self.files.branch(await self.choose(principal, place))

    async def diffs(self, principal: Principal, place: Place, against: str) -> Sequence[FileDiff]:
        """Give what differs from what was committed, or from the default branch."""
        return await self.files.changes(await self.choose(principal, place), against)


def _inside(path: str) -> str:
    """Refuse a path that leads out of the directory or is none."""
    if path.startswith(("/", "\\", "~")) or ".." in path.replace("\\", "/").split("/") or "\0" in path:
        raise InvalidRequest("path must be relative to the directory, and stay in it", "path")
    return path
