"""What a run came to: its checks against those which are known to be wrong, each with the reason."""

from __future__ import annotations

import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from attrs import frozen

KNOWN = Path(__file__).with_name("known_wrong.toml")


@frozen
class Wrong:
    """Checks that no right service passes: of one edition of the suite, over some bindings, and why they are wrong."""

    edition: str
    check: str
    """What the suite calls it."""
    tests: Sequence[str]
    """The tests, as patterns of `module.Class.test[parameters]`."""
    reason: str
    bindings: Sequence[str] = ()
    """Over which it is wrong; empty for all."""
    served: str = ""
    """A binding that must be served for it to be wrong."""
    reference: bool = False
    """Whether the SDK's own server fails it, too."""

    def counts(self, edition: str, over: Sequence[str], served: Sequence[str]) -> bool:
        """Whether it is wrong in a run of an edition over some bindings."""
        return (
            self.edition == edition
            and (not self.bindings or not set(over).isdisjoint(self.bindings))
            and (not self.served or self.served in served)
        )

    def files(self) -> Sequence[str]:
        """Give the tests as pytest takes them: a file, and what is in it."""
        return [_node(pattern) for pattern in self.tests]

    def names(self, test: str) -> bool:
        """Whether a test is one of these."""
        return any(fnmatchcase(test, pattern.replace("[", "[[]")) for pattern in self.tests)


@frozen
class Verdict:
    """How the tests of one run ended, by name."""

    passed: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()

    @classmethod
    def read(cls, reports: Iterable[Path]) -> Verdict:
        """Read reports in the form of JUnit."""
        ended: Mapping[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}
        for report in reports:
            for case in ET.parse(report).iter("testcase"):  # noqa: S314 - the suite wrote it just now
                ended[_outcome(case)].add(f"{case.get('classname')}.{case.get('name')}".removeprefix("tests."))
        return cls(*map(frozenset, ended.values()))

    def faults(self, known: Iterable[Wrong]) -> Sequence[str]:
        """Say what should not be so: a failure that is not known, and one that is known and does not happen."""
        known = tuple(known)
        unknown = [f"failed: {test}" for test in sorted(self.failed) if not any(wrong.names(test) for wrong in known)]
        healed = [
            f"passed, though {wrong.check} is listed as wrong: {test}"
            for wrong in known
            for test in sorted(self.passed)
            if wrong.names(test)
        ]
        return unknown + healed

    def __str__(self) -> str:
        return f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def known_wrong(path: Path = KNOWN) -> tuple[Wrong, ...]:
    """Read the list."""
    return tuple(Wrong(**wrong) for wrong in tomllib.loads(path.read_text(encoding="utf-8"))["wrong"])


def _node(pattern: str) -> str:
    """Say where a test is; modules begin with `test_`, and what is in them does, too, or is a class."""
    parts = pattern.split(".")
    module = next(place for place, part in enumerate(parts) if part.startswith("test_"))
    return "::".join(["/".join(["tests", *parts[: module + 1]]) + ".py", *parts[module + 1 :]])


def _outcome(case: ET.Element) -> str:
    marks = {mark.tag for mark in case}
    if marks & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in marks else "passed"
