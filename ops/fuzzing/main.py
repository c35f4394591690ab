"""
Malformed input, and what must not come of it: an answer 500, a traceback, silence, a leak, a secret.

    ops/fuzz                             20,000 requests to the service, and as many inputs to its parsers
    ops/fuzz --inputs 100000 --seed 7
    ops/fuzz --inputs 25000 --from 25000 the second of four parts of the same
    ops/fuzz --only parsers              or requests, or the name of one parser
    ops/fuzz --replay FILE               once more what was kept

The same seed makes the same inputs. Requests go to a service in this process, by turns one with scripts and in memory, one
with a fake OpenCode and a file; it is begun anew every thousand inputs, and must leave nothing behind. Parsers are fed by
atheris where it is installed, which looks for inputs that reach other lines; else by chance alone.

Prints one line of JSON. What brought something out is kept in a directory, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from attrs import define, field

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, from anywhere

from ops.fuzzing.calls import made
from ops.fuzzing.grpc_calls import made as called
from ops.fuzzing.mutation import Chance, spoil, spoil_bytes, written
from ops.fuzzing.parsers import PARSERS, Parser, closed
from ops.fuzzing.service import Finding, Wrong, living

_OVER_GRPC: Final = 20
"""One input of so many goes over gRPC."""
LIFE: Final = 1000
"""Inputs that a service lives for."""
_GROWTH: Final = 1.1
"""What the process may use in the second half, in times of what it used in the first."""
_GROWTH_BYTES: Final = 8 << 20
_RUNS: Final = re.compile(r"Done (\d+) runs")
_COVERED: Final = re.compile(r"cov: (\d+)")
_GUARD: Final = 20
"""Seconds that a parser may take for one input."""


@define
class Report:
    """What was done, and what came of it."""

    requests: int = 0
    statuses: Counter[int] = field(factory=Counter)
    codes: Counter[str] = field(factory=Counter)
    """Those of gRPC."""
    parsed: dict[str, int] = field(factory=dict)
    covered: dict[str, int] = field(factory=dict)
    findings: list[dict[str, Any]] = field(factory=list)
    sizes: list[int] = field(factory=list)
    """Bytes that the process had after each life of the service."""

    @property
    def grew(self) -> bool:
        """Whether the second half of the lives needed more than the first."""
        half = len(self.sizes) // 2
        first, second = self.sizes[1:half], self.sizes[half:]
        if not first:
            return False
        early, late = max(first), max(second)
        return late > early * _GROWTH and late - early > _GROWTH_BYTES

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings and not self.grew

    @property
    def figures(self) -> dict[str, Any]:
        """Tell it."""
        return {
            "requests": self.requests,
            "statuses": {str(int(status)): count for status, count in sorted(self.statuses.items())},
            "grpc": dict(sorted(self.codes.items())),
            "parsed": self.parsed,
            "covered": self.covered,
            "rss_mb": [size >> 20 for size in self.sizes[:: max(len(self.sizes) // 8, 1)]],
            "grew": self.grew,
            "findings": len(self.findings),
            "ok": self.ok,
        }


# Requests


async def ask(report: Report, seed: int, numbers: range, *, fake: bool) -> None:
    """Have a service live for some inputs."""
    try:
        async with living(fake=fake) as life:
            for number in numbers:
                by_grpc = number % _OVER_GRPC == 0
                finding = await (life.call(called(seed, number)) if by_grpc else life.ask(made(seed, number)))
                report.requests += 1
                if finding is not None:
                    _note(report, seed, finding, numbers, fake=fake)
            report.statuses += life.statuses
            report.codes += life.codes
    except Wrong as wrong:
        _note(report, seed, Finding(numbers[-1], (f"in the end: {wrong}",), {}), numbers, fake=fake)
    gc.collect()
    report.sizes.append(_size())


def _note(report: Report, seed: int, finding: Finding, numbers: range, *, fake: bool) -> None:
    print(f"request {finding.number}: {'; '.join(finding.reasons)[:2000]}", file=sys.stderr)
    report.findings.append(
        {
            "what": "request",
            "seed": seed,
            "fake": fake,
            "from": numbers[0],
            "to": finding.number,
            "reasons": finding.reasons,
            "request": finding.request,
        }
    )


def requests(report: Report, seed: int, begin: int, count: int) -> None:
    """Ask so many times, from a number on."""
    for start in range(begin, begin + count, LIFE):
        numbers = range(start, min(start + LIFE, begin + count))
        asyncio.run(ask(report, seed, numbers, fake=start // LIFE % 2 == 1))


def _size() -> int:
    """Give the bytes of memory that this process has."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 if status.exists() else 0


# Parsers


