"""Releases: the service in an environment of its own and the OpenCode it is run with, both pinned."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from opencode_a2a_server.domain.instance import Refused, Wanted

from .layout import Layout
from .running import Run
from .units import template

_MARK = "release.json"
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+_-]*")
_WHEEL = re.compile(r"opencode_a2a_server-([0-9][A-Za-z0-9.!+_]*)-[^/]*\.whl")
_PIP_SECONDS = 900


@frozen
class Sources:
    """Where releases are made from."""

    python: str
    """The Python of their environments; it must stay where it is as long as they do."""

    wheels: str | None = None
    """A directory of wheels to install from, instead of the package index."""

    constraints: str | None = None
    """A file that pins what the service depends on."""

    extras: tuple[str, ...] = ()


@frozen
class Releases:
    """The releases of a host. Each has a name that says what it is made of, and is never changed once it is whole."""

    layout: Layout
    run: Run
    sources: Sources
    fetch: Callable[[Path, str], Path]
    """Fetches a version of OpenCode into a directory; gives its binary."""

    def name_of(self, wanted: Wanted) -> str:
        """
        Name a release: versions, and what tells files of the same version apart.

        Raises:
            Refused: It is neither a version nor a file.

        """
        extras = "".join(f"-{extra}" for extra in sorted(self.sources.extras))
        return f"{_service_name(wanted.service)}{extras}-opencode-{_opencode_name(wanted.opencode)}"

    def make(self, wanted: Wanted) -> str:
        """
        Make a release unless it is there.

        Raises:
            Refused: It can't be made of that.
            HostFault: pip or npm failed; nothing is left of it.

        """
        name = self.name_of(wanted)
        place = self.layout.release(name)
        if (place / _MARK).is_file():
            return name
        shutil.rmtree(place, ignore_errors=True)  # left by one that was cut off: environments cannot be moved
        place.mkdir(parents=True, mode=0o755)
        try:
            self._fill(place, wanted)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return name

    def whole(self, name: str) -> bool:
        """Whether the release is there."""
        return (self.layout.release(name) / _MARK).is_file()

    def _fill(self, place: Path, wanted: Wanted) -> None:
        python = Path(os.path.realpath(self.sources.python))
        if any(python.is_relative_to(home) for home in ("/root", "/home", "/run/user")):
            raise Refused(f"{python} is in somebody's home, where services do not see it; give another with --python")
        os.umask(0o022)  # who runs it is another user
        self.run([self.sources.python, "-m", "venv", str(place / "venv")], seconds=_PIP_SECONDS)
        self._install(place, wanted.service)
        self._fetch_opencode(place, wanted.opencode)
        shell = place / "shell"
        shell.mkdir()
        (shell / "bash").write_text(template("bash"), encoding="utf-8")
        (shell / "bash").chmod(0o755)
        pinned = self.run([str(place / "venv/bin/python"), "-m", "pip", "freeze"], seconds=_PIP_SECONDS)
        told = {"service": wanted.service, "opencode": wanted.opencode, "packages": pinned.split()}
        # Last, and in one step: a release with a mark is whole.
        (place / "making").write_text(json.dumps(told, indent=2), encoding="utf-8")
        (place / "making").rename(place / _MARK)

    def _install(self, place: Path, service: str) -> None:
        extras = f"[{','.join(self.sources.extras)}]" if self.sources.extras else ""
        wheel = _WHEEL.fullmatch(Path(service).name)
        wanted = f"{Path(service).resolve()}{extras}" if wheel else f"opencode-a2a-server{extras}=={service}"
        command = [str(place / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if self.sources.wheels is not None:
            command += ["--no-index", "--find-links", self.sources.wheels]
        if self.sources.constraints is not None:
            command += ["--constraint", self.sources.constraints]
        self.run([*command, wanted], seconds=_PIP_SECONDS)
        self.run([str(place / "venv/bin/opencode-a2a-server"), "--version"], seconds=60)

    def _fetch_opencode(self, place: Path, opencode: str) -> None:
        with tempfile.TemporaryDirectory(prefix="opencode-", dir=place) as name:
            staging = Path(name)
            found = Path(opencode) if os.sep in opencode else self.fetch(staging, opencode)
            self._version_of(found, staging)
            shutil.copyfile(found, place / "opencode")
        # To be run and not to be read: of a program that its user cannot read the kernel hides memory and environment
        # from that user too, and with them from the agent the password that OpenCode was started with.
        (place / "opencode").chmod(0o711)

    def _version_of(self, binary: Path, home: Path) -> str:
        # Even `--version` makes directories in HOME.
        return self.run([str(binary), "--version"], seconds=60, environment=_bare(home)).strip()


def _bare(home: Path) -> Mapping[str, str]:
    return {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath)}


def _service_name(service: str) -> str:
    wheel = _WHEEL.fullmatch(Path(service).name)
    if wheel is not None:
        return f"{wheel[1]}.{_digest(service)}"
    if _VERSION.fullmatch(service) and os.sep not in service:
        return service
    raise Refused(f"{service!r} is neither a version of opencode-a2a-server nor the path of its wheel")


def _opencode_name(opencode: str) -> str:
    if os.sep in opencode:
        return _digest(opencode)
    if _VERSION.fullmatch(opencode):
        return opencode
    raise Refused(f"{opencode!r} is neither a version of OpenCode nor the path of a binary (with a /)")


def _digest(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:8]
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror})") from error
