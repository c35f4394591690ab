"""Files of a runtime's directories, and their history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from opencode_a2a_server.domain.session import Directory

from .sessions import FileDiff


@frozen
class Entry:
    """What is in a directory; `path` is relative to the runtime's."""

    name: str
    path: str
    type: str
    ignored: bool = False


@frozen
class Content:
    """What is in a file: text, or bytes in Base64 where `encoding` says so."""

    type: str
    content: str
    encoding: str | None = None
    mime_type: str | None = None


@frozen
class Match:
    """A line in which something was found."""

    path: str
    line_number: int
    line: str


@frozen
class FileStatus:
    """A file that is not as it was committed."""

    path: str
    status: str
    added: int = 0
    removed: int = 0


@frozen
class Branch:
    """Where a directory's history stands; all None if there is none."""

    branch: str | None = None
    default_branch: str | None = None


class Files(Protocol):
    """
    Raises as `Agent` does. Paths are relative to the directory, None being the runtime's own.

    What is outside of the directory the runtime refuses.
    """

    async def find(self, directory: Directory | None, query: str, kind: str | None, limit: int) -> Sequence[str]:
        """Give the paths that are most like the query; `kind` is file or directory."""
        ...

    async def search(self, directory: Directory | None, pattern: str) -> Sequence[Match]:
        """Give the lines that a regular expression fits."""
        ...

    async def list(self, directory: Directory | None, path: str) -> Sequence[Entry]:
        """Give what is in a directory."""
        ...

    async def read(self, directory: Directory | None, path: str) -> Content:
        """Give what is in a file; one that is not there is empty text."""
        ...

    async def status(self, directory: Directory | None) -> Sequence[FileStatus]:
        """Give the files that were changed and not committed."""
        ...

    async def branch(self, directory: Directory | None) -> Branch:
        """Say on which branch the directory is."""
        ...

    async def changes(self, directory: Directory | None, against: str) -> Sequence[FileDiff]:
        """Give what differs from what was committed (`git`), or from the default branch (`branch`)."""
        ...
