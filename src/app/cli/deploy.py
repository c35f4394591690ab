"""`opencode-a2a-server deploy`: instances under systemd."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import rich_click as click

from opencode_a2a_server.adapters.outbound.systemd import files
from opencode_a2a_server.adapters.outbound.systemd.environment import read_environment
from opencode_a2a_server.adapters.outbound.systemd.host import SystemdHost
from opencode_a2a_server.adapters.outbound.systemd.layout import Layout
from opencode_a2a_server.adapters.outbound.systemd.release_0_2 import Instance02, read_0_2
from opencode_a2a_server.adapters.outbound.systemd.releases import OPENCODE_VERSION, Releases, Sources
from opencode_a2a_server.adapters.outbound.systemd.running import run
from opencode_a2a_server.adapters.outbound.systemd.stores import Stores
from opencode_a2a_server.adapters.outbound.systemd.users import HostUsers
from opencode_a2a_server.app.settings import SettingsError, load_settings
from opencode_a2a_server.app.settings.deployment import secret_names, told_by_files
from opencode_a2a_server.app.usecases.deploy_instance import (
    InstallInstance,
    RollBackInstance,
    ShowInstance,
    UninstallInstance,
    UpgradeInstance,
)
from opencode_a2a_server.domain.instance import (
    Category,
    Configuration,
    DeploymentError,
    Instance,
    Outcome,
    Refused,
    Wanted,
    check_name,
    free_upstream,
)

EXIT_STATUS: Mapping[Category, int] = {
    Category.INSTALLED: 0,
    Category.UPGRADED: 0,
    Category.ROLLED_BACK: 0,
    Category.UNCHANGED: 0,
    Category.UNINSTALLED: 0,
    Category.PREVIEW: 0,
    Category.READY: 0,
    Category.RESTORED: 3,
    Category.NOT_READY: 4,
    Category.BROKEN: 4,
    Category.LEFTOVERS: 5,
}
EXIT_REFUSED = 1
EXIT_HOST = 6
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
def install(  # noqa: PLR0913 - one for each option
    name: str,
    *,
    host: str | None,
    port: int | None,
    workspace: Path | None,
    env: Path | None,
    opencode_env: Path | None,
    opencode_secret_env: Path | None,
    reach: Sequence[str],
    old: Path | None,
    release: str,
    opencode: str,
    python: str,
    wheels: Path | None,
    constraint: Path | None,
    extras: Sequence[str],
    patience: float,
    dry_run: bool,
) -> None:
    """Make an instance and wait until it is ready. Told again, it applies what is told differently."""
    notes: list[str] = []

    def work(house: SystemdHost) -> Outcome:
        taken_over = None if old is None else read_0_2(old)
        given = {**({} if taken_over is None else taken_over.service), **_read(env)}
        told = _told(given, _read(opencode_env), _read(opencode_secret_env), taken_over)
        instance = _instance(house, name, host, port, workspace, reach, told, taken_over)
        if taken_over is not None:
            notes.extend(taken_over.notes)
        return InstallInstance(house, patience)(instance, Wanted(release, opencode), told, apply=not dry_run)

    _do(work, Sources(python, _text(wheels), _text(constraint), tuple(extras)), notes)


@deploy.command()
@_name
@_sources
@_patience
@_dry_run
def upgrade(  # noqa: PLR0913 - one for each option
    name: str,
    *,
    release: str,
    opencode: str,
    python: str,
    wheels: Path | None,
    constraint: Path | None,
    extras: Sequence[str],
    patience: float,
    dry_run: bool,
) -> None:
    """Give an instance another release; if it does not become ready, go back to the former one and its store."""
    sources = Sources(python, _text(wheels), _text(constraint), tuple(extras))
    wanted = Wanted(release, opencode)
    _do(lambda house: UpgradeInstance(house, patience)(check_name(name), wanted, apply=not dry_run), sources)


@deploy.command()
@_name
@click.option("--restore-store", is_flag=True, help="Put back the store from before the upgrade; tasks since are lost.")
@_patience
@_dry_run
def rollback(name: str, *, restore_store: bool, patience: float, dry_run: bool) -> None:
    """Give an instance the release it had before."""
    _do(
        lambda house: RollBackInstance(house, patience)(
            check_name(name), restore_store=restore_store, apply=not dry_run
        )
    )


@deploy.command()
@_name
def status(name: str) -> None:
    """Say whether an instance is ready, asked as its clients ask."""
    _do(lambda house: ShowInstance(house)(check_name(name)))


@deploy.command()
@_name
@click.option("--purge", is_flag=True, help="Also its settings, secrets, tasks, sessions, own workspace and users.")
@click.option("--yes", is_flag=True, help="Do it. Without this, say what would be done.")
def uninstall(name: str, *, purge: bool, yes: bool) -> None:
    """Take an instance away; without --yes only say what that would be."""
    _do(lambda house: UninstallInstance(house)(check_name(name), state=purge, apply=yes))


def _instance(  # noqa: PLR0913, PLR0917 - what the options say
    house: SystemdHost,
    name: str,
    host: str | None,
    port: int | None,
    workspace: Path | None,
    reach: Sequence[str],
    told: Configuration,
    old: Instance02 | None,
) -> Instance:
    check_name(name)
    there = {one.name: one for one in house.instances()}
    before = there.get(name)
    own = house.layout.kept / name / "workspace"
    if workspace is None and old is not None:
        workspace = old.workspace
    if before is None:
        fallback = Instance(
            name, "", "127.0.0.1", 8000, free_upstream(frozenset(one.upstream for one in there.values())), str(own)
        )
    else:
        fallback = before
    settings = told.settings
    return Instance(
        name,
        "",
        host or settings.get("A2A_HOST") or fallback.host,
        port or int(settings.get("A2A_PORT", fallback.port)),
        fallback.upstream,
        fallback.workspace if workspace is None else str(workspace.resolve()),
        reach=tuple(reach) or fallback.reach,
        drain=float(settings.get("A2A_DRAIN_SECONDS", fallback.drain)),
    )


def _told(
    given: Mapping[str, str], opencode: Mapping[str, str], hidden: Mapping[str, str], old: Instance02 | None
) -> Configuration:
    try:
        whole = told_by_files(given)
        load_settings(whole)
    except SettingsError as error:
        raise Refused("; ".join(error.problems)) from error
    apart = secret_names(whole)
    return Configuration(
        {name: value for name, value in whole.items() if name not in apart},
        {name: value for name, value in whole.items() if name in apart},
        {**({} if old is None else old.opencode), **opencode},
        {**({} if old is None else old.opencode_secrets), **hidden},
    )


def _read(path: Path | None) -> Mapping[str, str]:
    return {} if path is None else read_environment(path)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def this_host(sources: Sources) -> SystemdHost:
    """
    Give this machine.

    Raises:
        Refused: It is none that instances can be deployed on, or we may not.

    """
    if os.geteuid() != 0:
        raise Refused("root is needed: users, units and files of the system are made")
    for program in ("systemctl", "useradd", "setpriv"):
        if shutil.which(program) is None:
            raise Refused(f"{program} is missing: instances are deployed on Linux with systemd")
    layout, users = Layout(), HostUsers(run)
    return SystemdHost(layout, run, Releases(layout, run, sources), users, Stores(layout, run, users))


def _do(work: Callable[[SystemdHost], Outcome], sources: Sources | None = None, notes: Sequence[str] = ()) -> None:
    context = click.get_current_context(silent=True)
    find = (context.obj if context is not None else None) or this_host
    try:
        house = find(sources or Sources("/usr/bin/python3"))
        with _alone(house.layout):
            outcome = work(house)
    except DeploymentError as error:
        refused = isinstance(error, Refused)
        told = {"status": "failed", "category": "refused" if refused else "host", "detail": str(error)}
        click.echo(json.dumps(told, ensure_ascii=False))
        sys.exit(EXIT_REFUSED if refused else EXIT_HOST)
    click.echo(json.dumps({**_worded(outcome), "notes": list(notes)}, ensure_ascii=False))
    sys.exit(EXIT_STATUS[outcome.category])


def _worded(outcome: Outcome) -> Mapping[str, object]:
    instance, failed = outcome.instance, EXIT_STATUS[outcome.category] != 0
    return {
        "status": "failed" if failed else "preview" if outcome.category is Category.PREVIEW else "ok",
        "category": outcome.category.value,
        "instance": instance.name,
        "service": instance.service_unit,
        "opencode": instance.opencode_unit,
        "url": instance.url,
        "release": instance.release,
        "previous": instance.previous,
        "detail": outcome.detail,
        "steps": list(outcome.steps),
    }


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Keep others from deploying meanwhile."""
    os.umask(0o022)
    files.directory(layout.configured, 0o711)
    with layout.lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Refused("somebody else deploys on this host just now; try again") from error
        yield
