"""What tasks cost while nothing happens: those which have ended, and those which wait for somebody."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from opencode_a2a_server.adapters.outbound.stores.opening import open_stores
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.domain.ids import ArtifactId, ContextId, MessageId, Principal, SessionId, TaskId
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
    Update,
)
from ops.benchmark.load import A2A, Broken, Wire
from ops.benchmark.measure import Outcome, percentile
from ops.benchmark.script import Script
from ops.benchmark.stand import Stand
from ops.benchmark.store import Store

FINISHED: Final = 100_000
WAITING: Final = 2_000
_AT_ONCE: Final = 500
_LOOKED_AT: Final = 2_000
_SETTLE: Final = 2.0
_PATIENCE: Final = 120.0
_ASKING: Final = Script(ask=True)


async def fill(store: Store, token: str, tasks: int) -> list[str]:
    """Have a store hold tasks that have ended, as the service itself writes them; gives their ids."""
    principal = Principal(f"bearer:{hashlib.sha256(token.encode()).hexdigest()[:12]}")
    names = [str(uuid.uuid4()) for _ in range(tasks)]
    async with open_stores(store.url, SystemClock()) as stores:
        for start in range(0, tasks, _AT_ONCE):
            logs = [await _ended(stores.journal, principal, TaskId(name)) for name in names[start : start + _AT_ONCE]]
            await asyncio.gather(*(log.durable() for log in logs))

    return names


async def _ended(journal: Any, principal: Principal, name: TaskId) -> TaskLog:
    message = Message(MessageId(str(uuid.uuid4())), Role.USER, (TextPart("What does this program do?"),))
    log: TaskLog = await journal.create(name, TaskSubmitted(ContextId(str(uuid.uuid4())), principal, message))
    artifact = ArtifactId(f"{name}:1")
    told: list[Update] = [
        TurnStarted(Session(SessionId(f"ses_{name[:18]}"), Directory("/work")), MessageId(f"msg_{name[:18]}")),
        ArtifactTold(artifact, BlockKind.TEXT, (TextPart("It reads "),)),
        TextAppended(artifact, "a file and counts its lines, " * 10),
        TextAppended(artifact, "then prints the sum.", last=True),
        StatusChanged(TaskState.COMPLETED),
    ]
    log.append(told)
    return log


async def started(stand: Stand) -> int:
    """Give the memory of a server that has just begun to serve and has been asked for one thing of each kind."""
    await _ask(stand, "ListTasks", {"pageSize": 1})
    await asyncio.sleep(_SETTLE)
    return stand.rss()


async def look(stand: Stand, names: Sequence[str]) -> Outcome:
    """Ask for finished tasks, one after the other, all over the store."""
    times: list[float] = []
    outcome = Outcome()
    step = max(1, len(names) // _LOOKED_AT)
    wire = await Wire.connect(stand.target.port)
    for name in names[::step]:
        began = time.monotonic()
        reply = await wire.ask(_target(stand).call("GetTask", {"id": name}))
        times.append((time.monotonic() - began) * 1e3)
        task = msgspec.json.decode(reply.body()).get("result", {})
        outcome.texts += 1
        outcome.exact += task.get("id") == name and task["status"]["state"] == "TASK_STATE_COMPLETED"
    wire.close()
    times.sort()
    outcome.figures = {"get_p50": percentile(times, 50), "get_p99": percentile(times, 99)}

    return outcome


async def wait(stand: Stand, tasks: int = WAITING) -> Outcome:
    """Have tasks wait for an answer, and see what each one keeps."""
    before = stand.rss()
    wires = [await Wire.connect(stand.target.port) for _ in range(8)]

    async def begin(wire: Wire) -> None:
        for _ in range(tasks // len(wires)):
            asked = {"message": A2A.message(_ASKING), "configuration": {"returnImmediately": True}}
            reply = await wire.ask(_target(stand).call("SendMessage", asked))
            if "result" not in msgspec.json.decode(reply.body()):
                raise Broken(f"not begun: {reply.body()[:300]!r}")

    await asyncio.gather(*map(begin, wires))
    async with asyncio.timeout(_PATIENCE):
        while await _waiting(stand) < tasks:  # noqa: ASYNC110 - it is another process that is waited for
            await asyncio.sleep(0.2)
    await asyncio.sleep(_SETTLE)
    kept = stand.rss() - before
    for wire in wires:
        wire.close()

    return Outcome({"rss_kb": kept / tasks / 1024}, exact=await _waiting(stand), texts=tasks)


async def _waiting(stand: Stand) -> int:
    listed = await _ask(stand, "ListTasks", {"status": "TASK_STATE_INPUT_REQUIRED", "pageSize": 1})
    return int(listed.get("totalSize", 0))


async def _ask(stand: Stand, method: str, params: dict[str, object]) -> dict[str, Any]:
    wire = await Wire.connect(stand.target.port)
    try:
        answer = msgspec.json.decode((await wire.ask(_target(stand).call(method, params))).body())
    finally:
        wire.close()
    if "result" not in answer:
        raise Broken(f"{method}: {answer!r:.300}")
    result: dict[str, Any] = answer["result"]

    return result


def _target(stand: Stand) -> A2A:
    assert isinstance(stand.target, A2A)  # noqa: S101 - the relay keeps no tasks
    return stand.target
