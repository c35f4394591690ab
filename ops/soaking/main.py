"""
Run the service for some time in front of an OpenCode full of faults, with many clients that cut and resume.

    ops/soak --minutes 1
    ops/soak --minutes 10 --store postgres --replicas 3    one of them is killed every 10 seconds
    ops/soak --minutes 5 --kill 20                         the service is killed every 20 seconds

Prints one line of JSON. Exits with 1 if anything was lost or told twice, a task never ended, a stream ended without a
word, or the service grew.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, from anywhere

from ops.soaking.clients import Clients
from ops.soaking.upstream import Upstream
from tests.e2e.service import RunningService

_FAULTS = ("lost", "duplicated", "never_ended", "ended_without_a_word")
_MEBI = 1024 * 1024
_GROWTH = 1.5
"""What the service may use at the end, in times of what it used after the first third."""
_GROWTH_MB = 48
"""Growth that is none: caches and what a busy moment leaves."""


async def soak(chosen: argparse.Namespace) -> dict[str, Any]:
    """Soak; gives the figures."""
    chance = random.Random(chosen.seed)  # noqa: S311 - it need not be hard to guess
    upstream = Upstream(chance)
    async with upstream.running(), _served(chosen, upstream) as services:
        began = time.monotonic()
        end = began + chosen.minutes * 60
        clients = Clients(services, upstream, chance)
        killing = asyncio.ensure_future(_kill(clients, chosen.kill, end))
        playing = asyncio.gather(*(clients.play(end) for _ in range(chosen.clients)))
        await asyncio.sleep((end - began) / 3)
        early = _used(services)
        await asyncio.sleep(max(end - time.monotonic(), 0))
        await killing
        late = _used(services)
        await playing
    for complaint in clients.complaints[:20]:
        print(complaint[:1500], file=sys.stderr)
    figures: dict[str, Any] = {"minutes": chosen.minutes, "store": chosen.store, "replicas": chosen.replicas}
    figures |= {
        name: clients.counts[name] for name in ("tasks", "completed", "failed", "canceled", "cuts", "kills", *_FAULTS)
    }
    figures |= {
        "faults": sum(upstream.faults.values()),
        "rss_mb_early": early,
        "rss_mb_late": late,
        "seed": chosen.seed,
    }
    figures["grew"] = not chosen.kill and late > early * _GROWTH and late - early > _GROWTH_MB
    figures["ok"] = bool(figures["tasks"]) and not figures["grew"] and not any(figures[name] for name in _FAULTS)
    return figures


@asynccontextmanager
async def _served(chosen: argparse.Namespace, upstream: Upstream) -> AsyncIterator[list[RunningService]]:
    """Run the services, on one store; in threads, since they ask the upstream while they start."""
    settings = {
        "OPENCODE_BASE_URL": f"http://127.0.0.1:{upstream.port}",
        "OPENCODE_DIRECTORY": upstream.fake.directory,
        "A2A_LOG_LEVEL": "WARNING",
        "A2A_DRAIN_SECONDS": "1",
    }
    stack = ExitStack()
    try:
        if chosen.store == "postgres":
            from tests.fakes.database import Database

            database = await asyncio.to_thread(stack.enter_context, Database())
            settings["A2A_TASK_STORE_DATABASE_URL"] = database.url
        services = [RunningService(settings) for _ in range(chosen.replicas)]
        for service in services:
            service.token = services[0].token
        for service in services:
            await asyncio.to_thread(stack.enter_context, service)
        yield services
    finally:
        await asyncio.to_thread(stack.close)


async def _kill(clients: Clients, every: float, until: float) -> None:
    """Kill one of them again and again, and start it anew; until some moment, so that tasks come to their ends."""
    while every and time.monotonic() + every < until:
        await asyncio.sleep(every)
        clients.counts["kills"] += 1
        await asyncio.to_thread(_restart, clients.chance.choice(clients.services))


def _restart(service: RunningService) -> None:
    service.kill()
    service.start()


def _used(services: list[RunningService]) -> int:
    """Give the resident memory of the services, in MiB."""
    used = 0
    for service in services:
        with suppress(psutil.NoSuchProcess):
            tree = psutil.Process(service.pid)
            used += sum(one.memory_info().rss for one in [tree, *tree.children(recursive=True)])
    return used // _MEBI


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "ops/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, required=True, help="how long tasks are begun")
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--replicas", type=int, default=1, help="services on one store; more than one need postgres")
    parser.add_argument("--clients", type=int, default=12, help="clients at a time (default: 12)")
    parser.add_argument("--kill", type=float, help="seconds between two kills (default: 10 with replicas, else none)")
    parser.add_argument("--seed", type=int, default=20, help="of what is left to chance (default: 20)")
    chosen = parser.parse_args()
    if chosen.replicas > 1 and chosen.store != "postgres":
        parser.error(f"{chosen.replicas} replicas cannot share a SQLite file: add --store postgres")
    if chosen.kill is None:
        chosen.kill = 10.0 if chosen.replicas > 1 else 0.0
    return chosen


def main() -> int:
    """Run, print the figures, and return the exit status."""
    figures = asyncio.run(soak(_options()))
    print(json.dumps(figures))
    return 0 if figures["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
