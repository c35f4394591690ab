"""`opencode-a2a-server deploy`: instances under systemd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from .installing import VERSION as OPENCODE_VERSION

if TYPE_CHECKING:
    from opencode_a2a_server.adapters.outbound.systemd.releases import Sources
    from opencode_a2a_server.domain.instance import Wanted

_PATIENCE = 120.0

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
_name = click.argument("name")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_patience = click.option(
    "--patience", type=float, default=_PATIENCE, show_default=True, help="Seconds for both halves to become ready."
)


def _sources(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option(
            "--release",
            default=metadata.version("opencode-a2a-server"),
            show_default=True,
            help="The service: a version, or the path of a wheel.",
        ),
        click.option(
            "--opencode",
            default=OPENCODE_VERSION,
            show_default=True,
            help="OpenCode: a version, which npm fetches, or the path of a binary.",
        ),
        click.option("--python", default="/usr/bin/python3", show_default=True, help="Python to make releases with."),
        click.option("--wheels", type=_DIRECTORY, help="Install from the wheels in this directory, not from an index."),
        click.option("--constraint", type=_FILE, help="File that pins what the service depends on."),
        click.option("--extra", "extras", multiple=True, help="An extra to install, such as postgres or grpc."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def deploy() -> None:
    """
    Deploy instances on this host, under systemd; needs root.

    An instance is an OpenCode and a service in front of it. Each command prints one line of JSON. Exit status: 0 done,
    1 refused, nothing was changed, 2 wrong usage, 3 it failed and what was there before is back, 4 not ready,
    5 uninstalled except for what the line names, 6 the host did not do its part.
    """


@deploy.command()
@_name
@click.option("--host", help="Address to listen on. Default: A2A_HOST of --env, else 127.0.0.1.")
@click.option("--port", type=int, help="Port to listen on. Default: A2A_PORT of --env, else 8000.")
@click.option("--workspace", type=_DIRECTORY, help="Where the agent works. Default: a new directory of its own.")
@click.option("--env", "env", type=_FILE, help="Settings of the service, NAME=VALUE lines; secrets are told apart.")
@click.option("--opencode-env", type=_FILE, help="Environment of OpenCode, NAME=VALUE lines.")
@click.option("--opencode-secret-env", type=_FILE, help="The same, for keys: kept from the agent's shell.")
@click.option("--reach", multiple=True, help="Whom alone the service may speak with: localhost or a network, repeated.")
@click.option("--from-0.2", "old", type=_DIRECTORY, help="Take over this instance of release 0.2: DATA_ROOT/NAME.")
@_sources
@_patience
@_dry_run
def install(
    name: str, *, old: Path | None, reach: Sequence[str], patience: float, dry_run: bool, **options: Any
) -> None:
    """Make an instance and wait until it is ready. Told again, it applies what is told differently."""
    from . import deploying

    wanted, sources = _made_of(options)
    told = deploying.Install(name, wanted, reach=tuple(reach), old=old, **options)
    deploying.install(told, sources, patience, apply=not dry_run)


@deploy.command()
@_name
@_sources
@_patience
@_dry_run
def upgrade(name: str, *, patience: float, dry_run: bool, **options: Any) -> None:
    """Give an instance another release; if it does not become ready, go back to the former one and its store."""
    from . import deploying

    wanted, sources = _made_of(options)
    deploying.upgrade(name, wanted, sources, patience, apply=not dry_run)


@deploy.command()
@_name
@click.option("--restore-store", is_flag=True, help="Put back the store from before the upgrade; tasks since are lost.")
@_patience
@_dry_run
def rollback(name: str, *, restore_store: bool, patience: float, dry_run: bool) -> None:
    """Give an instance the release it had before."""
    from . import deploying

    deploying.rollback(name, patience, restore_store=restore_store, apply=not dry_run)


@deploy.command()
@_name
def status(name: str) -> None:
    """Say whether an instance is ready, asked as its clients ask."""
    from . import deploying

    deploying.status(name)


@deploy.command()
@_name
@click.option("--purge", is_flag=True, help="Also its settings, secrets, tasks, sessions, own workspace and users.")
@click.option("--yes", is_flag=True, help="Do it. Without this, say what would be done.")
def uninstall(name: str, *, purge: bool, yes: bool) -> None:
    """Take an instance away; without --yes only say what that would be."""
    from . import deploying

    deploying.uninstall(name, purge=purge, apply=yes)


def _made_of(options: dict[str, Any]) -> tuple[Wanted, Sources]:
    """Take the options of `_sources` out of all, and say what they mean."""
    from opencode_a2a_server.adapters.outbound.systemd.releases import Sources
    from opencode_a2a_server.domain.instance import Wanted

    wanted = Wanted(options.pop("release"), options.pop("opencode"))
    python, wheels, constraint = (options.pop(name) for name in ("python", "wheels", "constraint"))
    return wanted, Sources(python, _text(wheels), _text(constraint), tuple(options.pop("extras")))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())
