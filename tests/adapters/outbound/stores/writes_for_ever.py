"""A program that journals one text until it is killed, and says how far it is durable."""

from __future__ import annotations

import asyncio
import sys

from opencode_a2a_server.adapters.outbound.stores.opening import open_stores
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, Seq, TaskId
from opencode_a2a_server.domain.message import Message, Role
from opencode_a2a_server.domain.updates import ArtifactTold, BlockKind, TaskSubmitted, TextAppended

TEXT = ArtifactId("prt_1")


async def main(url: str, tasks: int) -> None:
    """Write `<3><4><5>...` into each task: a piece of text is its update's number."""
    submitted = TaskSubmitted(ContextId("context"), Principal("alice"), Message(MessageId("m-1"), Role.USER, ()))
    async with open_stores(url, SystemClock()) as stores:
        logs = [await stores.journal.create(TaskId(f"task-{number}"), submitted) for number in range(1, tasks + 1)]
        for log in logs:
            log.append([ArtifactTold(TEXT, BlockKind.TEXT, ())])
        rounds, behind = (50, 100) if tasks == 1 else (1, 7)  # those of several tasks are to be little pieces
        while True:
            for log in logs * rounds:
                first = log.task.seq + 1
                log.append([TextAppended(TEXT, f"<{seq}>") for seq in range(first, first + 7)])
            for log in logs:
                await log.durable(Seq(log.task.seq - behind))
            sys.stdout.write(f"{logs[0].task.seq - behind}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