def inputs(parser: Parser, seed: int, numbers: range) -> Iterator[bytes]:
    """Make inputs by chance."""
    for number in numbers:
        chance = Chance.of(seed, number, parser.name)
        data = chance.one_of(parser.seeds)
        if chance.happens(0.4):
            data = _as_value(chance, data)
        for _ in range(chance.randrange(4)):
            data = spoil_bytes(chance, data)
        yield data


def _as_value(chance: Chance, data: bytes) -> bytes:
    try:
        return written(chance, spoil(chance, json.loads(data)))
    except ValueError:
        return data


def feed(report: Report, parser: Parser, seed: int, numbers: range) -> None:
    """Feed a parser by chance."""
    logging.disable()
    try:
        for data in inputs(parser, seed, numbers):
            _feed_one(report, parser, data)
            report.parsed[parser.name] = report.parsed.get(parser.name, 0) + 1
    finally:
        logging.disable(logging.NOTSET)


def _feed_one(report: Report, parser: Parser, data: bytes) -> None:
    began = time.monotonic()
    try:
        parser(data)
        reason = f"it took more than {_GUARD} s" if time.monotonic() - began > _GUARD else ""
    except Exception as error:  # noqa: BLE001 - the finding
        reason = repr(error)[:2000]
    if reason:
        print(f"{parser.name}: {reason}", file=sys.stderr)
        report.findings.append({"what": parser.name, "reasons": [reason], "data": data.hex()})


def guide(report: Report, parser: Parser, seed: int, count: int) -> None:
    """Feed a parser under atheris, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, crashes = Path(folder, "corpus"), Path(folder, "crashes")
        corpus.mkdir()
        crashes.mkdir()
        for number, right in enumerate((*parser.seeds, *inputs(parser, seed, range(200)))):
            (corpus / f"{number:06}").write_bytes(right)
        command = [
            sys.executable,
            str(Path(__file__).with_name("guided.py")),
            parser.name,
            f"-runs={count}",
            f"-seed={seed}",
            f"-timeout={_GUARD}",
            "-rss_limit_mb=2048",
            f"-artifact_prefix={crashes}/",
            "-max_len=20000",
            str(corpus),
        ]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        kept = sorted(crashes.iterdir())
        runs, covered = _RUNS.findall(done.stderr), _COVERED.findall(done.stderr)
        report.parsed[parser.name] = int(runs[-1]) if runs else 0
        report.covered[parser.name] = int(covered[-1]) if covered else 0
        if done.returncode:
            reason = "\n".join(line for line in (done.stdout + done.stderr).splitlines()[-40:])
            print(f"{parser.name}: {reason}", file=sys.stderr)
            data = kept[0].read_bytes().hex() if kept else ""
            report.findings.append({"what": parser.name, "reasons": [reason], "data": data})


# What is kept


def keep(report: Report, folder: Path) -> None:
    """Keep what brought something out."""
    for number, finding in enumerate(report.findings):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{finding['what']}-{finding.get('to', number)}.json"
        path.write_text(json.dumps(finding, indent=1))
        print(f"kept: {path}", file=sys.stderr)


def replay(report: Report, path: Path) -> None:
    """Do once more what brought something out: requests after all that its service was asked before."""
    kept = json.loads(path.read_text())
    if kept["what"] == "request":
        asyncio.run(ask(report, kept["seed"], range(kept["from"], kept["to"] + 1), fake=kept["fake"]))
        return
    parser = next(parser for parser in PARSERS if parser.name == kept["what"])
    _feed_one(report, parser, bytes.fromhex(kept["data"]))


def _parsed(report: Report, chosen: argparse.Namespace, wanted: Sequence[Parser]) -> None:
    share = max(chosen.inputs // len(wanted), 1)
    for parser in wanted:
        if find_spec("atheris") is not None:
            guide(report, parser, chosen.seed + chosen.begin, share)
        else:
            feed(report, parser, chosen.seed, range(chosen.begin, chosen.begin + share))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000, help="for the service, and as many for its parsers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="begin", type=int, default=0, help="the number of the first input")
    parser.add_argument("--only", default="", choices=["", "requests", "parsers", *(one.name for one in PARSERS)])
    parser.add_argument("--keep", type=Path, default=Path(".cache/fuzz"), help="where findings go")
    parser.add_argument("--replay", type=Path)
    chosen = parser.parse_args(arguments)
    report, began = Report(), time.monotonic()
    if chosen.replay is not None:
        replay(report, chosen.replay)
    else:
        if chosen.only in ("", "requests"):
            requests(report, chosen.seed, chosen.begin, chosen.inputs)
        if chosen.only != "requests":
            _parsed(report, chosen, [one for one in PARSERS if chosen.only in ("", "parsers", one.name)])
        keep(report, chosen.keep)
    closed()
    print(json.dumps({"seed": chosen.seed, "seconds": round(time.monotonic() - began), **report.figures}))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
