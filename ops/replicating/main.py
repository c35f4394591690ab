"""
Measure replicas over HTTP: three processes of the service on one PostgreSQL, in front of a fake OpenCode.

    ops/replicas                             all measures
    ops/replicas --only latency,kill
    ops/replicas --check                     exit with 1 when a target is missed

latency  from a word on OpenCode's feed to clients at the replica that runs the turn, and to clients at another one
restart  all replicas are restarted one after the other, in order, while texts are being told: how long was any client
         without a word
kill     a replica is killed: how long until the texts of its turns go on elsewhere

Prints one line of JSON. Exits with 1 also when a text was not read whole, each word once.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, from anywhere

from ops.replicating.model import Model
from ops.replicating.readers import Reader
from ops.soaking.services import served
from ops.soaking.upstream import Upstream
from tests.e2e.service import RunningService

_REPLICAS = 3
_ENDLESS = 600
"""Seconds that a text lasts at its pace, unless it is hurried: no measure takes so long."""
_TARGETS = {"latency_other_p99_ms": 100.0, "restart_silence_worst_ms": 1000.0, "kill_worst_ms": 10_000.0}
_SETTINGS = {"A2A_DRAIN_SECONDS": "1"}
_WARM = 3.0
"""Seconds for all to be at work before anything is measured."""
_CALM = 3.0
"""Seconds between two restarts."""


class Incomplete(Exception):
    """A text was not read whole, or not once."""


@asynccontextmanager
async def _street(chosen: argparse.Namespace, seconds: float) -> AsyncIterator[tuple[Model, list[RunningService], Any]]:
    """Give a model whose texts last for so long, services, and how clients call."""
    upstream = Upstream(random.Random(chosen.seed), disturbed=False)  # noqa: S311 - nothing is left to chance
    model = Model(upstream.fake, 1 / chosen.rate)
    for _ in range(chosen.streams):
        model.prepare(round(seconds * chosen.rate))
    limits = httpx.Limits(max_connections=None)
    async with (
        upstream.running(),
        served(upstream, "postgres", _REPLICAS, _SETTINGS) as services,
        httpx.AsyncClient(timeout=httpx.Timeout(60, connect=5), limits=limits, trust_env=False) as http,
    ):
        yield model, services, http


def _begin(model: Model, services: Sequence[RunningService], http: httpx.AsyncClient) -> list[Reader]:
    """Give a reader for each text, at each of the services in turn; the others are where it goes on."""
    readers = []
    for number in range(len(model.texts)):
        first = number % len(services)
        readers.append(Reader([*services[first:], *services[:first]], http, f"measure {number}."))
    return readers


async def _begun(readers: Sequence[Reader]) -> list[asyncio.Future[None]]:
    reading = [asyncio.ensure_future(reader()) for reader in readers]
    await _until(lambda: all(reader.moments for reader in readers))
    await asyncio.sleep(_WARM)
    return reading


async def _until(come_true: Callable[[], bool]) -> None:
    """Wait for what readers are to hear."""
    async with asyncio.timeout(60):
        while not come_true():  # noqa: ASYNC110 - there is no event: it is what they heard that is looked at
            await asyncio.sleep(0.05)


def _check(readers: Sequence[Reader], texts: Sequence[str]) -> None:
    for reader, text in zip(readers, texts, strict=True):
        if reader.text != text or not reader.whole:
            raise Incomplete(f"{reader.task}: {reader.text[-200:]!r} instead of {text[-200:]!r}")


async def latency(chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure how late clients hear a word."""
    async with _street(chosen, chosen.seconds) as (model, services, http):
        owners = [Reader(services[:1], http, f"measure {number}.") for number in range(len(model.texts))]
        reading = await _begun(owners)
        others = [Reader(services[1:2], http, task=reader.task) for reader in owners]
        reading += [asyncio.ensure_future(reader()) for reader in others]
        await asyncio.gather(*reading)
        _check([*owners, *others], model.texts * 2)
        here, there = ([late for reader in some for late in _late(model, reader)] for some in (owners, others))
        return {**_spread("latency_owner", here), **_spread("latency_other", there)}


