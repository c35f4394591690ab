"""
Measure how much later a reader on another replica has an update than it was appended.

`python -m tests.adapters.outbound.stores.measure_replicas [updates]`; no test: it asserts nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from tests.adapters.outbound.stores.test_replicas import TASK, begin, words
from tests.fakes.sharing import Sharing


async def measure(count: int) -> list[float]:
    """Append updates one by one, 10 ms apart, and give how many milliseconds each took to the other replica's reader."""
    late: list[float] = []
    async with Sharing.opened() as sharing:
        one, other = await sharing.join(), await sharing.join()
        log = await begin(one)
        reader = (await other.journal.open(TASK)).read(log.task.seq)
        for number in range(count):
            began = time.perf_counter()
            log.append(words(f" {number}"))
            await reader.next()
            late.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.01)
    return sorted(late)


def main() -> None:
    """Print it."""
    late = asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
    p99, worst = late[int(len(late) * 0.99)], late[-1]
    print(f"{len(late)} updates: median {statistics.median(late):.1f} ms, p99 {p99:.1f} ms, worst {worst:.1f} ms")  # noqa: T201


if __name__ == "__main__":
    main()
