"""`opencode-a2a-server explain`."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opencode_a2a_server.adapters.outbound.stores.opening import open_stores
from opencode_a2a_server.adapters.outbound.stores.writer import Pace
from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.ports.retention import Keeping
from opencode_a2a_server.domain.events import Failure
from opencode_a2a_server.domain.ids import (
    ArtifactId,
    ContextId,
    MessageId,
    Principal,
    PushConfigId,
    RequestId,
    SessionId,
    TaskId,
)
from opencode_a2a_server.domain.interrupt import (
    Answerer,
    Channel,
    Inquiry,
    Permission,
    PermissionAnswer,
    Question,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.message import DataPart, Message, Role, TextPart
from opencode_a2a_server.domain.push import Outbox, PushConfig
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import (
    AnswerDropped,
    AnswerGiven,
    ArtifactTold,
    BlockKind,
    CancelRequested,
    InterruptRaised,
    InterruptResolved,
    MessageReceived,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
    Update,
)
from opencode_a2a_server.domain.usage import Usage
from tests.app.cli.agents import FakeAgent, running, status, task, text, tool
from tests.fakes import postgres
from tests.fakes.clock import TurnedClock

ALICE = Principal("alice")
SESSION = Session(SessionId("ses_1"), Directory("/work"))
ASKED = Permission(RequestId("per_1"), SESSION.id, "bash", ("rm *",))
QUESTION = Question(RequestId("que_1"), SESSION.id, (Inquiry("Which size?"),))


def said(words: str) -> Message:
    return Message(MessageId("m"), Role.USER, (TextPart(words),))


STORY: tuple[Update, ...] = (
    TurnStarted(SESSION, MessageId("msg_1")),
    ArtifactTold(ArtifactId("a"), BlockKind.TEXT, (TextPart("Let me"),)),
    TextAppended(ArtifactId("a"), " see\x1b[2J"),
    ArtifactTold(ArtifactId("a"), BlockKind.TEXT, (TextPart("Now"),)),
    ArtifactTold(ArtifactId("b"), BlockKind.TOOL, (DataPart({"tool": "bash", "status": "running"}),), name="bash"),
    StatusChanged(TaskState.WORKING, (TextPart("The model is busy"),), retry=2),
    InterruptRaised(ASKED),
    AnswerGiven(ASKED, PermissionAnswer(Verdict.REJECT, "use git"), Answerer(Channel.MESSAGE, ALICE), 1.0),
    AnswerDropped(ASKED.id, "OpenCode was away"),
    InterruptResolved(ASKED.id, "rejected"),
    InterruptRaised(QUESTION),
    AnswerGiven(QUESTION, QuestionDismissed(), Answerer(Channel.DEADLINE), 2.0),
    InterruptResolved(QUESTION.id, "dismissed"),
    MessageReceived(said("And then?"), queued=True),
    CancelRequested(ALICE),
    StatusChanged(
        TaskState.FAILED, usage=Usage(10, 5, cost=0.25), failure=Failure("APIError", "no credit left", status=402)
    ),
)


def write(path: Path, *, folded: bool = False) -> None:
    write_into(f"sqlite+aiosqlite:///{path}", folded=folded)


def write_into(store: str, *, folded: bool = False) -> None:
    async def work() -> None:
        clock = TurnedClock()
        async with open_stores(store, clock, pace=Pace(linger=0)) as stores:
            submitted = TaskSubmitted(ContextId("ctx-1"), ALICE, said("Clean up"))
            log = await stores.journal.create(TaskId("task-1"), submitted)
            log.append(STORY)
            await log.durable()
            config = PushConfig(
                PushConfigId("p"), TaskId("task-1"), "https://u:pw@hook.example/in?key=s3cr3t", "s3cr3t"
            )
            await stores.push_configs.save(Outbox(config, log.task.seq, log.task.seq, clock.now(), "410 Gone", 3))
            if folded:
                await stores.retention.sweep(Keeping(stream_seconds=1.0), clock.now() + 1e6)

    asyncio.run(work())


def explain(path: Path, *arguments: str) -> Result:
    return explain_from(f"sqlite+aiosqlite:///{path}", *arguments)


def explain_from(store: str, *arguments: str) -> Result:
    done = CliRunner().invoke(main, ["explain", "task-1", "--store", store, *arguments])
    assert "s3cr3t" not in done.output
    return done


def test_a_task_is_told_from_its_journal(tmp_path: Path) -> None:
    write(tmp_path / "tasks.db")

    done = explain(tmp_path / "tasks.db")

    assert done.exit_code == 0, done.output
    lines = [re.sub(r"^\d{4}-\d\d-\d\d [\d:.]{12}\s+", "", line) for line in done.output.splitlines()]
    assert [re.sub(r"\s+", " ", line) for line in lines] == [
        "message from alice, in context ctx-1: Clean up",
        "turn session ses_1 in /work, prompt msg_1",
        "text 14 characters",
        "text told anew: the runtime withdrew what was there",
        "text 3 characters",
        "tool bash running",
        "status working: The model is busy retry 2",
        "asked Permission needed: bash (rm *) [per_1]",
        "answer reject (use git) by alice (message) [per_1]",
        "dropped the answer was not taken: OpenCode was away [per_1]",
        "resolved rejected [per_1]",
        "asked Which size? [que_1]",
        "answer dismissed by deadline (deadline) [que_1]",
        "resolved dismissed [que_1]",
        "message queued: And then?",
        "cancel wanted by alice",
        "status failed, 15 tokens, cost 0.25 (APIError: no credit left)",
        "push to https://hook.example/in: all up to update 17, 3 failures in a row, stopped: 410 Gone [p]",
    ]


def test_a_timeline_is_json_too(tmp_path: Path) -> None:
    write(tmp_path / "tasks.db")

    told = json.loads(explain(tmp_path / "tasks.db", "-o", "json").output)

    assert told["task"] == "task-1"
    assert [one["what"] for one in told["timeline"][:3]] == ["message", "turn", "text"]


def test_a_task_that_was_folded_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    write(tmp_path / "tasks.db", folded=True)

    done = explain(tmp_path / "tasks.db")

    assert "folded by retention" in done.output
    assert "from alice: Clean up" in done.output
    assert "failed, 15 tokens" in done.output


def test_a_task_that_is_not_there_exits_1_and_makes_no_store(tmp_path: Path) -> None:
    done = explain(tmp_path / "tasks.db")

    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert "there is no task task-1" in done.output


def test_a_store_in_memory_cannot_be_looked_into() -> None:
    done = CliRunner().invoke(main, ["explain", "task-1"], env={"A2A_TASK_STORE_BACKEND": "memory"})

    assert done.exit_code == 2
    assert "--url" in done.output


def test_a_store_that_is_none_exits_3(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").write_text("no database" * 1000)

    assert explain(tmp_path / "tasks.db").exit_code == 3


@pytest.fixture
def service() -> FakeAgent:
    usage = {"shared": {"usage": {"total_tokens": 7, "cost": 0.5}}}
    end = status("COMPLETED")
    end["statusUpdate"]["metadata"] = usage
    end["statusUpdate"]["status"]["timestamp"] = "2026-11-25T19:17:02.315Z"
    asked = status("INPUT_REQUIRED", "Which size?")
    asked["statusUpdate"]["metadata"] = {"shared": {"interrupt": {"phase": "asked", "request_id": "que_1"}}}
    history = [{"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}]
    return FakeAgent(
        results={
            "GetTask": task("COMPLETED", history=history, metadata={"shared": {"stream": {"cursor": "task-1:6"}}}),
            "SubscribeToTask": [asked, text("Hel"), text("lo", append=True), tool("completed"), end],
        }
    )


def test_a_remote_task_is_told_as_far_as_a2a_shows_it(service: FakeAgent) -> None:
    with running(service):
        done = CliRunner().invoke(main, ["explain", "task-1", "--url", service.url], env={"A2A_BEARER_TOKEN": "token"})

    assert [re.sub(r"\s+", " ", line.strip()) for line in done.output.splitlines()] == [
        "message hello",
        "status input_required, asked [que_1]: Which size?",
        "text 5 characters",
        "tool bash completed",
        "2026-11-25 19:17:02.315 status completed, 7 tokens, cost 0.5",
    ]
    assert service.headers[-1]["last-event-id"] == "task-1:1"


def test_a_task_in_postgresql_is_told_as_one_in_sqlite_is(tmp_path: Path) -> None:
    address = asyncio.run(postgres.emptied()).render_as_string(hide_password=False)
    write_into(address)
    write(tmp_path / "tasks.db")

    there, here = explain_from(address), explain(tmp_path / "tasks.db")

    assert there.exit_code == 0, there.output
    assert there.output == here.output
