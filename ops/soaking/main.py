"""
Run the service for some time in front of an OpenCode full of faults, with many clients that cut and resume.

    ops/soak --minutes 1
    ops/soak --minutes 10 --store postgres --replicas 3    one of them is killed every 10 seconds
    ops/soak --minutes 5 --kill 20                         the service is killed every 20 seconds

Prints one line of JSON. Exits with 1 if anything was lost or told twice, a task never ended, a stream ended without a
word, something was refused for another reason than that it could not be done now, a service logged an error, had something
left to do when all had ended, or grew although it was never killed.

What OpenCode worked on when it was restarted may fail, if the task says that; and a task that was canceled although
OpenCode did not take the abort need not have what it said afterwards. Nothing else is explained away.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from attrs import define, field

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, from anywhere

from ops.soaking.clients import Clients
from ops.soaking.services import served
from ops.soaking.upstream import Upstream
from ops.soaking.witness import Memory, complaints_of, keep_logs, left_in
from tests.e2e.service import RunningService

_FAULTS = ("lost", "duplicated", "never_ended", "ended_without_a_word", "refused", "logged", "left")
_COUNTS = ("tasks", "completed", "failed", "canceled", "forced", "slow", "cuts", "kills")
_SETTINGS = {"A2A_DRAIN_SECONDS": "1", "A2A_LOG_FORMAT": "json"}
_EARLY, _MIDDLE, _LATE = 1 / 3, 1 / 2, 11 / 12
"""When memory is looked at, in shares of the whole time."""
_GROWTH = 1.05
"""What a service may use at last, in times of what it used after the first third."""
_GROWTH_MB = 12
"""Growth that is none, and not without the other: caches. From chance it differs by 1 MiB."""


async def soak(chosen: argparse.Namespace) -> dict[str, Any]:
    """Soak; gives the figures."""
    chance = random.Random(chosen.seed)  # noqa: S311 - it need not be hard to guess
    upstream = Upstream(chance, words=chosen.words)
    async with upstream.running(), served(upstream, chosen.store, chosen.replicas, _SETTINGS) as services:
        clients = Clients(services, upstream, chance)
        memory = Memory(services, lambda: clients.counts["tasks"])
        watching = asyncio.ensure_future(memory.watch())
        began, seconds = time.monotonic(), chosen.minutes * 60
        end = began + seconds
        killing = asyncio.ensure_future(Killer(clients, chosen.kill)(end))
        playing = asyncio.gather(*(clients.play(end) for _ in range(chosen.clients)))
        await asyncio.sleep(seconds)
        await killing
        watching.cancel()
        await playing
        played = time.monotonic() - end
        await clients.count_up()
        counted = time.monotonic() - end
        for what, much in (await left_in(services)).items():
            clients.complain("left", f"{much:g} {what}")
        for line, times in complaints_of(services).items():
            clients.complain("logged", f"{times} times: {line}")
        if chosen.keep is not None:
            _keep(chosen.keep, clients, services)
    for complaint in clients.complaints[:20]:
        print(complaint[:1500], file=sys.stderr)
    shares = {"early": _EARLY, "middle": _MIDDLE, "late": _LATE}
    used = {name: memory.at(began, seconds, share) for name, share in shares.items()}
    figures: dict[str, Any] = {"minutes": chosen.minutes, "store": chosen.store, "replicas": chosen.replicas}
    figures |= {name: clients.counts[name] for name in (*_COUNTS, *_FAULTS)}
    figures |= {
        "faults": sum(upstream.faults.values()),
        "rss_mb": used,
        "rss_at_tasks": {name: memory.tasks_at(began, seconds, share) for name, share in shares.items()},
        "seconds_median": round(statistics.median(clients.seconds), 1) if clients.seconds else 0,
        "seconds_worst": round(max(clients.seconds, default=0), 1),
        "last_client_after_seconds": round(played),
        "last_task_after_seconds": round(counted),
        "answers": dict(sorted(clients.answers.items())),
        "seed": chosen.seed,
    }
    figures["grew"] = not chosen.kill and any(map(_grew, used["early"], used["late"]))
    figures["ok"] = bool(figures["tasks"]) and not figures["grew"] and not any(figures[name] for name in _FAULTS)
    return figures


def _grew(early: int, late: int) -> bool:
    return late > early * _GROWTH and late - early > _GROWTH_MB


def _keep(folder: Path, clients: Clients, services: list[RunningService]) -> None:
    """Write down what says how a fault came to be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evidence.json").write_text(json.dumps(clients.evidence, indent=1))
    keep_logs(services, folder)


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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "ops/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, required=True, help="how long tasks are begun")
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--replicas", type=int, default=1, help="services on one store; more than one need postgres")
    parser.add_argument("--clients", type=int, default=12, help="clients at a time (default: 12)")
    parser.add_argument("--words", type=float, default=200, help="words a second of each text (default: 200)")
    parser.add_argument("--kill", type=float, help="seconds between two kills (default: 10 with replicas, else none)")
    parser.add_argument("--seed", type=int, default=20, help="of what is left to chance (default: 20)")
    parser.add_argument("--keep", type=Path, help="folder for the services' logs and for what is known of each fault")
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
