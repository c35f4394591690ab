"""
Runs editions of the official conformance suite against the service, and compares with what is known to be wrong.

Exit status 0: nothing failed but what `known_wrong.toml` lists, and all of that did. With `--reference`: all of it that
says so fails against a server of the SDK, too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from ops.conformance.serving import SDK, reference, service
from ops.conformance.suites import EDITIONS, HERE, Edition, edition_of
from ops.conformance.verdict import Verdict, Wrong, known_wrong

SUITE_SECONDS = 900.0


def main() -> int:
    """Run all that was asked for."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, _leave)
    faults: list[str] = []
    for checkout in asked.checkout:
        edition = edition_of(checkout)
        bindings = asked.binding or [*edition.bindings]
        with tempfile.TemporaryDirectory(prefix="tck-") as folder:
            check = _prove if asked.reference else _check
            faults += [f"{edition.version}: {fault}" for fault in check(edition, checkout, bindings, Path(folder))]
    for fault in faults:
        print(fault)
    print("as it should be" if not faults else f"{len(faults)} not as they should be")
    return 1 if faults else 0


def _arguments() -> argparse.Namespace:
    branches = ", ".join(f"{edition.branch} (A2A {edition.version})" for edition in EDITIONS)
    parser = argparse.ArgumentParser(prog="ops/tck", description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("checkout", nargs="+", type=Path, help=f"a checkout of a2aproject/a2a-tck: {branches}")
    parser.add_argument(
        "--binding",
        action="append",
        choices=[*EDITIONS[0].bindings],
        help="check this one only; may be given several times. Default: all",
    )
    parser.add_argument(
        "--reference",
        action="store_true",
        help="run the checks that are known to be wrong against a server of the SDK (a2a-sdk) instead: none may pass",
    )
    asked = parser.parse_args()
    for checkout in asked.checkout:
        try:
            edition_of(checkout)
        except LookupError as unknown:
            parser.error(str(unknown))
    return asked


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _check(edition: Edition, checkout: Path, bindings: Sequence[str], folder: Path) -> Iterator[str]:
    """Run one edition, and say what is not as it should be."""
    suite, python = _suite(edition, checkout, folder)
    with service(edition, bindings, folder) as (url, token):
        for run in edition.runs(url, bindings):
            verdict = _start([python, "run_tck.py", *run.arguments], suite, {"TCK_TOKEN": token, "TCK_SERVICE": url})
            if verdict is None:
                yield f"{run.name}: the suite gave no report"
                continue
            known = [wrong for wrong in known_wrong() if wrong.counts(edition.version, run.bindings, bindings)]
            print(f"== A2A {edition.version}, {', '.join(run.bindings)}, {run.name}: {verdict}", flush=True)
            yield from verdict.faults(known)


def _prove(edition: Edition, checkout: Path, bindings: Sequence[str], folder: Path) -> Iterator[str]:
    """Run what is known to be wrong against the SDK, and say what passes there."""
    suite, python = _suite(edition, checkout, folder)
    known = [wrong for wrong in known_wrong() if wrong.edition == edition.version and wrong.reference]
    if not known:
        print(f"== A2A {edition.version}: nothing is shown by the SDK")
        return
    with reference(_environment("reference", SDK, "".join(SDK)), folder) as (url, token):
        for wrong in known:
            for binding in wrong.bindings or bindings:
                if binding in bindings:
                    command = [python, "-m", "pytest", "-q", "--tb=line", *edition.one(url, binding, wrong.files())]
                    verdict = _start(command, suite, {"TCK_TOKEN": token, "TCK_SERVICE": url})
                    yield from _passed(wrong, binding, verdict)


def _passed(wrong: Wrong, binding: str, verdict: Verdict | None) -> Iterable[str]:
    """Say if the SDK's server does what it should not be able to do."""
    if verdict is None or not any(wrong.names(test) for test in verdict.failed):
        return [f"{wrong.check}, {binding}: the server of the SDK does not fail it: {verdict}"]
    print(f"== {wrong.check}, {binding}: the server of the SDK fails it, too", flush=True)
    return []


def _suite(edition: Edition, checkout: Path, folder: Path) -> tuple[Path, Path]:
    """Give a copy of the suite, and a Python that has what it needs."""
    suite, needs = folder / "suite", checkout / "pyproject.toml"
    shutil.copytree(checkout, suite, ignore=shutil.ignore_patterns(".git", ".venv", "reports"))
    return suite, _environment(edition.version, ("-r", needs), needs.read_text(encoding="utf-8"))


def _environment(name: str, packages: Iterable[str | Path], needs: str) -> Path:
    """Give a Python that has the packages; it is made again when `needs` changes."""
    uv, venv = os.environ["UV"], Path(os.environ["TCK_CACHE"]) / name
    python, done = venv / "bin" / "python", venv / "done"
    if not done.exists() or done.read_text(encoding="utf-8") != needs:
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
        done.write_text(needs, encoding="utf-8")
    return python


def _start(command: Sequence[str | Path], suite: Path, environment: Mapping[str, str]) -> Verdict | None:
    """Run tests of the suite, with the plugin that knows the token; None if they left no report."""
    report = suite / "reports" / "junitreport.xml"
    paths = os.pathsep.join([str(suite), str(HERE)])
    options = f"-p tck_token -p no:cacheprovider --junitxml={report}"
    subprocess.run(
        command,
        cwd=suite,
        env=os.environ | environment | {"PYTHONPATH": paths, "PYTEST_ADDOPTS": options},
        timeout=SUITE_SECONDS,
        check=False,
    )
    if not report.exists():
        return None
    verdict = Verdict.read([report])
    report.unlink()
    return verdict


if __name__ == "__main__":
    sys.exit(main())