def _late(model: Model, reader: Reader) -> list[float]:
    """Give the latencies of words, without those that were said before it was calm."""
    began = min(reader.heard.values()) + _WARM / 2
    return [heard - model.said[word] for word, heard in reader.heard.items() if heard > began]


async def restart(chosen: argparse.Namespace) -> dict[str, Any]:
    """Restart all, one after the other, while texts are told."""
    async with _street(chosen, _ENDLESS) as (model, services, http):
        readers = _begin(model, services, http)
        reading = await _begun(readers)
        took = []
        for service in services:
            began = time.monotonic()
            await asyncio.to_thread(service.terminate)
            took.append(time.monotonic() - began)
            await asyncio.to_thread(service.start)
            await asyncio.sleep(_CALM)
        silences = [reader.longest_silence() for reader in readers]
        model.hurry()
        await asyncio.gather(*reading)
        _check(readers, model.texts)
        return {**_spread("restart_silence", silences), "restart_ending_s": [round(one, 1) for one in took]}


async def kill(chosen: argparse.Namespace) -> dict[str, Any]:
    """Kill one, and wait until its texts go on."""
    async with _street(chosen, _ENDLESS) as (model, services, http):
        victim, *rest = services
        readers = [Reader([victim, *rest], http, f"measure {number}.") for number in range(len(model.texts))]
        reading = await _begun(readers)
        killed = time.monotonic()
        await asyncio.to_thread(victim.kill)
        dead = time.monotonic()
        await _until(lambda: all(reader.moments[-1] > dead + 1 for reader in readers))
        times = [reader.first_after(dead + 1) + dead + 1 - killed for reader in readers]
        silences = [reader.longest_silence() for reader in readers]
        model.hurry()
        await asyncio.gather(*reading)
        _check(readers, model.texts)
        return {**_spread("kill", times), **_spread("kill_silence", silences)}


_MEASURES: dict[str, Callable[[argparse.Namespace], Awaitable[dict[str, Any]]]] = {
    "latency": latency,
    "restart": restart,
    "kill": kill,
}


def _spread(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Say how times spread, in milliseconds."""
    sorted_ = sorted(one * 1000 for one in seconds)
    p99 = sorted_[min(int(len(sorted_) * 0.99), len(sorted_) - 1)]
    spread = {"median": statistics.median(sorted_), "p99": p99, "worst": sorted_[-1]}
    return {f"{name}_{what}_ms": round(one, 1) for what, one in spread.items()}


async def _measure(chosen: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {"streams": chosen.streams, "words_a_second": chosen.rate}
    for name in chosen.only:
        figures |= await _MEASURES[name](chosen)
    return figures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "ops/replicas", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=_names, default=tuple(_MEASURES), help=f"some of {','.join(_MEASURES)}")
    parser.add_argument("--streams", type=int, default=12, help="texts at a time (default: 12)")
    parser.add_argument("--rate", type=float, default=10.0, help="words a second of each (default: 10)")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which latency is measured (default: 20)")
    parser.add_argument("--seed", type=int, default=20, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    return parser.parse_args()


def _names(said: str) -> tuple[str, ...]:
    names = tuple(said.split(","))
    if unknown := set(names) - set(_MEASURES):
        raise argparse.ArgumentTypeError(f"no such measure: {', '.join(sorted(unknown))}")
    return names


def main() -> int:
    """Run, print the figures, and return the exit status."""
    chosen = _options()
    try:
        figures = asyncio.run(_measure(chosen))
    except Incomplete as error:
        print(f"not whole: {error}", file=sys.stderr)
        return 1
    missed = {name: target for name, target in _TARGETS.items() if figures.get(name, 0) > target}
    print(json.dumps(figures | {"missed": missed}))
    return 1 if chosen.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
