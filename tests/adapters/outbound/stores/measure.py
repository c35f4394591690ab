"""
What the stores cost: `python -m tests.adapters.outbound.stores.measure`.

CPU time of the whole process, all threads, in microseconds; the median of some rounds. No test: it asserts nothing.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from opencode_a2a_server.adapters.outbound.stores.opening import open_stores
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.ports.journal import Journal, Reader, TaskLog
from opencode_a2a_server.domain.ids import (
    ArtifactId,
    ContextId,
    MessageId,
    Principal,
    Seq,
    SessionId,
    TaskId,
)
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import (
    ArtifactTold,
    BlockKind,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
)

TEXT = ArtifactId("prt_0123456789abcdefghijklmno")
WORDS = TextAppended(TEXT, "word " * 8)
TOTAL = 2_000
NUMBERS = count()


async def begin(journal: Journal) -> TaskLog:
    message = Message(MessageId("m-1"), Role.USER, (TextPart("Say something."),))
    log = await journal.create(
        TaskId(f"task-{next(NUMBERS)}"), TaskSubmitted(ContextId("context"), Principal("alice"), message)
    )
    log.append([TurnStarted(Session(SessionId("ses_1"), Directory("/work")), MessageId("msg_1"))])
    log.append([ArtifactTold(TEXT, BlockKind.TEXT, ())])
    await log.durable()
    return log


async def read_upto(reader: Reader, seq: Seq) -> None:
    while reader.position < seq:
        await reader.next()


async def bursts(journal: Journal, burst: int, *, together: bool, readers: int = 1) -> float:
    """Append so many at a time, each burst durable before the next, with readers who follow."""
    log = await begin(journal)
    end = Seq(log.task.seq + TOTAL)
    reading = [asyncio.ensure_future(read_upto(log.read(log.task.seq), end)) for _ in range(readers)]
    await asyncio.sleep(0)
    began = time.process_time()
    for _ in range(TOTAL // burst):
        if together:
            log.append([WORDS] * burst)
        else:
            for _ in range(burst):
                log.append((WORDS,))
        await log.durable()
    await asyncio.gather(*reading)
    return (time.process_time() - began) / TOTAL


async def idle(journal: Journal) -> float:
    """Let 500 readers wait in vain."""
    log = await begin(journal)
    began = time.process_time()
    await asyncio.gather(*(log.read(log.task.seq).next(0.2) for _ in range(500)))
    return (time.process_time() - began) / 500


async def replay(journal: Journal) -> float:
    """Read a long task from its storage."""
    log = await begin(journal)
    await log.durable(log.append([WORDS] * 20_000))
    await log.durable(log.append([WORDS]))
    began = time.process_time()
    await read_upto(log.read(Seq(0)), log.task.seq)
    return (time.process_time() - began) / 20_000


async def open_ended(journal: Journal) -> float:
    """Open a task that has ended and which nobody holds."""
    log = await begin(journal)
    log.append([WORDS] * TOTAL)
    await log.durable(log.append([StatusChanged(TaskState.COMPLETED)]))
    task_id = log.task.id
    del log
    gc.collect()
    began = time.process_time()
    await journal.open(task_id)
    return time.process_time() - began


async def create(journal: Journal) -> float:
    """Begin a task and its first turn, durable."""
    began = time.process_time()
    await begin(journal)
    return time.process_time() - began


async def measure(kind: str, journal: Journal) -> None:
    async def show(what: str, run: Callable[[], Coroutine[Any, Any, float]], rounds: int = 5) -> None:
        took = statistics.median([await run() for _ in range(rounds)])
        sys.stdout.write(f"{kind:7} {what:60} {took * 1e6:9.2f} us\n")

    await begin(journal)
    for burst in (2000, 500, 100, 10, 1):
        for together, how in ((True, "in one append"), (False, "one by one")):

            def run(burst: int = burst, together: bool = together) -> Coroutine[Any, Any, float]:  # noqa: FBT001
                return bursts(journal, burst, together=together)

            await show(f"an update, {burst} a commit, {how}, 1 reader", run)
    await show("an update, 100 a commit, 50 readers", lambda: bursts(journal, 100, together=True, readers=50))
    await show("a reader whose patience ends", lambda: idle(journal))
    await show("an entry read from the storage", lambda: replay(journal))
    await show(f"a task of {TOTAL} updates opened after its end", lambda: open_ended(journal))
    await show("a task and its first turn, durable", lambda: create(journal), 200)


async def main() -> None:
    async with open_stores(None, SystemClock()) as stores:
        await measure("memory", stores.journal)
    with tempfile.TemporaryDirectory() as directory:
        async with open_stores(f"sqlite+aiosqlite:///{directory}/tasks.db", SystemClock()) as stores:
            await measure("sqlite", stores.journal)


if __name__ == "__main__":
    asyncio.run(main())
