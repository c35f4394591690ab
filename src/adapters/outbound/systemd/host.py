"""A host with systemd, as its administrator works on it."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import asdict, field, frozen

from opencode_a2a_server.domain.instance import (
    ADMIN_PORT,
    Configuration,
    HostFault,
    Instance,
    Refused,
    Wanted,
    url_of,
)

from . import files, probe
from .environment import read_environment, write_environment
from .layout import Layout
from .releases import Releases
from .running import Run
from .stores import Stores
from .units import render
from .users import Users

TOKEN = "A2A_BEARER_TOKEN"  # noqa: S105 - the name of it
PASSWORD = "OPENCODE_AUTH_PASSWORD"  # noqa: S105
URL = "A2A_TASK_STORE_DATABASE_URL"
SHOWN = ("GH_TOKEN", "GITHUB_TOKEN")
"""Secrets that are meant for the agent's own commands; the others are kept from its shell."""

_RECORD = "instance.json"
_WERE_ACTIVE = "active"
_SYSTEMCTL_SECONDS = 300
_PAUSE_SECONDS = 0.2
_JOURNAL_LINES = "8"


@frozen
class SystemdHost:
    """The Host port on this machine."""

    layout: Layout
    run: Run
    releases: Releases
    users: Users
    stores: Stores
    ask: Callable[[Instance, str, str, str], str] = probe.complaint
    _monotonic: Callable[[], float] = field(default=time.monotonic)
    _sleep: Callable[[float], None] = field(default=time.sleep)

    def instances(self) -> Sequence[Instance]:
        """Read the records."""
        return [_read(path) for path in sorted(self.layout.configured.glob(f"*/{_RECORD}"))]

    def name_of(self, wanted: Wanted) -> str:
        """Name a release."""
        return self.releases.name_of(wanted)

    def make_release(self, wanted: Wanted) -> str:
        """Make a release unless it is there."""
        return self.releases.make(wanted)

    def furnish(self, instance: Instance, told: Configuration) -> bool:
        """Make users, directories and files. Not short of purpose: what failed half is made whole by the next call."""
        layout = self.layout
        for user in (instance.agent_user, instance.service_user):
            self.users.add(user, home=layout.home(instance) if user == instance.agent_user else layout.store(instance))
        files.directory(layout.kept, 0o755)
        files.directory(layout.state(instance), 0o755)
        self._open_workspace(instance)
        files.directory(layout.configured, 0o711)
        for private in (layout.config(instance), layout.credentials(instance)):
            files.directory(private, 0o700)
        changed = [*self._tell_service(instance, told), *self._tell_opencode(instance, told)]
        names = sorted(path.name for path in layout.credentials(instance).iterdir() if path.name[0] != ".")
        files.directory(layout.rendered(instance), 0o700)
        for unit, text in render(instance, layout, names).items():
            changed.append(files.put(layout.rendered(instance) / unit, text, mode=files.READABLE))
        return any(changed)

    def switch(self, instance: Instance) -> str:
        """Stop what runs, put the units and the release in place, record it, start."""
        layout = self.layout
        if not self.releases.whole(instance.release):
            raise HostFault(f"release {instance.release} is no more; install or upgrade makes it again")
        if not (layout.config(instance) / _RECORD).exists():
            self._set_aside(instance)
        self._stop(instance)
        files.directory(layout.launch(instance).parent, 0o755)
        files.link(layout.launch(instance), layout.release(instance.release))
        for unit in _units(instance):
            text = (layout.rendered(instance) / unit).read_text(encoding="utf-8")
            files.put(layout.units / unit, text, mode=files.READABLE)
        files.put(layout.config(instance) / _RECORD, json.dumps(asdict(instance), indent=2))
        self._systemctl("daemon-reload")
        self._systemctl("enable", "--quiet", *_units(instance))
        for unit in _units(instance):
            try:
                self._systemctl("start", unit)
            except HostFault as fault:
                return f"{fault}\n{self._last_words(unit)}"
        return ""

    def complaint(self, instance: Instance, *, patience: float = 0.0) -> str:
        """Ask both halves, again and again while there is time."""
        end = self._monotonic() + patience
        admin = self._admin_url(instance)
        while problem := self.ask(instance, admin, self._secret(instance, TOKEN), self._secret(instance, PASSWORD)):
            if self._monotonic() >= end:
                return problem
            self._sleep(_PAUSE_SECONDS)
        return ""

    def keep_store(self, instance: Instance) -> None:
        """Stop and copy."""
        self._stop(instance)
        self.stores.keep(instance)

    def put_back_store(self, instance: Instance) -> None:
        """Stop and copy back."""
        self._stop(instance)
        self.stores.put_back(instance)

    def store_fits(self, instance: Instance) -> bool:
        """Ask the release itself."""
        told = read_environment(self.layout.config(instance) / "a2a.env")
        if url := self._secret(instance, URL):
            told[URL] = url
        return self.stores.fits(instance, {name: told[name] for name in told if name.startswith("A2A_TASK_STORE_")})

    def traces(self, instance: Instance, *, state: bool) -> Sequence[str]:
        """Say what would go."""
        layout = self.layout
        steps = [f"stop and disable {unit}, remove {layout.units / unit}" for unit in _units(instance)]
        steps.append(f"remove {layout.launch(instance)}")
        if not state:
            return [
                *steps,
                f"keep {layout.config(instance)}, {layout.state(instance)} and the users (--purge removes them)",
            ]
        steps += [f"remove {path}" for path in (layout.config(instance), layout.state(instance))]
        if not self._own_workspace(instance):
            steps.append(f"keep {instance.workspace}, which was there before")
        return [*steps, f"remove the users {instance.agent_user} and {instance.service_user}"]

    def remove(self, instance: Instance, *, state: bool) -> Sequence[str]:
        """Take away one by one; what does not go is told, and does not keep the rest."""
        layout = self.layout
        left: list[str] = []

        def step(work: Callable[[], object]) -> None:
            try:
                work()
            except (HostFault, OSError) as error:
                left.append(str(error))

        step(lambda: self._stop(instance))
        step(lambda: self._systemctl("disable", "--quiet", *_units(instance)))
        for path in (*(layout.units / unit for unit in _units(instance)), layout.launch(instance)):
            step(lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc] # bound now
        step(lambda: self._give_back(instance))
        step(lambda: (layout.config(instance) / _RECORD).unlink(missing_ok=True))
        if state:
            for path in (layout.config(instance), layout.state(instance)):
                step(lambda path=path: shutil.rmtree(path) if path.exists() else None)  # type: ignore[misc]
            for user in (instance.agent_user, instance.service_user):
                step(lambda user=user: self.users.remove(user))  # type: ignore[misc]
        return left

    def _open_workspace(self, instance: Instance) -> None:
        place = Path(instance.workspace)
        if self._own_workspace(instance):
            files.directory(place, 0o750)
            self.users.own(place, instance.agent_user)
        elif not place.is_dir():
            raise Refused(f"{place} is no directory; make the workspace before")

    def _own_workspace(self, instance: Instance) -> bool:
        return Path(instance.workspace).is_relative_to(self.layout.state(instance))

    def _tell_service(self, instance: Instance, told: Configuration) -> Iterator[bool]:
        layout = self.layout
        given = dict(told.secrets)
        for name, length in ((TOKEN, 32), (PASSWORD, 32)):
            if not given.get(name) and not self._secret(instance, name):
                given[name] = secrets.token_urlsafe(length)
        for name, value in given.items():
            path = layout.credentials(instance) / name
            if value:
                yield files.put(path, value)
            elif path.exists():
                path.unlink()
                yield True
        ours = {
            "A2A_HOST": instance.host,
            "A2A_PORT": str(instance.port),
            "A2A_DRAIN_SECONDS": f"{instance.drain:g}",
            "OPENCODE_BASE_URL": instance.upstream_url,
            "OPENCODE_DIRECTORY": instance.workspace,
        }
        # Beside OpenCode's: no other instance has the address, and no agent gets there.
        unless_told = {"A2A_ADMIN_HOST": instance.upstream, "A2A_ADMIN_PORT": str(ADMIN_PORT)}
        path = layout.config(instance) / "a2a.env"
        yield files.put(path, write_environment({**unless_told, **_there(path), **told.settings, **ours}))

    def _tell_opencode(self, instance: Instance, told: Configuration) -> Iterator[bool]:
        config = self.layout.config(instance)
        plain, private = config / "opencode.env", config / "opencode.secret.env"
        yield files.put(plain, write_environment({**_there(plain), **told.opencode}))
        hidden = {**_there(private), **told.opencode_secrets}
        yield files.put(private, write_environment(hidden))
        auth = {
            "OPENCODE_SERVER_PASSWORD": self._secret(instance, PASSWORD),
            "OPENCODE_A2A_HIDDEN": " ".join(sorted(name for name in hidden if name not in SHOWN)),
        }
        yield files.put(config / "opencode.auth.env", write_environment(auth))

    def _admin_url(self, instance: Instance) -> str:
        told = _there(self.layout.config(instance) / "a2a.env")
        host = told.get("A2A_ADMIN_HOST") or instance.upstream
        return url_of(host, int(told.get("A2A_ADMIN_PORT") or ADMIN_PORT))

    def _secret(self, instance: Instance, name: str) -> str:
        with suppress(FileNotFoundError):
            return (self.layout.credentials(instance) / name).read_text(encoding="utf-8").strip()
        return ""

    def _set_aside(self, instance: Instance) -> None:
        """Keep what somebody else, such as release 0.2, had under the same names; `remove` gives it back."""
        aside = self.layout.set_aside(instance)
        files.directory(aside, 0o700)
        active = [unit for unit in _units(instance) if self._is_active(unit)]
        files.put(aside / _WERE_ACTIVE, "\n".join(active))
        for unit in _units(instance):
            for name in (unit, f"{unit}.d"):
                if (self.layout.units / name).exists():
                    shutil.move(self.layout.units / name, aside / name)

    def _give_back(self, instance: Instance) -> None:
        aside = self.layout.set_aside(instance)
        active = (aside / _WERE_ACTIVE).read_text(encoding="utf-8").split() if aside.is_dir() else []
        for unit in _units(instance):
            for name in (unit, f"{unit}.d"):
                if (aside / name).exists():
                    shutil.move(aside / name, self.layout.units / name)
        self._systemctl("daemon-reload")
        for unit in active:
            self._systemctl("start", unit)
        shutil.rmtree(aside, ignore_errors=True)

    def _stop(self, instance: Instance) -> None:
        # The service first: its turns are told of an end, not of a lost OpenCode.
        for unit in reversed(_units(instance)):
            with suppress(HostFault):  # there may be none yet
                self._systemctl("stop", unit)
            with suppress(HostFault):
                self._systemctl("reset-failed", unit)

    def _is_active(self, unit: str) -> bool:
        with suppress(HostFault):
            self._systemctl("is-active", "--quiet", unit)
            return True
        return False

    def _systemctl(self, *arguments: str) -> str:
        return self.run(["systemctl", *arguments], seconds=_SYSTEMCTL_SECONDS)

    def _last_words(self, unit: str) -> str:
        with suppress(HostFault):
            return self.run(["journalctl", "--unit", unit, "--lines", _JOURNAL_LINES, "--no-pager", "--output", "cat"])
        return ""


def _units(instance: Instance) -> tuple[str, str]:
    return instance.opencode_unit, instance.service_unit


def _there(path: Path) -> Mapping[str, str]:
    return read_environment(path) if path.exists() else {}


def _read(path: Path) -> Instance:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Instance(**{**told, "reach": tuple(told["reach"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise HostFault(f"{path} is not the record of an instance ({error})") from error
