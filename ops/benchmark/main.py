"""
Measure our server beside the relay, in turns, and hold it to its targets.

    ops/bench                          everything, five rounds
    ops/bench --only streams --rounds 3
    ops/bench --store postgres         on a PostgreSQL that it starts, and ends
    ops/bench --only rest              what 100,000 ended tasks cost, and 2,000 that wait
    ops/bench --check                  exit status 1 when a target is missed
"""

import argparse
import asyncio
import contextlib
import gc
import json
import resource
import secrets
import shlex
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, from anywhere

from ops.benchmark import measure, report, rest, stand, store
from ops.benchmark.load import Broken

_PARTS = ("unary", "streams", "latency", "written", "slow", "rest")
_ALONE = ("slow", "rest")  # by servers which have done nothing else
_PATIENCE = 60.0  # for one measure of one server
_Measure = Callable[[stand.Stand], Awaitable[measure.Outcome]]
# Enough turns for figures to be steady, few enough for five rounds to end in time.
_ROUND: dict[str, dict[str, _Measure]] = {
    "unary": {"unary": partial(measure.unary, clients=4, requests=200)},
    "streams": {
        "streams-1": partial(measure.streams, script=measure.STREAM, at_once=1, total=6),
        "streams-8": partial(measure.streams, script=measure.STREAM, at_once=8, total=16),
        "streams-32": partial(measure.streams, script=measure.STREAM, at_once=32, total=32),
    },
    "latency": {"latency": partial(measure.latency, at_once=8, rate=50, seconds=4)},
    "written": {
        "written-fast": partial(measure.written, script=measure.LONG, at_once=8),
        "written-paced": partial(measure.written, script=measure.PACED, at_once=8),
    },
    "slow": {"slow": partial(measure.slow, at_once=500, seconds=6)},
}


async def bench(chosen: argparse.Namespace) -> report.Results:
    """Take every chosen measure of both servers, A B A B."""
    results = report.Results()
    steady = {name: one for part in chosen.only if part not in _ALONE for name, one in _ROUND[part].items()}
    if steady:
        async with _stands(chosen) as stands:
            for number in range(1, chosen.rounds + 1):
                _note(f"round {number} of {chosen.rounds}")
                await _take(results, stands, steady)

    if "slow" in chosen.only:
        # Servers which have done nothing else: one that has grown already hides what 500 streams keep.
        async with _stands(chosen) as stands:
            _note("500 slow streams")
            await _take(results, stands, _ROUND["slow"])

    if "rest" in chosen.only and not chosen.relay_only:
        await _rest(results, chosen)

    return results


async def _rest(results: report.Results, chosen: argparse.Namespace) -> None:
    """Measure tasks that need nothing; always on SQLite, since what the database's own processes keep is not counted."""
    token = secrets.token_urlsafe(16)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory:
        homes = [Path(directory) / name for name in ("empty", "full", "waiting")]
        for home in homes:
            home.mkdir()
        empty, full, waiting = (store.Sqlite(home / "bench.db") for home in homes)
        await rest.fill(empty, token, 1)  # so that neither server makes tables while it starts
        async with stand.our_stand(homes[0], chosen.server, empty, token) as one:
            without = await rest.started(one)
        _note(f"{rest.FINISHED} finished tasks")
        names = await rest.fill(full, token, rest.FINISHED)
        async with stand.our_stand(homes[1], chosen.server, full, token) as one:
            more = await rest.started(one) - without
            outcome = await rest.look(one, names)
        outcome.figures["rss_mb"] = more / 2**20
        results.add("ours", "finished", outcome)
        _note(f"{rest.WAITING} tasks that wait")
        async with stand.our_stand(homes[2], chosen.server, waiting, token) as one:
            await measure.warm_up(one)
            results.add("ours", "waiting", await rest.wait(one))


async def _take(results: report.Results, stands: Sequence[stand.Stand], measures: dict[str, _Measure]) -> None:
    for name, take in measures.items():
        for one in stands:
            if one.store is None and name.startswith("written"):
                continue  # the relay keeps nothing
            gc.collect()
            try:
                async with asyncio.timeout(_PATIENCE):
                    results.add(one.target.name, name, await take(one))
            except (OSError, TimeoutError, Broken) as error:
                results.fail(one.target.name, name, error)


@contextlib.asynccontextmanager
async def _stands(chosen: argparse.Namespace) -> AsyncIterator[list[stand.Stand]]:
    async with contextlib.AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        stands = [await stack.enter_async_context(stand.relay_stand(home))]
        if not chosen.relay_only:
            kept = stack.enter_context(store.opened(chosen.store, home))
            stands.append(await stack.enter_async_context(stand.our_stand(home, chosen.server, kept)))
        for one in stands:
            await measure.warm_up(one)
        yield stands


async def _bounded(chosen: argparse.Namespace) -> report.Results:
    """Run within the time limit; SIGTERM and Ctrl-C cancel, so that everything started is ended."""
    job = asyncio.ensure_future(bench(chosen))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, job.cancel)
    async with asyncio.timeout(chosen.limit):
        return await job


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "ops/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of A B; medians are shown (default: 5)")
    parser.add_argument("--only", type=_parts, default=_PARTS, help=f"some of {','.join(_PARTS)}")
    parser.add_argument("--store", choices=store.KINDS, default="sqlite", help="what our server keeps tasks in")
    parser.add_argument("--relay-only", action="store_true", help="measure the relay alone")
    parser.add_argument(
        "--server", type=shlex.split, default=stand.DEFAULT_SERVER, help="the command which starts our server"
    )
    parser.add_argument("--limit", type=float, default=300, help="seconds after which to give up (default: 300)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures of all rounds there")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    return parser.parse_args()


def _parts(said: str) -> tuple[str, ...]:
    parts = tuple(said.split(","))
    if unknown := set(parts) - set(_PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return parts


def _write(path: Path, results: report.Results, judged: Sequence[report.Line]) -> None:
    verdicts = {line.label: line.passed for line in judged if line.passed is not None}
    path.write_text(json.dumps({**asdict(results), "verdicts": verdicts}, indent=2, default=str) + "\n")


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run, print the table, and return the exit status."""
    chosen = _options()
    # 500 streams are 500 sockets at each of the three ends.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    # Collections at a moment of their own choosing would show up as somebody's latency.
    gc.disable()
    try:
        results = asyncio.run(_bounded(chosen))
    except asyncio.CancelledError:
        return 130
    except (Broken, stand.NotReady, TimeoutError, OSError) as error:
        _note(f"could not measure: {error}" if str(error) else f"no end within {chosen.limit:g} s")
        return 2

    judged = list(report.lines(results, relay_only=chosen.relay_only, store=chosen.store))
    print(report.table(judged))
    for complaint in results.complaints[:10]:
        _note(complaint)
    if chosen.json:
        _write(chosen.json, results, judged)

    return int(chosen.check and any(line.passed is False for line in judged))


if __name__ == "__main__":
    sys.exit(main())
