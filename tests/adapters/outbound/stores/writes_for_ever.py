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


async def main(url: str) -> None:
    """Write `<3><4><5>...`: each piece of text is its update's number."""
    submitted = TaskSubmitted(ContextId("context"), Principal("alice"), Message(MessageId("m-1"), Role.USER, ()))
    async with open_stores(url, SystemClock()) as stores:
        log = await stores.journal.create(TaskId("task-1"), submitted)
        log.append([ArtifactTold(TEXT, BlockKind.TEXT, ())])
        while True:
            for _ in range(50):
                first = log.task.seq + 1
                log.append([TextAppended(TEXT, f"<{seq}>") for seq in range(first, first + 7)])
            await log.durable(Seq(log.task.seq - 100))
            sys.stdout.write(f"{log.task.seq - 100}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
