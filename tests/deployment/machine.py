"""
A machine with a real systemd, for tests of the deployment: a Debian in a container without a network of its own.

Its root is made by debootstrap once and kept in the cache; what tests do to it goes away with them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
from attrs import define, field

from tests.e2e.opencode import installed
from tests.e2e.until import until

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("OPENCODE_A2A_CACHE") or ROOT / ".cache") / "deployment"
SUITE = "bookworm"
PYTHON = "3.11"
"""The Python of that suite."""

_PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,curl,procps"
_BOOT_SECONDS = 120.0
_MAKE_SECONDS = 1200
_UNUSED = "the deployment can be tested on Linux, as root, with debootstrap and systemd-container installed"


@define(eq=False)
class Machine:
    """A booted machine, as a context manager; `/mnt/NAME` shows the directories that are given to it."""

    shown: Mapping[str, Path]
    _running: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _lead: int = field(default=0, init=False)
    _log: Path = field(factory=lambda: Path(tempfile.mkstemp(prefix="machine-", suffix=".log")[1]), init=False)

    def __enter__(self) -> Self:
        """Boot it."""
        command = [
            "systemd-nspawn", "--quiet", "--boot", "--volatile=overlay", "--private-network", "--register=no",
            "--keep-unit", "--console=pipe", f"--machine=deploy{os.getpid()}", f"--directory={debian()}",
            # Without these systemd inside cannot limit who speaks with whom.
            "--system-call-filter=bpf", "--capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON",
            *(f"--bind-ro={path}:/mnt/{name}" for name, path in self.shown.items()),
        ]  # fmt: skip
        environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with self._log.open("wb") as log:
            self._running = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            until(self._is_up, within=_BOOT_SECONDS, what="a booted machine")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Power it off."""
        if self._running is not None:
            self._running.terminate()
            try:
                self._running.wait(60)
            except subprocess.TimeoutExpired:
                self._running.kill()
                self._running.wait(10)
        self._log.unlink(missing_ok=True)

    def run(self, script: str, *, user: str | None = None, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a shell script in it, as root or as somebody else."""
        become = [] if user is None else ["runuser", f"--user={user}", "--"]
        enter = [
            "nsenter",
            f"--target={self._lead}",
            *["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd=/", "--cgroup"],
        ]
        clean = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        return subprocess.run(
            [*enter, "--", *become, "bash", "-c", f"cd /\n{script}"],
            env=clean,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def told(self, script: str, *, user: str | None = None, seconds: float = 300) -> str:
        """Run a script that works; gives what it printed."""
        done = self.run(script, user=user, seconds=seconds)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def _is_up(self) -> bool:
        assert self._running is not None
        assert self._running.poll() is None, f"it did not boot: {self._log.read_text(errors='replace')}"
        self._lead = _systemd_of(self._running.pid)
        if not self._lead:
            return False
        return self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded")


def _systemd_of(pid: int) -> int:
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
    return 0


def debian() -> Path:
    """Give the root of a Debian, made if it is not there yet."""
    root = CACHE / SUITE
    if root.is_dir():
        return root
    making = _making()
    try:
        _run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", SUITE, str(making / "root")])
        making.joinpath("root").rename(root)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return root


def wheels(wheel: Path) -> Path:
    """Give a directory with all the wheel depends on, as the lock file pins it, fetched once for each lock file."""
    pins = [
        line.split(" ")[0].split(";")[0].rstrip()
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    ]
    place = CACHE / f"wheels-{hashlib.sha256(chr(10).join(sorted(pins)).encode()).hexdigest()[:12]}"
    if place.is_dir():
        return place
    making = _making()
    try:
        (making / "pins.txt").write_text("\n".join(pins))
        _run([sys.executable, "-m", "venv", str(making / "venv")])
        command = [str(making / "venv/bin/python"), "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
        command += [f"--python-version={PYTHON}", f"--constraint={making / 'pins.txt'}", f"--dest={making / 'wheels'}"]
        _run([*command, str(wheel)])
        (making / "wheels").rename(place)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return place


def _making() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="making-", dir=CACHE))


def built(into: Path) -> Path:
    """Give the wheel under test: the one the environment names, else one that is built now."""
    if named := os.environ.get("OPENCODE_A2A_SERVER_WHEEL"):
        return Path(shutil.copy(named, into))
    _run(["bash", "-ec", f'source ops/setup.sh; "$uv" build --quiet --wheel --out-dir {into}'])
    (wheel,) = into.glob("*.whl")
    return wheel


def opencode() -> Path:
    """Give the pinned OpenCode from npm."""
    return installed()


def check_host() -> None:
    """Skip where no such machine can be had; fail where continuous integration counts on it."""
    missing = [name for name in ("debootstrap", "systemd-nspawn", "nsenter") if shutil.which(name) is None]
    if os.geteuid() == 0 and not missing:
        return
    say = pytest.fail if os.environ.get("CI") else pytest.skip
    say(f"{_UNUSED}; {'missing: ' + ', '.join(missing) if missing else 'this is not root'}")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_MAKE_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
