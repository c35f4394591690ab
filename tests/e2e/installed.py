"""Clients' packages from their registries, each set in an environment of its own under the cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("OPENCODE_A2A_CACHE") or ROOT / ".cache") / "clients"

PYTHON_V03 = "a2a-sdk==0.3.26"


def python_with(requirement: str) -> Path:
    """
    Give a Python that has a package.

    Where it cannot be had the test is skipped, but not where CI counts on it.
    """
    venv = CACHE / requirement.replace("==", "-")
    python, done = venv / "bin" / "python", venv / "done"
    if not done.exists():
        install: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            requirement,
        ]
        _run([sys.executable, "-m", "venv", "--clear", venv], requirement)
        _run(install, requirement)
        done.touch()
    return python


def _run(command: list[str | Path], wanted: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
        problem = done.stderr[-500:] if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say(f"{wanted} cannot be installed: {problem}")
