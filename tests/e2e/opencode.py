"""The real OpenCode, run for a test: alone with the scripted model, in directories which go away with it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from attrs import define, field

from opencode_a2a_server.app.cli.installing import CACHE_VARIABLE, InstallError, install
from tests.e2e.answer import MODEL
from tests.e2e.until import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

USERNAME = "opencode"
PROVIDER = "fake"
OTHER_MODEL = "scripted-other"
"""A second model of the same provider, for tests which choose one; it says the same things."""

HEALTHY_SECONDS = 60.0
STOP_SECONDS = 5.0
LOG_LINES = 80

RUNNING: list[RealOpenCode] = []
"""Whose logs belong into the report of a failure."""

# What would make OpenCode look outside this machine, or into its user's own set-up.
_SWITCHES = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_PURE": "1",
}


class NotInstalledError(Exception):
    """OpenCode cannot be had here; the text says why."""


def installed() -> Path:
    """
    Return the pinned OpenCode's binary, fetched if need be.

    Raises:
        NotInstalledError: It cannot be fetched or does not run here.

    """
    cache = Path(os.environ.get(CACHE_VARIABLE) or Path(__file__).parents[2] / ".cache")
    try:
        return install(cache)
    except InstallError as error:
        raise NotInstalledError(str(error)) from error


@define(eq=False)
class RealOpenCode:
    """
    One OpenCode server, as a context manager which starts it and takes everything away at the end.

    Args:
        binary: What to run.
        model_url: The base URL of the scripted model.
        git: Whether the workspace is a git repository with one commit.
        snapshot: Whether OpenCode keeps snapshots of the workspace, for diff and revert; they need git.
        secured: Whether the server asks for a password, a new one each time.
        permission: What OpenCode may do, as its configuration says it; nothing means its own defaults.
        config: Whatever else its configuration shall hold.
        environment: Variables on top of those which it gets anyway.

    """

    binary: Path
    model_url: str
    git: bool = field(default=False, kw_only=True)
    snapshot: bool = field(default=False, kw_only=True)
    secured: bool = field(default=False, kw_only=True)
    permission: Mapping[str, Any] | str | None = field(default=None, kw_only=True)
    config: Mapping[str, Any] = field(factory=dict, kw_only=True)
    environment: Mapping[str, str] = field(factory=dict, kw_only=True)

    root: Path = field(init=False)
    password: str | None = field(init=False, default=None)
    port: int = field(init=False, default=0)
    _running: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        """Make the directories and start."""
        self.root = Path(tempfile.mkdtemp(prefix="opencode-")).resolve()
        self.password = secrets.token_urlsafe(16) if self.secured else None
        self.port = _free_port()
        RUNNING.append(self)
        try:
            _furnish(self)
            self.start()
        except BaseException:
            self._clear_away()
            raise

        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and take the directories away."""
        self._clear_away()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def workspace(self) -> Path:
        """The directory which it works in."""
        return self.root / "workspace"

    @property
    def auth(self) -> httpx.BasicAuth | None:
        """What a client needs to get in."""
        return httpx.BasicAuth(USERNAME, self.password) if self.password else None

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        if self._running is None:
            raise RuntimeError("OpenCode is not running")

        return self._running.pid

    @property
    def log(self) -> str:
        """The end of what it has written."""
        with suppress(FileNotFoundError):
            lines = (self.root / "opencode.log").read_text(encoding="utf-8", errors="replace").splitlines()
            return "\n".join(lines[-LOG_LINES:])

        return ""

    def client(self, *, timeout: float = 60.0) -> httpx.Client:
        """Make a client which is let in."""
        return httpx.Client(base_url=self.url, auth=self.auth, timeout=timeout, trust_env=False)

    def start(self) -> None:
        """Start the server on its port and return when it is healthy."""
        # The native binary, not the package's launcher: killing a launcher would leave the server behind.
        command = [str(self.binary), "serve", "--hostname", "127.0.0.1", "--port", str(self.port), "--print-logs"]
        with (self.root / "opencode.log").open("ab") as log:
            self._running = subprocess.Popen(
                command,
                cwd=self.workspace,
                env=environment_of(self),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

        with self.client(timeout=2.0) as client:
            until(lambda: self._is_healthy(client), within=HEALTHY_SECONDS, what="a healthy OpenCode")

    def kill(self) -> None:
        """End the server as a crash does: at once and without notice, together with the tools which it runs."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill the server if it runs and start it again, on the same port and state."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Ask the server to end, and see that it does."""
        self._end(signal.SIGTERM)

    def _is_healthy(self, client: httpx.Client) -> bool:
        if self._running is None or self._running.poll() is not None:
            raise RuntimeError(f"OpenCode ended instead of starting:\n{self.log}")

        with suppress(httpx.TransportError):
            answer = client.get("/global/health")
            return answer.status_code == httpx.codes.OK and bool(answer.json()["healthy"])

        return False

    def _end(self, sign: signal.Signals) -> None:
        running, self._running = self._running, None
        if running is None:
            return

        tools = descendants(running.pid)
        running.send_signal(sign)
        try:
            running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(STOP_SECONDS)

        for pid in tools:  # a tool is not told that the server is gone
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _clear_away(self) -> None:
        self.stop()
        RUNNING.remove(self)
        shutil.rmtree(self.root, ignore_errors=True)


def _furnish(opencode: RealOpenCode) -> None:
    """Make the directories and files which the server finds."""
    for name in ("home", "config/opencode/node_modules", "data", "cache", "state", "tmp", "bin", "workspace"):
        (opencode.root / name).mkdir(parents=True)

    home = opencode.root / "config" / "opencode"
    _write_json(home / "opencode.json", _config(opencode))
    # With its plugin package in the lock file it takes it for installed, and does not ask npm for it.
    _write_json(home / "package-lock.json", {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}})
    _write_json(opencode.root / "models.json", {})
    if shutil.which("rg") is None:
        _write_searcher(opencode.root / "bin" / "rg")

    if opencode.git:
        _make_repository(opencode.workspace)


