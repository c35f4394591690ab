"""Lines of a document, in a shell of their own as a reader has one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_GRACE_SECONDS = 30.0


@contextmanager
def in_a_shell(
    script: str, environment: Mapping[str, str], cwd: Path, *, output: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run them, up to the first that fails, and at last end all that they started; `output` takes both streams."""
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment,
        cwd=cwd,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            yield shell
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                shell.wait(_GRACE_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
