"""Check where a client wants the runtime to work, and which files it may read for the client."""

from __future__ import annotations

import posixpath

from attrs import evolve, frozen

from opencode_a2a_server.app.ports.access import Reaches, unbounded
from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.paths import Paths
from opencode_a2a_server.domain.access import Reach
from opencode_a2a_server.domain.errors import Forbidden, InvalidRequest
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.message import Message, Part, UrlPart
from opencode_a2a_server.domain.session import Directory
from opencode_a2a_server.domain.workspace import (
    FileReference,
    Sight,
    There,
    check_directory,
    check_file,
    is_within,
    placed,
    unseen,
)

DIRECTORY_FIELD = "metadata.opencode.directory"
_FILE = "file:"


@frozen
class CheckPlace:
    """
    Let nobody out of the workspace: not by `..`, not by a symbolic link, not by a `file:` URL.

    Everything that takes a directory or a file of the runtime's disk asks here first.

    Raises:
        InvalidRequest: It is outside, or there is no such thing; `field` names where the client said it.
        AgentUnreachable: The runtime has to be asked for its workspace, and cannot.

    """

    agent: Agent
    paths: Paths
    override: bool = True
    """Whether clients may choose a directory of the workspace."""
    reach_of: Reaches = unbounded
    """Which directories are whose."""

    async def __call__(self, given: str, field: str = DIRECTORY_FIELD) -> Directory:
        """Give the real path of a directory to work in."""
        root = await self._root(field)
        seen = await self._look(root, placed(root.path, given, field), field)
        return check_directory(root, seen, field, override=self.override)

    async def has(self, directory: Directory) -> bool:
        """Whether the runtime's own directory is one that clients may choose; without a workspace, each is."""
        if await self.agent.workspace() is None:
            return True
        try:
            await self(directory)
        except InvalidRequest:
            return False
        return True

    async def reached(self, principal: Principal, directory: Directory | None, field: str = DIRECTORY_FIELD) -> None:
        """
        Refuse a directory, None for the workspace itself, that is not among the principal's.

        Raises:
            Forbidden: It is not; which ones are is told.

        """
        reach = self.reach_of(principal)
        if reach.directories and not await self._holds(reach, directory, field):
            listed = ", ".join(reach.directories)
            raise Forbidden(f"{field}: you may work in {listed} (of the workspace) and below; name such a directory")

    async def within(self, principal: Principal, directory: Directory) -> bool:
        """Whether a directory is among the principal's."""
        reach = self.reach_of(principal)
        return not reach.directories or await self._holds(reach, directory, DIRECTORY_FIELD)

    async def _holds(self, reach: Reach, directory: str | None, field: str) -> bool:
        root = await self._root(field)
        real = root.path if directory is None else (await self.paths.look(directory)).path
        return is_within(root.path, real) and reach.holds(posixpath.relpath(real, root.path))

    async def same(self, one: Directory, other: Directory) -> bool:
        """Whether two paths are one directory."""
        return (await self.paths.look(one)).path == (await self.paths.look(other)).path

    async def files(self, principal: Principal, message: Message) -> Message:
        """
        Give the message with the real path of each file that it names by a `file:` URL.

        Raises:
            ContentTypeNotSupported: It cannot be seen where such a file lies.
            Forbidden: It lies outside the principal's directories.

        """
        parts = await self.parts(principal, message.parts, "message.parts")
        return message if parts is message.parts else evolve(message, parts=parts)

    async def parts(self, principal: Principal, parts: tuple[Part, ...], field: str) -> tuple[Part, ...]:
        """Do the same for parts that are no message's; `field` is where they were said."""
        if not any(isinstance(part, UrlPart) and part.url.lower().startswith(_FILE) for part in parts):
            return parts
        return tuple([await self._part(principal, part, f"{field}[{index}].url") for index, part in enumerate(parts)])

    async def _part(self, principal: Principal, part: Part, field: str) -> Part:
        if not isinstance(part, UrlPart) or not part.url.lower().startswith(_FILE):
            return part
        named = FileReference.of(part.url, field)
        root = await self._root(field)
        real = check_file(root, await self._look(root, named.path, field), field)
        reach = self.reach_of(principal)
        if reach.directories and not reach.holds(posixpath.relpath(real, root.path)):
            raise Forbidden(f"{field}: you may read files of {', '.join(reach.directories)} and below")
        return evolve(part, url=named.at(real))

    async def _root(self, field: str) -> Sight:
        workspace = await self.agent.workspace()
        if workspace is None:
            raise InvalidRequest(f"{field}: {self.agent.name} works in no directory of anybody's choice", field)
        seen = await self.paths.look(workspace)
        # A workspace which is not there is on another disk, whatever else can be seen here.
        return seen if seen.there is There.DIRECTORY else Sight(workspace, There.UNSEEN)

    async def _look(self, root: Sight, path: str, field: str) -> Sight:
        if root.there is There.UNSEEN or not path.startswith("/"):
            return unseen(path, field)
        return await self.paths.look(path)


__all__ = ["DIRECTORY_FIELD", "CheckPlace"]
