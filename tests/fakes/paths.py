"""A disk made up by the test."""

from __future__ import annotations

import posixpath

from attrs import define, field

from opencode_a2a_server.domain.workspace import Sight, There


@define(eq=False)
class FakePaths:
    """The port `Paths`: directories, files, and links by what they lead to."""

    directories: set[str] = field(factory=lambda: {"/"})
    files: set[str] = field(factory=set)
    links: dict[str, str] = field(factory=dict)

    async def look(self, path: str) -> Sight:
        """See `Paths.look`."""
        real = self._real(path)
        if real in self.directories:
            return Sight(real, There.DIRECTORY)
        return Sight(real, There.FILE if real in self.files else There.NOTHING)

    def _real(self, path: str) -> str:
        real = "/"
        for step in path.split("/"):
            real = posixpath.normpath(posixpath.join(real, step))
            real = self.links.get(real, real)
        return real
