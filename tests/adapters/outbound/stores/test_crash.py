"""The process may end at any moment."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.domain.ids import Seq, TaskId
from opencode_a2a_server.domain.updates import Entry, TextAppended
from tests.adapters.outbound.stores import writes_for_ever
from tests.fakes.clock import TurnedClock
from tests.fakes.stores import Stores

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("tasks", "lines"), [(1, 1), (1, 7), (1, 20), (3, 1), (3, 50), (3, 300)])
async def test_a_killed_writer_leaves_all_that_was_durable_and_no_hole(tmp_path: Path, tasks: int, lines: int) -> None:
    stores = Stores(TurnedClock(), "sqlite", tmp_path)
    durable = await _kill_in_mid_write(f"sqlite+aiosqlite:///{stores.path}", tasks, lines)

    async with stores.live() as life:
        for number in range(1, tasks + 1):
            await _see(await life.journal.open(TaskId(f"task-{number}")), durable)


async def _see(log: TaskLog, durable: int) -> None:
    """See that all of it is there, and that it goes on."""
    reader, entries = log.read(Seq(0)), list[Entry]()
    while reader.position < log.task.seq:
        entries += await reader.next()

    told = [entry.update.text for entry in entries if isinstance(entry.update, TextAppended)]
    assert log.task.seq >= durable
    assert [entry.seq for entry in entries] == list(range(1, log.task.seq + 1))
    assert told == [f"<{seq}>" for seq in range(3, log.task.seq + 1)]
    assert (log.task.seq - 2) % 7 == 0  # what was appended together came together
    log.append([TextAppended(writes_for_ever.TEXT, "and on")])
    await log.durable()


async def _kill_in_mid_write(url: str, tasks: int, lines: int) -> int:
    """Let another process write until it has said so many times that it did; what it said last was durable."""
    writing = await asyncio.create_subprocess_exec(
        sys.executable, writes_for_ever.__file__, url, str(tasks), stdout=asyncio.subprocess.PIPE
    )
    assert writing.stdout is not None
    for _ in range(lines):
        durable = int(await writing.stdout.readline())
    writing.kill()
    await writing.wait()
    return durable
