"""
Runs editions of the official conformance suite against the service, and compares with what is known to be wrong.

Exit status 0: nothing failed but what `known_wrong.toml` lists, and all of that did.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ops.conformance.suites import EDITIONS, HERE, Edition, Run, edition_of
from ops.conformance.verdict import Verdict, known_wrong

START_SECONDS = 60.0
STOP_SECONDS = 30.0
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
            faults += [f"{edition.version}: {fault}" for fault in _check(edition, checkout, bindings, Path(folder))]
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
    suite, python = folder / "suite", _environment(edition, checkout)
    shutil.copytree(checkout, suite, ignore=shutil.ignore_patterns(".git", ".venv", "reports"))
    with _service(edition, bindings, folder) as (url, token):
        for run in edition.runs(url, bindings):
            report = suite / "reports" / "junitreport.xml"
            _start(run, python, suite, {"TCK_TOKEN": token, "TCK_SERVICE": url}, report)
            if not report.exists():
                yield f"{run.name}: the suite gave no report"
                continue
            verdict = Verdict.read([report])
            report.unlink()
            known = [wrong for wrong in known_wrong() if wrong.counts(edition.version, run.bindings, bindings)]
            print(f"== A2A {edition.version}, {', '.join(run.bindings)}, {run.name}: {verdict}", flush=True)
            yield from verdict.faults(known)


def _environment(edition: Edition, checkout: Path) -> Path:
    """Give a Python that has what the suite needs."""
    uv, venv = os.environ["UV"], Path(os.environ["TCK_CACHE"]) / edition.version
    python, done = venv / "bin" / "python", venv / "done"
    needs = (checkout / "pyproject.toml").read_text(encoding="utf-8")
    if not done.exists() or done.read_text(encoding="utf-8") != needs:
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", python, "-r", checkout / "pyproject.toml"]
        subprocess.run(install, check=True)
        done.write_text(needs, encoding="utf-8")
    return python


def _start(run: Run, python: Path, suite: Path, environment: Mapping[str, str], report: Path) -> None:
    """Start the suite's own runner, with the plugin that knows the token."""
    paths = os.pathsep.join([str(suite), str(HERE)])
    options = f"-p tck_token -p no:cacheprovider --junitxml={report}"
    subprocess.run(
        [python, "run_tck.py", *run.arguments],
        cwd=suite,
        env=os.environ | environment | {"PYTHONPATH": paths, "PYTEST_ADDOPTS": options},
        timeout=SUITE_SECONDS,
        check=False,
    )


@contextmanager
def _service(edition: Edition, bindings: Sequence[str], folder: Path) -> Iterator[tuple[str, str]]:
    """Serve on loopback as the edition needs it; gives address and token."""
    port, token = _free_port(), secrets.token_urlsafe(16)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("A2A_", "OPENCODE_"))}
    settings = {
        "A2A_RUNTIME": "scripted",
        "A2A_HOST": "127.0.0.1",
        "A2A_PORT": str(port),
        "A2A_BEARER_TOKEN": token,
        "A2A_TASK_STORE_BACKEND": "memory",
        # The suite's receiver of notifications is on this machine.
        "A2A_PUSH_ALLOWED_HOSTS": "localhost,127.0.0.1",
        **({"A2A_GRPC_PORT": str(_free_port())} if "GRPC" in bindings else {}),
        **edition.settings,
    }
    command = [sys.executable, "-m", "opencode_a2a_server.app.cli", "serve"]
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command, env=clean | settings, cwd=folder, stdout=log, stderr=log)
    try:
        _await(process, f"http://127.0.0.1:{port}", folder / "service.log")
        yield f"http://127.0.0.1:{port}", token
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/.well-known/agent-card.json", timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise SystemExit(f"the service does not answer; it said:\n{log.read_text(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
