"""What an examination finds."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from attrs import frozen


class Level(enum.Enum):
    """How bad it is; the values are told."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_STATUS = {Level.OK: 0, Level.WARN: 1, Level.FAIL: 2}


@frozen
class Finding:
    """One thing that was looked at, what it is like, and what to do about it."""

    name: str
    level: Level
    says: str
    remedy: str = ""


def ok(name: str, says: str) -> Finding:
    """Find that all is well."""
    return Finding(name, Level.OK, says)


def warn(name: str, says: str, remedy: str) -> Finding:
    """Find what may do harm."""
    return Finding(name, Level.WARN, says, remedy)


def fail(name: str, says: str, remedy: str) -> Finding:
    """Find what does not work, or is open to others."""
    return Finding(name, Level.FAIL, says, remedy)


def worst(findings: Sequence[Finding]) -> Level:
    """Sum up."""
    return max((finding.level for finding in findings), key=_STATUS.__getitem__, default=Level.OK)


def status_of(level: Level) -> int:
    """Give the exit status."""
    return _STATUS[level]
