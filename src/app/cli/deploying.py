"""What `opencode-a2a-server deploy` does, once its arguments are read: on which host, and how the outcome is told."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import rich_click as click
from attrs import frozen

from opencode_a2a_server.adapters.outbound.systemd import files
from opencode_a2a_server.adapters.outbound.systemd.environment import read_environment
from opencode_a2a_server.adapters.outbound.systemd.host import SystemdHost
from opencode_a2a_server.adapters.outbound.systemd.layout import Layout
from opencode_a2a_server.adapters.outbound.systemd.release_0_2 import Instance02, read_0_2
from opencode_a2a_server.adapters.outbound.systemd.releases import Releases, Sources
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
    HostFault,
    Instance,
    Outcome,
    Refused,
    Wanted,
    check_name,
    free_upstream,
)

from .exits import FAILED
from .installing import InstallError
from .installing import install as fetch

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
EXIT_HOST = 6


@frozen
class Install:
    """What an instance is to be."""

    name: str
    wanted: Wanted
    host: str | None = None
    port: int | None = None
    workspace: Path | None = None
    env: Path | None = None
    opencode_env: Path | None = None
    opencode_secret_env: Path | None = None
    reach: tuple[str, ...] = ()
    old: Path | None = None


def install(options: Install, sources: Sources, patience: float, *, apply: bool) -> None:
    """Make an instance."""
    notes: list[str] = []

    def work(house: SystemdHost) -> Outcome:
        old = None if options.old is None else read_0_2(options.old)
        if old is not None:
            notes.extend(old.notes)
        given = {**({} if old is None else old.service), **_read(options.env)}
        told = _told(given, _read(options.opencode_env), _read(options.opencode_secret_env), old)
        instance = _instance(house, options, told, old)
        return InstallInstance(house, patience)(instance, options.wanted, told, apply=apply)

    _do(work, sources, notes)


def upgrade(name: str, wanted: Wanted, sources: Sources, patience: float, *, apply: bool) -> None:
    """Give an instance another release."""
    _do(lambda house: UpgradeInstance(house, patience)(check_name(name), wanted, apply=apply), sources)


def rollback(name: str, patience: float, *, restore_store: bool, apply: bool) -> None:
    """Give an instance the former release."""

    def work(house: SystemdHost) -> Outcome:
        return RollBackInstance(house, patience)(check_name(name), restore_store=restore_store, apply=apply)

    _do(work)


def status(name: str) -> None:
    """Ask an instance."""
    _do(lambda house: ShowInstance(house)(check_name(name)))


def uninstall(name: str, *, purge: bool, apply: bool) -> None:
    """Take an instance away."""
    _do(lambda house: UninstallInstance(house)(check_name(name), state=purge, apply=apply))


def _instance(house: SystemdHost, options: Install, told: Configuration, old: Instance02 | None) -> Instance:
    name, settings = check_name(options.name), told.settings
    there = {one.name: one for one in house.instances()}
    workspace = options.workspace or (None if old is None else old.workspace)
    upstream = free_upstream(frozenset(one.upstream for one in there.values()))
    own = str(house.layout.kept / name / "workspace")
    before = there.get(name) or Instance(name, "", "127.0.0.1", 8000, upstream, own)
    return Instance(
        name,
        "",
        options.host or settings.get("A2A_HOST") or before.host,
        options.port or int(settings.get("A2A_PORT") or before.port),
        before.upstream,
        before.workspace if workspace is None else str(workspace.resolve()),
        reach=options.reach or before.reach,
        drain=float(settings.get("A2A_DRAIN_SECONDS") or before.drain),
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
    return SystemdHost(layout, run, Releases(layout, run, sources, _fetch), users, Stores(layout, run, users))


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
        sys.exit(FAILED if refused else EXIT_HOST)
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


def _fetch(cache: Path, version: str) -> Path:
    try:
        return fetch(cache, version)
    except InstallError as error:
        raise HostFault(f"{error}; or give the path of an OpenCode binary with --opencode") from error
