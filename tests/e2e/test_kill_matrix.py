"""
Whoever is killed at whatever stage of a turn: nothing is lost, nothing is done or told twice, and every task ends.

Each row of the matrix is one crash, with one task at each stage; each cell is judged alone. Cells that cannot be: SQLite
is part of the service's process, so it is killed with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.e2e.follower import folded
from tests.e2e.gatehouse import Gatehouse
from tests.e2e.model import ScriptedModel
from tests.e2e.opencode import RealOpenCode
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.scene import STAGES, Cast, Part, Scene, Victim
from tests.e2e.service import RunningService
from tests.fakes.database import Database

ROWS: Mapping[str, tuple[Victim, str, bool]] = {
    "service, what it sent is lost": ("service", "sqlite", False),
    "service, what it sent arrives": ("service", "sqlite", True),
    "service on PostgreSQL, what it sent is lost": ("service", "postgres", False),
    "service on PostgreSQL, what it sent arrives": ("service", "postgres", True),
    "database": ("database", "postgres", True),
    "client": ("client", "sqlite", True),
    "client on PostgreSQL": ("client", "postgres", True),
    "OpenCode": ("opencode", "sqlite", False),
    "OpenCode on PostgreSQL": ("opencode", "postgres", False),
}

# What dies with OpenCode is what it was working on.
LOST_WITH_OPENCODE = frozenset({"prompted", "streaming", "tool", "interrupted", "answering"})

Play = Callable[[str], dict[str, Part]]


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def play(stack: ExitStack, opencode_binary: object, model: ScriptedModel) -> Play:
    """Play a row when one of its cells first asks for it. One OpenCode does for all."""
    opencode = stack.enter_context(RealOpenCode(opencode_binary, model.url))  # type: ignore[arg-type]
    gatehouse = stack.enter_context(Gatehouse(opencode.port))
    receivers: dict[str, Receiver] = {}
    services: dict[str, tuple[RunningService, Database | None]] = {}
    played: dict[str, dict[str, Part]] = {}

    def serve(store: str) -> tuple[RunningService, Database | None]:
        settings = {
            "OPENCODE_BASE_URL": gatehouse.url,
            "OPENCODE_DIRECTORY": str(opencode.workspace),
            "A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1",
        }
        database = stack.enter_context(Database()) if store == "postgres" else None
        if database is not None:
            settings["A2A_TASK_STORE_DATABASE_URL"] = database.url
        return stack.enter_context(RunningService(settings)), database

    def play(row: str) -> dict[str, Part]:
        if row not in played:
            victim, store, arrives = ROWS[row]
            played[row] = {}
            if store not in services:
                services[store] = serve(store)
            service, database = services[store]
            receivers[row] = stack.enter_context(receiving())
            cast = Cast(opencode, model, gatehouse, service, receivers[row], database)
            with closing(Scene(cast, victim, arrives)) as scene:
                played[row] = scene.play(f"row{list(ROWS).index(row)}")
        assert played[row], "what happened is told by the first cell of this row"
        return played[row]

    return play


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("row", ROWS)
def test_whoever_is_killed_at_whatever_stage(play: Play, row: str, stage: str) -> None:
    part = play(row)[stage]

    state = part.task["status"]["state"].removeprefix("TASK_STATE_")
    failed = ROWS[row][0] == "opencode" and stage in LOST_WITH_OPENCODE
    assert state == ("CANCELED" if stage == "canceling" else "FAILED" if failed else "COMPLETED"), part.task["status"]
    _agrees_with_opencode(part, whole=state == "COMPLETED")
    for reader in part.readers:
        assert reader.seqs == sorted(set(reader.seqs)), "each update once, in order"
        assert folded(reader.frames) == folded([("", {"task": part.task})])
        assert reader.state == part.task["status"]["state"]
        assert reader.closed_without_a_word == 0
    if failed:
        assert "OpenCode" in part.task["status"]["message"]["parts"][0]["text"]
    if stage == "tool":
        assert (part.cast.opencode.workspace / f"ran-{part.gate}").read_text() == "ran\n", "it ran once"
    if stage == "pushing":
        _was_pushed(part)


def _agrees_with_opencode(part: Part, *, whole: bool) -> None:
    prompts, said, messages = part.said_in_opencode()
    assert prompts == 1, messages
    if whole:
        assert part.text == said
        assert " ".join(part.text.split()) == " ".join(part.expected.split())
        return
    # OpenCode keeps a text when it is whole; what was told before is not taken back.
    assert part.text.startswith(said)
    assert part.expected.split()[: len(part.text.split())] == part.text.split()


def _was_pushed(part: Part) -> None:
    """All of it was delivered, in order; what was under way at the crash perhaps twice."""
    told: dict[object, dict[str, Any]] = {}
    for one in part.cast.receiver.told:
        for update in one.values():
            told[update.get("metadata", {}).get("shared", {}).get("stream", {}).get("event_id") or len(told)] = one
    assert folded(("", one) for one in told.values()).keys() == folded([("", {"task": part.task})]).keys()
    assert part.cast.receiver.states[-1] == "TASK_STATE_COMPLETED"
