"""Exit statuses: what each means, said here and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final, NoReturn

import rich_click as click

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
UNAUTHENTICATED: Final = 4
TIMEOUT: Final = 5

MEANINGS: Final[Mapping[int, str]] = {
    DONE: "done; a task that failed or waits for somebody was told as it is, which is what was asked for",
    FAILED: "refused, or not as it should be",
    USAGE: "wrong usage or settings",
    UNREACHABLE: "the service, agent, card or store cannot be reached",
    UNAUTHENTICATED: "credentials are missing or not taken",
    TIMEOUT: "not done in the time given",
}
"""Those of the A2A command line specification. `doctor` has its own: 0 all is well, 1 warnings, 2 something fails."""


class Leave(Exception):
    """A command cannot go on; what it says to the user, and its exit status."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def leave(message: str, status: int) -> NoReturn:
    """Say why, on standard error, and end."""
    click.echo(message, err=True)
    sys.exit(status)
