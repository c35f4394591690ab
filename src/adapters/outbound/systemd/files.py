"""Files of the administrator's: whole or not at all, and for root alone."""

from __future__ import annotations

import os
from pathlib import Path

from opencode_a2a_server.domain.instance import HostFault

PRIVATE = 0o600
READABLE = 0o644


def directory(path: Path, mode: int) -> None:
    """Make a directory and what is above it, and give it this mode."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
    except OSError as error:
        raise HostFault(f"{path}: {error.strerror}") from error


def put(path: Path, text: str, *, mode: int = PRIVATE) -> bool:
    """Write a file in one step, never readable by others in between; says whether that changed it."""
    try:
        if path.is_file() and path.stat().st_mode & 0o777 == mode and path.read_text(encoding="utf-8") == text:
            return False
        made = path.with_name(f".{path.name}.new")
        made.unlink(missing_ok=True)
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w", encoding="utf-8") as file:
            file.write(text)
        made.chmod(mode)
        made.replace(path)
    except OSError as error:
        raise HostFault(f"{path}: {error.strerror}") from error
    return True


def link(path: Path, target: Path) -> None:
    """Point a link somewhere else in one step."""
    made = path.with_name(f".{path.name}.new")
    try:
        made.unlink(missing_ok=True)
        made.symlink_to(target)
        made.replace(path)
    except OSError as error:
        raise HostFault(f"{path}: {error.strerror}") from error
