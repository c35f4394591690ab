"""`opencode-a2a-server up`: an OpenCode for the current directory, and the service in front of it."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import rich_click as click
from attrs import frozen

from .exits import FAILED, USAGE, leave

_MESSAGE: Final = (
    '{"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "What is in this project?"}]}}'
)
_MADE: Final = (
    "A2A_HOST",
    "A2A_PORT",
    "OPENCODE_BASE_URL",
    "OPENCODE_AUTH_USERNAME",
    "OPENCODE_AUTH_PASSWORD",
    "OPENCODE_DIRECTORY",
    "OPENCODE_WORKSPACE_ROOT",
)
"""Settings that are made here, whatever the environment says of them."""


@click.command()
@click.option("--host", help="Address to listen on. Default: A2A_HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: A2A_PORT, else 8000 if that is free.")
def up(host: str | None, port: int | None) -> None:
    """
    Start an OpenCode for this directory and the service in front of it, and keep both until Ctrl-C.

    OpenCode listens on loopback under a password made for this run, and keeps its own configuration: whatever provider
    and model `opencode` uses here, the service uses. It is OPENCODE_BIN, else the one on PATH, else the one this
    release was tested with, from npm. Without A2A_BEARER_TOKEN (or _FILE), a token is made and put into a file.
    """
    from opencode_a2a_server.app.settings import SettingsError, load_settings

    from .installing import InstallError
    from .processes import UpError, free_port

    try:
        given = load_settings(os.environ).server
        port = port or (given.port if "A2A_PORT" in os.environ else free_port(8000))
    except (SettingsError, UpError) as error:
        leave(str(error), USAGE)
    for ending in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # SIGINT too: a shell's background jobs are deaf to it
        signal.signal(ending, signal.default_int_handler)
    try:
        _keep_both(host or given.host, port)
    except KeyboardInterrupt:
        click.echo("\nStopped.")
    except (UpError, InstallError, OSError) as error:
        leave(str(error), FAILED)


def _keep_both(host: str, port: int) -> None:
    """Start both and keep them; returns by an exception only."""
    from .processes import Pair, Time, free_port, start, wait_until_up

    opencode_port, password = free_port(4096), secrets.token_urlsafe(24)
    binary = _find_opencode(os.environ)
    command = [binary, "serve", "--hostname", "127.0.0.1", "--port", str(opencode_port)]
    time = Time(monotonic, sleep)
    pair = Pair(lambda: start(command, agents(os.environ, password), quiet=True), click.echo, time)
    opencode_url = f"http://127.0.0.1:{opencode_port}"
    with token_for(os.environ, port) as bearer:
        try:
            click.echo(f"Starting {binary} in {Path.cwd()} ...")
            pair.opencode = pair.start_opencode()
            wait_until_up(pair.opencode, f"{opencode_url}/global/health", "OpenCode", time, f"opencode:{password}")
            made = {
                "A2A_HOST": host,
                "A2A_PORT": str(port),
                "OPENCODE_BASE_URL": opencode_url,
                "OPENCODE_AUTH_USERNAME": "opencode",
                "OPENCODE_AUTH_PASSWORD": password,
                "OPENCODE_DIRECTORY": str(Path.cwd()),
            }
            # -P: what lies in this directory, which is the user's project, is not to be imported.
            serve = [sys.executable, "-P", "-m", "opencode_a2a_server.app.cli", "serve"]
            pair.service = start(serve, services(os.environ, made | bearer.setting))
            url = f"http://{_reachable(host)}:{port}"
            wait_until_up(pair.service, f"{url}/.well-known/agent-card.json", "the service", time)
            click.echo(announcement(url, port, bearer))
            pair.keep()
        finally:
            pair.stop()


def agents(environment: Mapping[str, str], password: str) -> dict[str, str]:
    """
    Give the environment of OpenCode: without the service's variables.

    Its shell tool shows its environment to the agent. Its own password is there whatever we do.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("A2A_", "OPENCODE_AUTH_")) and name != "OPENCODE_SERVER_PASSWORD_FILE"
    }
    return kept | {"OPENCODE_SERVER_PASSWORD": password}


def services(environment: Mapping[str, str], made: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of the service: what is made here takes the place of what was said of it."""
    kept = {name: value for name, value in environment.items() if name.removesuffix("_FILE") not in _MADE}
    return kept | dict(made)


@frozen
class Bearer:
    """The token that clients send, as a shell gives it, and as the service is told it."""

    shell: str
    told: str
    setting: dict[str, str]


@contextmanager
def token_for(environment: Mapping[str, str], port: int) -> Iterator[Bearer]:
    """Give the operator's token, or make one that is there while the service runs."""
    if environment.get("A2A_BEARER_TOKEN"):
        yield Bearer("$A2A_BEARER_TOKEN", "as A2A_BEARER_TOKEN says", {})
        return
    if named := environment.get("A2A_BEARER_TOKEN_FILE"):
        yield Bearer(f"$(cat {shlex.quote(named)})", f"in {named}", {})
        return
    if environment.get("A2A_CREDENTIALS_FILE") or environment.get("A2A_STATIC_AUTH_CREDENTIALS"):
        yield Bearer("$TOKEN", "any of your credentials; give it as TOKEN", {})
        return
    home = environment.get("XDG_STATE_HOME")
    folder = (Path(home) if home else Path.home() / ".local" / "state") / "opencode-a2a-server"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"up-{port}.token"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24))
    try:
        yield Bearer(f"$(cat {shlex.quote(str(path))})", f"in {path}", {"A2A_BEARER_TOKEN_FILE": str(path)})
    finally:
        path.unlink(missing_ok=True)


def announcement(url: str, port: int, bearer: Bearer) -> str:
    """Say how to call the service."""
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in bearer.setting.items())
    return f"""
Address  {url}
Token    {bearer.told}
Card     {url}/.well-known/agent-card.json

Try it:

  curl -N {url}/message:stream \\
    -H "Authorization: Bearer {bearer.shell}" -H 'A2A-Version: 1.0' -H 'Content-Type: application/json' \\
    -d '{_MESSAGE}'

Or, in another terminal:

  export {f"A2A_PORT={port} {exports}".strip()}
  opencode-a2a-server call {url} 'What is in this project?'

Stop with Ctrl-C."""


def _reachable(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104 - looked at, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _find_opencode(environment: Mapping[str, str]) -> str:
    """Give the user's own OpenCode if there is a usable one, else the one this release was tested with."""
    from .installing import cache_of, install, usable

    named = environment.get("OPENCODE_BIN") or shutil.which("opencode")
    if named is not None:
        usable(named)
        return named
    click.echo("There is no opencode on PATH; getting it from npm ...")
    return str(install(cache_of(environment)))
