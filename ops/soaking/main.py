"""
Run the service for some time in front of an OpenCode full of faults, with many clients that cut and resume.

    ops/soak --minutes 1
    ops/soak --minutes 10 --store postgres --replicas 3    one of them is killed every 10 seconds
    ops/soak --minutes 5 --kill 20                         the service is killed every 20 seconds

Prints one line of JSON. Exits with 1 if anything was lost or told twice, a task never ended, a stream ended without a
word, something was refused for another reason than that it could not be done now, or the service grew.

What OpenCode worked on when it was restarted may fail, if the task says that; nothing else is explained away.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from attrs import define, field

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, from anywhere

from ops.soaking.clients import Clients
from ops.soaking.services import served
from ops.soaking.upstream import Upstream
from tests.e2e.service import RunningService

_FAULTS = ("lost", "duplicated", "never_ended", "ended_without_a_word", "refused")
_MEBI = 1024 * 1024
_GROWTH = 1.5
"""What the service may use at the end, in times of what it used after the first third."""
_GROWTH_MB = 48
"""Growth that is none: caches and what a busy moment leaves."""


async def soak(chosen: argparse.Namespace) -> dict[str, Any]:
    """Soak; gives the figures."""
    chance = random.Random(chosen.seed)  # noqa: S311 - it need not be hard to guess
    upstream = Upstream(chance)
    async with (
        upstream.running(),
        served(upstream, chosen.store, chosen.replicas, {"A2A_DRAIN_SECONDS": "1"}) as services,
    ):
        began = time.monotonic()
        end = began + chosen.minutes * 60
        clients = Clients(services, upstream, chance)
        killing = asyncio.ensure_future(Killer(clients, chosen.kill)(end))
        playing = asyncio.gather(*(clients.play(end) for _ in range(chosen.clients)))
        await asyncio.sleep((end - began) / 3)
        early = _used(services)
        await asyncio.sleep(max(end - time.monotonic(), 0))
        await killing
        late = _used(services)
        await playing
        await clients.count_up()
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
        "answers": dict(sorted(clients.answers.items())),
        "seed": chosen.seed,
    }
    figures["grew"] = not chosen.kill and late > early * _GROWTH and late - early > _GROWTH_MB
    figures["ok"] = bool(figures["tasks"]) and not figures["grew"] and not any(figures[name] for name in _FAULTS)
    return figures


@define(eq=False)
class Killer:
    """
    Kills one of the services again and again, by the clock: how long one takes to start holds up nothing.

    One that serves is killed rather than one that starts.
    """

    clients: Clients
    every: float
    _starting: dict[RunningService, asyncio.Future[None]] = field(factory=dict)

    async def __call__(self, until: float) -> None:
        """Kill until some moment, so that tasks come to their ends."""
        due = time.monotonic() + self.every
        while self.every and due < until:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            due += self.every
            self._kill()
        await asyncio.gather(*self._starting.values())

    def _kill(self) -> None:
        services = self.clients.services
        up = [service for service in services if service not in self._starting]
        victim = self.clients.chance.choice(up or services)
        self.clients.counts["kills"] += 1
        victim.kill()
        if victim in up:
            starting = asyncio.ensure_future(asyncio.to_thread(_start, victim))
            self._starting[victim] = starting
            starting.add_done_callback(lambda _: self._starting.pop(victim))


def _start(service: RunningService) -> None:
    """Start it, again if it is killed meanwhile."""
    while True:
        try:
            service.start()
        except AssertionError:
            if not service.was_killed:
                raise
        else:
            return


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
