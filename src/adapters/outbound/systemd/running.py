"""Commands of the host."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import Protocol

from opencode_a2a_server.domain.instance import HostFault

_TOLD = 1500
"""How much of what a failed command said is passed on: its end."""


class Run(Protocol):
    """Runs a command and gives what it printed; a HostFault if it fails."""

    def __call__(
        self, command: Sequence[str], *, seconds: float = 120, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run it."""
        ...


def run(command: Sequence[str], *, seconds: float = 120, environment: Mapping[str, str] | None = None) -> str:
    """
    Run a command to its end.

    Raises:
        HostFault: It cannot be run, failed, or took too long.

    """
    try:
        done = subprocess.run(  # noqa: S603 - each command is one of ours
            list(command),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFault(f"{command[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-_TOLD:]
        raise HostFault(f"{' '.join(command)}: exit status {done.returncode}: {said}")
    return done.stdout
