"""A machine for tests: a root below a temporary directory, and commands that are only remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import define, field

from opencode_a2a_server.adapters.outbound.systemd.host import SystemdHost
from opencode_a2a_server.adapters.outbound.systemd.layout import Layout
from opencode_a2a_server.adapters.outbound.systemd.releases import Releases, Sources
from opencode_a2a_server.adapters.outbound.systemd.stores import Stores
from opencode_a2a_server.domain.instance import HostFault, Instance


@define(eq=False)
class Commands:
    """Remembers what was run; those whose words are in `failing` fail."""

    run: list[str] = field(factory=list)
    environments: list[Mapping[str, str]] = field(factory=list)
    failing: set[str] = field(factory=set)

    def __call__(
        self, command: Sequence[str], *, seconds: float = 120, environment: Mapping[str, str] | None = None
    ) -> str:
        line = " ".join(command)
        self.run.append(line)
        self.environments.append(environment or {})
        if any(words in line for words in self.failing):
            raise HostFault(f"{line}: exit status 1: no")
        return "1.2.3\n"

    def of(self, program: str) -> list[str]:
        return [line.removeprefix(f"{program} ") for line in self.run if line.startswith(f"{program} ")]


@define(eq=False)
class Everybody:
    """Users who are only remembered."""

    there: dict[str, Path] = field(factory=dict)
    owned: dict[Path, str] = field(factory=dict)

    def add(self, user: str, *, home: Path) -> None:
        self.there[user] = home

    def own(self, path: Path, user: str) -> None:
        self.owned[path] = user

    def remove(self, user: str) -> None:
        self.there.pop(user, None)


@define(eq=False)
class Machine:
    """All of it; `answers` is what the instance's halves are found to say, one after the other."""

    root: Path
    commands: Commands = field(factory=Commands)
    users: Everybody = field(factory=Everybody)
    answers: list[str] = field(factory=list)
    asked: list[tuple[str, str, str]] = field(factory=list)
    slept: float = 0.0
    sources: Sources = field(factory=lambda: Sources("/usr/bin/python3"))

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    @property
    def releases(self) -> Releases:
        return Releases(self.layout, self.commands, self.sources, self.fetch)

    @property
    def host(self) -> SystemdHost:
        stores = Stores(self.layout, self.commands, self.users)
        return SystemdHost(
            self.layout,
            self.commands,
            self.releases,
            self.users,
            stores,
            self.ask,
            monotonic=lambda: self.slept,
            sleep=self.sleep,
        )

    def ask(self, instance: Instance, admin_url: str, token: str, password: str) -> str:
        self.asked.append((admin_url, token, password))
        return self.answers.pop(0) if self.answers else ""

    def fetch(self, cache: Path, version: str) -> Path:
        self.commands(["npm", f"opencode-ai@{version}"])
        (cache / "opencode").write_text(f"opencode {version}")
        return cache / "opencode"

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def instance(self, name: str = "one", **told: object) -> Instance:
        """Give an instance whose release is there."""
        release = self.layout.release("r1")
        release.mkdir(parents=True, exist_ok=True)
        (release / "release.json").write_text("{}")
        self.layout.units.mkdir(parents=True, exist_ok=True)
        workspace = str(self.layout.kept / name / "workspace")
        return Instance(
            **{  # type: ignore[arg-type] # what a test tells is right
                "name": name,
                "release": "r1",
                "host": "127.0.0.1",
                "port": 8000,
                "upstream": "127.77.0.1",
                "workspace": workspace,
                **told,
            }
        )
