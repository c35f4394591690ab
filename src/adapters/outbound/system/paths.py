"""The disk of this machine, and that of another one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from anyio import to_thread
from attrs import frozen

from opencode_a2a_server.domain.workspace import Sight, There


@frozen
class HostPaths:
    """The disk of this machine, which the runtime shares."""

    async def look(self, path: str) -> Sight:
        """Look; a disk may be slow, so on a thread."""
        return await to_thread.run_sync(_look, path)


@frozen
class UnseenPaths:
    """A disk of another machine."""

    async def look(self, path: str) -> Sight:
        """See nothing."""
        return Sight(path, There.UNSEEN)


def _look(path: str) -> Sight:
    try:
        real = os.path.realpath(path, strict=True)
        mode = Path(real).stat().st_mode
    except (OSError, ValueError):
        return Sight(os.path.realpath(path), There.NOTHING)
    if stat.S_ISDIR(mode):
        return Sight(real, There.DIRECTORY)
    # Of a pipe or a device nothing should be read: it may have no end.
    return Sight(real, There.FILE if stat.S_ISREG(mode) else There.NOTHING)
