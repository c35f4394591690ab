"""What is seen of the services themselves in a soak: their memory, what they log, and what is left when all is over."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
from attrs import define, field, frozen

from tests.e2e.service import RunningService

_MEBI = 1024 * 1024
_LOOK_SECONDS = 1.0
_WINDOW = 1 / 6
"""Of the whole time, over which what was seen is taken together: a single look is chance."""
_GAUGES = ("turns_active", "streams_active", "interrupts_waiting", "journal_backlog_bytes")
_LEFT_SECONDS = 30.0
"""For what has ended to be let go of."""
_BAD = frozenset({"error", "critical"})
_PYTHON = "py.warnings"
"""Who warns of what a program does wrong."""
_EXPECTED = "not ready: OpenCode"
"""What is logged as an error, and is the upstream's, not the service's."""


@frozen
class _Look:
    at: float
    service: int
    pid: int
    rss: int
    tasks: int


@define(eq=False)
class Memory:
    """
    How much the services use, looked at each second; a job is `watch`.

    Only lives of a service as long as a window are judged, each from where it had warmed up.
    """

    services: Sequence[RunningService]
    tasks: Callable[[], int]
    """How many tasks there were so far."""
    _looks: list[_Look] = field(factory=list, init=False)

    async def watch(self) -> None:
        """Look, until cancelled."""
        while True:
            now, tasks = time.monotonic(), self.tasks()
            for number, service in enumerate(self.services):
                with suppress(psutil.Error):
                    tree = psutil.Process(service.pid)
                    rss = sum(one.memory_info().rss for one in [tree, *tree.children(recursive=True)])
                    self._looks.append(_Look(now, number, service.pid, rss, tasks))
            await asyncio.sleep(_LOOK_SECONDS)

    def at(self, began: float, seconds: float, share: float) -> list[int]:
        """Give what each service used about then, in MiB: `share` of the whole time."""
        middle, half = began + share * seconds, _WINDOW * seconds / 2
        seen = [[look.rss for look in self._looks if self._is(look, number, middle, half)] for number in self._numbers]
        return [round(statistics.median(one) / _MEBI) if one else 0 for one in seen]

    def tasks_at(self, began: float, seconds: float, share: float) -> int:
        """Say how many tasks there had been by then."""
        return max((look.tasks for look in self._looks if look.at <= began + share * seconds), default=0)

    @property
    def _numbers(self) -> range:
        return range(len(self.services))

    @staticmethod
    def _is(look: _Look, number: int, middle: float, half: float) -> bool:
        return look.service == number and abs(look.at - middle) <= half


def complaints_of(services: Sequence[RunningService]) -> Counter[str]:
    """Count what the services log as errors, and what is none of their own log's lines (a traceback, a warning)."""
    found: Counter[str] = Counter()
    for service in services:
        for line in _lines(service):
            try:
                told = json.loads(line)
            except ValueError:
                found[line[:300]] += 1
                continue
            bad = told.get("level") in _BAD or told.get("logger") == _PYTHON
            if bad and not told["event"].startswith(_EXPECTED):
                found[f"{told.get('event')} {told.get('exception', '')[-1200:]}".strip()] += 1
    return found


def _lines(service: RunningService) -> Iterator[str]:
    with suppress(FileNotFoundError):
        yield from (line for line in (service.root / "service.log").read_text(errors="replace").splitlines() if line)


async def left_in(services: Sequence[RunningService]) -> dict[str, float]:
    """Give what services still have to do although all tasks have ended and all clients are gone; soon it is nothing."""
    give_up = time.monotonic() + _LEFT_SECONDS
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        while True:
            left = {}
            for number, service in enumerate(services):
                left |= {f"{name} of {number}": much for name, much in (await _gauges(http, service)).items() if much}
            if not left or time.monotonic() > give_up:
                return left
            await asyncio.sleep(_LOOK_SECONDS)


async def _gauges(http: httpx.AsyncClient, service: RunningService) -> dict[str, float]:
    answer = await http.get(f"http://127.0.0.1:{service.settings['A2A_ADMIN_PORT']}/metrics")
    told = (line.rpartition(" ") for line in answer.raise_for_status().text.splitlines())
    shown = {name.removeprefix("opencode_a2a_"): much for name, _, much in told}
    return {name: float(shown[name]) for name in _GAUGES}


def keep_logs(services: Sequence[RunningService], folder: Path) -> None:
    """Copy what the services logged."""
    for number, service in enumerate(services):
        (folder / f"service-{number}.log").write_text("\n".join(_lines(service)))
