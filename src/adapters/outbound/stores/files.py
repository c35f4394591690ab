"""
The database's files: nobody else's, and nobody else reads them.

They hold prompts and the agent's whole output. SQLite gives its own side files the mode of the database file, so that
one is made before SQLite opens it. It must not be opened here while SQLite has it: closing it would drop SQLite's
locks (sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StoreUnusable

_OURS_ALONE = 0o600
_SIDE_FILES = ("-wal", "-shm", "-journal")


def claim(path: Path) -> None:
    """
    Make the file and its directories if they are not there, and close them to others.

    Raises:
        StoreUnusable: It is no plain file of ours, or cannot be made.

    """
    try:
        _make_directories(path.parent)
        if not _secured(path):
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, _OURS_ALONE)
            os.fchmod(descriptor, _OURS_ALONE)
            os.close(descriptor)
        for side in _SIDE_FILES:
            _secured(path.with_name(path.name + side))
    except OSError as error:
        raise StoreUnusable(f"the database file {path} cannot be used: {error.strerror or error}") from error


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """
    Have a database to oneself: no second service may write the tasks of the first one as if they were its own.

    The kernel lets go of it with the process, however that ends.

    Raises:
        StoreUnusable: Somebody else has it.

    """
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, _OURS_ALONE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreUnusable(
            f"the database {path} is in use by another process: stop that one, or name another database; several "
            "processes need PostgreSQL"
        ) from None
    finally:
        os.close(descriptor)


def existing(path: Path) -> Path | None:
    """Give the path if something is there."""
    return path if path.exists() else None


def _make_directories(directory: Path) -> None:
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def _secured(path: Path) -> bool:
    """Close an existing file to others; False if there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(found.st_mode):
        raise StoreUnusable(f"the database file {path} is a symbolic link; name the file it leads to")
    if not stat.S_ISREG(found.st_mode):
        raise StoreUnusable(f"the database file {path} is no regular file")
    if found.st_uid != os.geteuid():
        raise StoreUnusable(f"the database file {path} belongs to uid {found.st_uid}, the service is {os.geteuid()}")
    if stat.S_IMODE(found.st_mode) != _OURS_ALONE:
        path.chmod(_OURS_ALONE)
    return True
