"""`opencode-a2a-server tasks` and `sessions`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from click.testing import CliRunner, Result

from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.cli.client import Frame, Refused, Service, Unreachable
from opencode_a2a_server.app.cli.tasks import follow
from tests.app.cli.agents import FakeAgent, running, status, task, text


@pytest.fixture
def service() -> Iterator[FakeAgent]:
    with running(FakeAgent()) as agent:
        yield agent


def run(service: FakeAgent, *arguments: str) -> Result:
    environment = {"A2A_PUBLIC_URL": service.url, "A2A_BEARER_TOKEN": "s3cr3t"}
    done = CliRunner().invoke(main, arguments, env=environment)
    assert "s3cr3t" not in done.output
    return done


def test_tasks_are_a_table_of_as_many_pages_as_are_wanted(service: FakeAgent) -> None:
    said = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "Fix\n the \x1b[31mbug"}]}

    def page(_: str, params: Mapping[str, Any]) -> Any:
        size, done = params["pageSize"], params["pageToken"] == "more"
        return {"tasks": [task("COMPLETED", history=[said])] * size, "nextPageToken": "" if done else "more"}

    service.answer = page

    done = run(service, "tasks", "list", "--limit", "150", "--state", "input-required", "--context", "ctx-1")

    lines = done.output.splitlines()
    assert lines[0].split() == ["TASK", "STATE", "SINCE", "CONTEXT", "SAID"]
    assert lines[1].split() == ["task-1", "COMPLETED", "ctx-1", "Fix", "the", "[31mbug"]
    assert len(lines) == 151
    assert [params["pageSize"] for _, params in service.calls] == [100, 50]
    assert service.calls[0][1]["status"] == "TASK_STATE_INPUT_REQUIRED"
    assert service.calls[0][1]["contextId"] == "ctx-1"


def test_tasks_are_json_and_lines_of_it(service: FakeAgent) -> None:
    service.results["ListTasks"] = {"tasks": [task("WORKING")] * 2, "nextPageToken": ""}

    assert len(json.loads(run(service, "tasks", "list", "-o", "json").output)["tasks"]) == 2
    assert len(run(service, "tasks", "list", "-o", "jsonl").output.splitlines()) == 2


def test_a_task_is_shown_with_what_it_cost(service: FakeAgent) -> None:
    shared = {"usage": {"total_tokens": 7, "cost": 0.5}, "session": {"id": "ses_1"}}
    said = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
    service.results["GetTask"] = task("COMPLETED", text="Hi.", history=[said], metadata={"shared": shared})

    done = run(service, "tasks", "show", "task-1")

    assert done.output.splitlines() == [
        "user: hello",
        "Hi.",
        "Task: task-1",
        "Context: ctx-1",
        "State: COMPLETED",
        "Usage: 7 tokens, cost 0.5",
        "Session: ses_1",
    ]
    assert json.loads(run(service, "tasks", "show", "task-1", "-o", "json").output)["id"] == "task-1"


def test_a_task_is_canceled(service: FakeAgent) -> None:
    service.results["CancelTask"] = task("CANCELED")

    assert run(service, "tasks", "cancel", "task-1").output == "task-1 CANCELED\n"


@pytest.mark.parametrize("arguments", [("show", "x"), ("cancel", "x"), ("watch", "x"), ("list",)])
def test_a_refusal_exits_1_and_a_token_that_is_not_taken_4(service: FakeAgent, arguments: tuple[str, ...]) -> None:
    service.answer = lambda *_: {"error": {"code": -32001, "message": "task x was not found"}}

    refused = run(service, "tasks", *arguments)
    service.status = 401
    unknown = run(service, "tasks", *arguments)

    assert (refused.exit_code, refused.output) == (1, "task x was not found\n")
    assert unknown.exit_code == 4


def test_a_task_is_watched_until_it_ends(service: FakeAgent) -> None:
    service.results["GetTask"] = task("FAILED")
    service.results["SubscribeToTask"] = [
        {"task": task("WORKING", text="Hel")},
        text("lo", append=True),
        status("FAILED"),
    ]

    done = run(service, "tasks", "watch", "task-1")
    lines = run(service, "tasks", "watch", "task-1", "-o", "jsonl").output.splitlines()

    assert done.output == "Hello\nTask: task-1\nContext: ctx-1\nState: FAILED\n"
    assert [json.loads(line)["id"] for line in lines[:3]] == ["t:1", "t:2", "t:3"]
    assert service.headers[0]["last-event-id"] == "task-1:0"


def test_a_stream_that_breaks_is_read_on_where_it_broke(service: FakeAgent) -> None:
    parts = iter([[{"task": task("WORKING")}, text("a")], [], [text("b", append=True), status("COMPLETED")]])

    told: list[Any] = []

    def answer(method: str, _: Mapping[str, Any]) -> Any:
        if method == "SubscribeToTask":
            told.append(next(parts))
            return told[-1]
        return task("WORKING" if len(told) < 3 else "COMPLETED")

    service.answer, service.cut = answer, True
    frames: list[Frame] = []
    pauses: list[float] = []

    with Service(service.url, "token") as connected:
        follow(connected, "task-1", "", frames.append, pauses.append)

    asked = [headers["last-event-id"] for headers in service.headers if "last-event-id" in headers]
    assert asked == ["task-1:0", "t:2", "t:2"]
    assert len(frames) == 4
    assert pauses == [0.25, 0.5]


def test_a_task_that_ended_meanwhile_is_not_waited_for(service: FakeAgent) -> None:
    service.results = {"SubscribeToTask": [], "GetTask": task("COMPLETED")}

    with Service(service.url, "token") as connected:
        follow(connected, "task-1", "task-1:9", lambda _: None, lambda _: None)

    assert [method for method, _ in service.calls] == ["SubscribeToTask", "GetTask"]


def test_a_question_that_was_answered_long_ago_is_not_the_end(service: FakeAgent) -> None:
    parts = iter([[status("INPUT_REQUIRED", "Which size?")], [status("WORKING"), status("COMPLETED")]])
    end = task("COMPLETED", metadata={"shared": {"stream": {"cursor": "task-1:2"}}})
    service.answer = lambda method, _: next(parts) if method == "SubscribeToTask" else end
    frames: list[Frame] = []

    with Service(service.url, "token") as connected:
        follow(connected, "task-1", "", frames.append, lambda _: None)

    assert len(frames) == 3


def test_a_service_that_stays_away_is_given_up() -> None:
    pauses: list[float] = []

    with Service("http://127.0.0.1:9", "token") as connected, pytest.raises(Unreachable):
        follow(connected, "task-1", "", lambda _: None, pauses.append)

    assert pauses == [0.25, 0.5, 1, 2, 4, 8, 10, 10]


def test_a_refusal_within_a_stream_ends_it(service: FakeAgent) -> None:
    service.results["SubscribeToTask"] = [{"error": {"code": -32603, "message": "the service ends"}}]

    with Service(service.url, "token") as connected, pytest.raises(Refused, match="the service ends"):
        follow(connected, "task-1", "", lambda _: None, lambda _: None)


def test_sessions_are_a_table_and_json(service: FakeAgent) -> None:
    item = task("COMPLETED", metadata={"shared": {"session": {"id": "ses_1", "title": "Fix it"}}})
    item["status"]["timestamp"] = "2026-11-25T19:17:02.315Z"
    service.results["opencode.sessions.list"] = {"items": [item]}

    done = run(service, "sessions", "--search", "fix", "--directory", "src")

    assert done.output.splitlines()[1].split(maxsplit=4) == ["task-1", "2026-11-25", "19:17:02", "ctx-1", "Fix it"]
    assert service.calls[0][1] == {"limit": 20, "directory": "src", "search": "fix"}
    assert json.loads(run(service, "sessions", "-o", "json").output)["items"] == [item]
