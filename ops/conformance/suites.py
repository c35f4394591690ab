"""The editions of the suite: how each is told from a checkout, started, and what it wants of the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

HERE = Path(__file__).parent
NO_SETTINGS: Mapping[str, str] = {}


@frozen
class Run:
    """One start of the suite's own runner."""

    name: str
    arguments: tuple[str, ...]
    bindings: tuple[str, ...]


@frozen
class Edition:
    """An edition: a branch of a2aproject/a2a-tck."""

    version: str
    branch: str
    mark: str
    """A path that no other edition has."""
    bindings: Mapping[str, str]
    """What it calls the bindings that the service calls by the keys."""
    settings: Mapping[str, str] = field(default=NO_SETTINGS)
    """What the service needs besides what all editions need."""

    def runs(self, service: str, bindings: Sequence[str]) -> Iterator[Run]:
        """Say what is to be started to check the bindings."""
        names = [self.bindings[binding] for binding in bindings]
        if self.version == "1.0":
            yield Run("all", ("--sut-host", service, "--transport", ",".join(names)), tuple(bindings))
            return
        for binding, name in zip(bindings, names, strict=True):
            for category in ("mandatory", "capabilities", "quality", "features"):
                arguments = ("--sut-url", service, "--category", category, "--transports", name)
                yield Run(f"{binding} {category}", arguments, (binding,))
        if len(names) > 1:
            arguments = ("--sut-url", service, "--category", "transport-equivalence", "--transports", ",".join(names))
            yield Run("transport-equivalence", arguments, tuple(bindings))

    def one(self, service: str, binding: str, tests: Sequence[str]) -> Sequence[str]:
        """Say by which arguments pytest runs some tests over one binding, as the runner of 0.3 has it do."""
        return (*tests, f"--sut-url={service}", "--test-scope=all", "--transports", self.bindings[binding])


EDITIONS = (
    Edition(
        version="1.0",
        branch="1.0-dev",
        mark="tests/compatibility",
        bindings={"JSONRPC": "jsonrpc", "HTTP+JSON": "http_json", "GRPC": "grpc"},
        settings={"A2A_SCRIPT": str(HERE / "tck-1.0.toml")},
    ),
    Edition(
        version="0.3",
        branch="0.3.x",
        mark="tests/mandatory",
        bindings={"JSONRPC": "jsonrpc", "HTTP+JSON": "rest", "GRPC": "grpc"},
        settings={
            "A2A_SCRIPT": str(HERE / "tck-0.3.toml"),
            # It says more to tasks that are still at work.
            "A2A_MESSAGES_TO_WORKING": "queue",
        },
    ),
)


def edition_of(checkout: Path) -> Edition:
    """
    Tell the edition.

    Raises:
        LookupError: It is none that is known.

    """
    for edition in EDITIONS:
        if (checkout / edition.mark).is_dir():
            return edition
    branches = " or ".join(edition.branch for edition in EDITIONS)
    raise LookupError(f"{checkout} is no checkout of a2aproject/a2a-tck, branch {branches}")