def _config(opencode: RealOpenCode) -> dict[str, Any]:
    model = {
        "name": "Scripted",
        "attachment": True,
        "reasoning": True,
        "tool_call": True,
        "limit": {"context": 200_000, "output": 8192},
        "cost": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75},
        "modalities": {"input": ["text", "image", "pdf"], "output": ["text"]},
    }
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Scripted",
        "options": {"baseURL": opencode.model_url, "apiKey": "none"},
        "models": {MODEL: model, OTHER_MODEL: model},
    }
    config: dict[str, Any] = {
        "autoupdate": False,
        "share": "disabled",
        "snapshot": opencode.snapshot,
        "model": f"{PROVIDER}/{MODEL}",
        "small_model": f"{PROVIDER}/{MODEL}",
        "enabled_providers": [PROVIDER],
        "provider": {PROVIDER: provider},
    }
    if opencode.permission is not None:
        config["permission"] = opencode.permission

    return {**config, **opencode.config}


def environment_of(opencode: RealOpenCode) -> dict[str, str]:
    root = opencode.root
    environment = {
        "PATH": os.pathsep.join((os.environ.get("PATH", os.defpath), str(root / "bin"))),
        "LANG": "C.UTF-8",
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "tmp"),
        "XDG_CONFIG_HOME": str(root / "config"),
        "XDG_DATA_HOME": str(root / "data"),
        "XDG_CACHE_HOME": str(root / "cache"),
        "XDG_STATE_HOME": str(root / "state"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "OPENCODE_MODELS_PATH": str(root / "models.json"),
        **_SWITCHES,
    }
    if opencode.password is not None:
        environment["OPENCODE_SERVER_PASSWORD"] = opencode.password

    return {**environment, **opencode.environment}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _write_searcher(path: Path) -> None:
    """Write an `rg` which finds nothing: OpenCode would fetch the real one from the network."""
    path.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    path.chmod(0o755)


def _make_repository(workspace: Path) -> None:
    (workspace / "README.md").write_text("A workspace.\n", encoding="utf-8")
    author = ("-c", "user.name=Nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false")
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "Begin")):
        subprocess.run(["git", *author, *command], cwd=workspace, check=True, timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def descendants(pid: int) -> list[int]:
    """List the processes below this one; where the system has no /proc, none."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            for child in map(int, listing.read_text(encoding="ascii").split()):
                found += [child, *descendants(child)]

    return found
