"""
Where the runtime may work, and what it may read for a client: the workspace, by real paths.

Whoever asks sees what a path is (`Sight`); here is decided whether it may be used. A path that the service cannot see,
since the runtime's disk is another one, is judged by its words alone.
"""

from __future__ import annotations

import enum
import posixpath
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from attrs import frozen

from .errors import ContentTypeNotSupported, InvalidRequest
from .session import Directory

_LONGEST = 4096


class There(enum.Enum):
    """What is at a path."""

    DIRECTORY = "directory"
    FILE = "file"
    NOTHING = "nothing"
    UNSEEN = "unseen"
    """The disk cannot be looked at from here."""


@frozen
class Sight:
    """A path without `..` and symbolic links as far as it can be seen, and what is there."""

    path: str
    there: There


def placed(root: str, given: str, field: str) -> str:
    """
    Give a path that a client named, a relative one from the root on.

    Raises:
        InvalidRequest: It is no path.

    """
    if not given or "\0" in given or len(given) > _LONGEST:
        raise InvalidRequest(f"{field} must be a path", field)
    return posixpath.join(root, given)


def unseen(path: str, field: str) -> Sight:
    """
    Judge a path by its words alone.

    Raises:
        InvalidRequest: It goes up: whither, only who sees the disk can tell.

    """
    if ".." in path.split("/"):
        raise InvalidRequest(f"{field} must not have .. in it: OpenCode's disk cannot be seen from here", field)
    return Sight(posixpath.normpath(path), There.UNSEEN)


def is_within(root: str, path: str) -> bool:
    """Whether a real path is the root or below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def check_directory(root: Sight, seen: Sight, field: str, *, override: bool) -> Directory:
    """
    Give the directory to work in, if one may.

    Raises:
        InvalidRequest: It is outside, or there is none; of what is outside nothing is told.

    """
    if not is_within(root.path, seen.path):
        raise InvalidRequest(f"{field} must be inside the workspace", field)
    if not override and seen.path != root.path:
        raise InvalidRequest(f"{field} cannot be chosen here; leave it out to work in the workspace itself", field)
    if seen.there not in (There.DIRECTORY, There.UNSEEN):
        raise InvalidRequest(f"{field}: there is no such directory in the workspace", field)
    return Directory(seen.path)


@frozen
class FileReference:
    """A file of the runtime's disk by its URL; `lines` are `start` and `end`, as far as they are given."""

    path: str
    lines: Mapping[str, str]

    @classmethod
    def of(cls, url: str, field: str) -> FileReference:
        """
        Read a `file:` URL (RFC 8089).

        Raises:
            InvalidRequest: It is none that names a file.

        """
        try:
            split = urlsplit(url)
            lines = dict(parse_qsl(split.query, keep_blank_values=True, strict_parsing=bool(split.query)))
        except ValueError as error:
            raise InvalidRequest(f"this file: URL cannot be read ({error})", field) from error
        path = unquote(split.path, errors="surrogateescape")
        if split.netloc not in ("", "localhost") or not path.startswith("/") or split.fragment:
            raise InvalidRequest("a file: URL is file:/// and an absolute path", field)
        known = all(name in ("start", "end") and re.fullmatch(r"[0-9]{1,9}", value) for name, value in lines.items())
        if not known or "\0" in path or len(path) > _LONGEST:
            raise InvalidRequest("a file: URL takes ?start=...&end=... with numbers of lines, and nothing else", field)
        return cls(path, lines)

    def at(self, path: str) -> str:
        """Give the URL of another path with the same lines."""
        query = f"?{urlencode(self.lines)}" if self.lines else ""
        return f"file://{quote(path, errors='surrogateescape')}{query}"


def check_file(root: Sight, seen: Sight, field: str) -> str:
    """
    Give the path of a file or directory that may be read for a client.

    Raises:
        ContentTypeNotSupported: The disk cannot be seen: nobody knows where a link would lead.
        InvalidRequest: It is outside, or there is none; of what is outside nothing is told.

    """
    if seen.there is There.UNSEEN:
        raise ContentTypeNotSupported(
            "a file by a file: URL is not taken here, since OpenCode's disk cannot be seen; send it inline"
        )
    if not is_within(root.path, seen.path):
        raise InvalidRequest("a file: URL must name a file inside the workspace", field)
    if seen.there is There.NOTHING:
        raise InvalidRequest("there is no such file in the workspace", field)
    return seen.path
