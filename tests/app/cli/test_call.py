"""`opencode-a2a-server call`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.cli.calling import Credentials, Order, connection, conversation
from opencode_a2a_server.app.settings import load_settings
from tests.app.cli.agents import FakeAgent, card, running, status, task, text, tool

CARD = "/.well-known/agent-card.json"
SECRET = "s3cr3t-of-the-caller"  # noqa: S105 - made up


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    """One of 1.0 that says hello."""
    with running(FakeAgent()) as agent:
        agent.pages[CARD] = card(agent.url)
        agent.results["SendStreamingMessage"] = [
            {"task": task("SUBMITTED")},
            status("WORKING"),
            text("Hel"),
            text("lo.", append=True),
            tool("running", input={"command": "ls"}),
            text("Done."),
            status("COMPLETED"),
        ]
        agent.results["GetTask"] = task("COMPLETED", text="Hello.")
        yield agent


def call(agent: FakeAgent, *arguments: str, **environment: str) -> Result:
    given = {"A2A_CLIENT_BEARER_TOKEN": SECRET} | environment
    done = CliRunner().invoke(main, ["call", agent.url, *arguments], env=given)
    assert SECRET not in done.output
    return done


def test_what_an_agent_does_is_shown_with_where_it_has_come_to(agent: FakeAgent) -> None:
    done = call(agent, "Say hello")

    assert done.exit_code == 0, done.output
    assert done.output == (
        'Hello.\n* bash running {"command": "ls"}\nDone.\nTask: task-1\nContext: ctx-1\nState: COMPLETED\n'
    )
    assert agent.calls[0][1]["message"]["parts"] == [{"text": "Say hello"}]
    assert agent.headers[-1]["authorization"] == f"Bearer {SECRET}"


def test_json_is_the_task_at_last(agent: FakeAgent) -> None:
    told = json.loads(call(agent, "Say hello", "-o", "json").stdout)

    assert told["task"]["artifacts"][0]["parts"] == [{"text": "Hello."}]


def test_jsonl_is_a_line_for_each_event(agent: FakeAgent) -> None:
    lines = [json.loads(line) for line in call(agent, "Say hello", "-o", "jsonl").stdout.splitlines()]

    assert [next(iter(line)) for line in lines] == [
        "task",
        "statusUpdate",
        "artifactUpdate",
        "artifactUpdate",
        "artifactUpdate",
        "artifactUpdate",
        "statusUpdate",
    ]


def test_a_task_that_waits_is_told_with_how_to_answer(agent: FakeAgent) -> None:
    agent.results["SendStreamingMessage"] = [{"task": task("INPUT_REQUIRED", said="Which size?")}]

    done = call(agent, "Buy it")

    assert done.exit_code == 0
    assert done.stdout == "-- INPUT_REQUIRED\nWhich size?\nTask: task-1\nContext: ctx-1\nState: INPUT_REQUIRED\n"
    assert done.stderr == f"The task waits for an answer: opencode-a2a-server call {agent.url} --task task-1 ANSWER\n"


def test_an_answer_names_its_task_and_a_new_one_its_context(agent: FakeAgent) -> None:
    call(agent, "M", "--task", "task-1")
    call(agent, "Another", "--context", "ctx-1")

    answer, another = (params["message"] for _, params in agent.calls)
    assert answer["taskId"] == "task-1"
    assert another["contextId"] == "ctx-1"


@pytest.mark.parametrize("state", ["FAILED", "REJECTED", "CANCELED"])
def test_a_task_that_fails_was_called_all_the_same(agent: FakeAgent, state: str) -> None:
    agent.results["SendStreamingMessage"] = [{"task": task("WORKING")}, status(state, "No luck.")]

    done = call(agent, "Try")

    assert done.exit_code == 0
    assert f"No luck.\nTask: task-1\nContext: ctx-1\nState: {state}\n" in done.stdout
    assert done.stderr == f"The task ended as {state}.\n"


def test_a_bare_message_is_shown(agent: FakeAgent) -> None:
    agent.results["SendStreamingMessage"] = [
        {"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "Hi."}]}}
    ]

    assert call(agent, "Hi").stdout == "Hi.\n"
    assert json.loads(call(agent, "Hi", "-o", "json").stdout)["message"]["parts"] == [{"text": "Hi."}]


def test_who_does_not_wait_gets_the_task_alone(agent: FakeAgent) -> None:
    agent.results["SendMessage"] = {"task": task("SUBMITTED")}

    done = call(agent, "Begin", "--no-wait")

    assert done.stdout == "Task: task-1\nContext: ctx-1\nState: SUBMITTED\n"
    assert agent.calls[0][1]["configuration"]["returnImmediately"] is True


def test_what_a_terminal_would_obey_is_not_shown(agent: FakeAgent) -> None:
    agent.results["SendStreamingMessage"] = [
        {"task": task("WORKING")},
        text("a\x1b[2Jb\rc\x07\n"),
        status("COMPLETED"),
    ]

    assert call(agent, "Attack").stdout.splitlines()[0] == "a[2Jbc"


def test_an_agent_of_0_3_is_called_as_one(agent: FakeAgent) -> None:
    agent.pages = {"/.well-known/agent.json": card(agent.url, "0.3", streaming=False)}
    agent.results["message/send"] = {
        "kind": "task",
        "id": "task-1",
        "contextId": "ctx-1",
        "status": {"state": "completed"},
        "artifacts": [{"artifactId": "a", "parts": [{"kind": "text", "text": "Old hello."}]}],
    }

    done = call(agent, "Say hello")

    assert done.exit_code == 0, done.output
    assert done.stdout == "Old hello.\nTask: task-1\nContext: ctx-1\nState: COMPLETED\n"


def test_the_url_may_be_that_of_the_card(agent: FakeAgent) -> None:
    agent.pages = {"/cards/fake.json": card(agent.url)}

    done = CliRunner().invoke(main, ["call", f"{agent.url}/cards/fake.json", "hello"])

    assert done.exit_code == 0, done.output


def test_text_may_come_from_standard_input(agent: FakeAgent) -> None:
    CliRunner().invoke(main, ["call", agent.url, "-"], input="From a pipe")

    assert agent.calls[0][1]["message"]["parts"] == [{"text": "From a pipe"}]


def test_credentials_are_not_given_to_whom_the_card_names(agent: FakeAgent) -> None:
    with running(FakeAgent()) as other:
        agent.pages[CARD] = card(other.url)

        done = call(agent, "hello")

    assert done.exit_code == 1
    assert "credentials for one are not given to another" in done.output
    assert other.headers == []


def test_without_credentials_the_card_is_followed(agent: FakeAgent) -> None:
    with running(FakeAgent(results=agent.results)) as other:
        agent.pages[CARD] = card(other.url)

        done = call(agent, "hello", A2A_CLIENT_BEARER_TOKEN="")

    assert done.exit_code == 0
    assert "authorization" not in other.headers[0]


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({"A2A_CLIENT_BASIC_AUTH": "me:pass"}, "Basic " + base64.b64encode(b"me:pass").decode()),
        ({"A2A_CLIENT_BASIC_AUTH": "bWU6cGFzcw=="}, "Basic bWU6cGFzcw=="),
        ({"A2A_BEARER_TOKEN": "of the service"}, None),
        ({"A2A_BEARER_TOKEN": "ours", "A2A_PUBLIC_URL": "http://agent.example:80/"}, "Bearer ours"),
        ({"A2A_BEARER_TOKEN": "ours", "A2A_CLIENT_BEARER_TOKEN": "theirs"}, "Bearer theirs"),
    ],
)
def test_the_services_own_token_is_for_itself_alone(environment: Mapping[str, str], header: str | None) -> None:
    if environment.get("A2A_BEARER_TOKEN") == "of the service":
        environment = {"A2A_BEARER_TOKEN": "of-the-service"}

    chosen = Credentials.of(load_settings(environment), "http://agent.example", None)

    assert chosen.header == header
    assert "ours" not in repr(chosen)


def test_a_token_may_be_in_a_file(agent: FakeAgent, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")

    call(agent, "hello", "--token-file", str(tmp_path / "token"))

    assert agent.headers[-1]["authorization"] == "Bearer from-a-file"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"error": {"code": -32001, "message": "no such task"}}, "TaskNotFoundError"),
        ({"error": {"code": -32004, "message": "not here"}}, "UnsupportedOperationError"),
        ({"error": {"code": -31999, "message": "something else"}}, "A2ACLI_ERR_INTERNAL"),
    ],
)
def test_a_refusal_exits_1_with_the_protocols_name(agent: FakeAgent, result: Any, code: str) -> None:
    agent.results["SendStreamingMessage"] = result

    done = call(agent, "hello", "-o", "json")

    assert done.exit_code == 1
    assert json.loads(done.stdout)["error"]["code"] == code
    assert result["error"]["message"] in call(agent, "hello").stderr


@pytest.mark.parametrize(
    ("token", "code"), [("", "A2ACLI_ERR_CREDENTIALS_MISSING"), (SECRET, "A2ACLI_ERR_AUTH_FAILED")]
)
def test_credentials_that_are_not_taken_exit_4(agent: FakeAgent, token: str, code: str) -> None:
    agent.status = 401

    done = call(agent, "hello", "-o", "jsonl", A2A_CLIENT_BEARER_TOKEN=token)

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["code"]) == (4, code)
    assert "A2A_CLIENT_BEARER_TOKEN" in error["hint"]


@pytest.mark.parametrize(
    ("pages", "status", "code"),
    [
        ({}, 3, "A2ACLI_ERR_CARD_NOT_FOUND"),
        ({CARD: "<html>"}, 1, "A2ACLI_ERR_CARD_INVALID"),
        ({CARD: "[]"}, 1, "A2ACLI_ERR_CARD_INVALID"),
    ],
)
def test_an_agent_without_a_card_cannot_be_called(
    agent: FakeAgent, pages: dict[str, Any], status: int, code: str
) -> None:
    agent.pages = pages

    done = call(agent, "hello", "-o", "json")

    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (status, code)


def test_an_agent_that_speaks_nothing_we_know_cannot_be_called(agent: FakeAgent) -> None:
    agent.pages[CARD] = card(agent.url, binding="MORSE")

    done = call(agent, "hello")

    assert done.exit_code == 1
    assert "speaks nothing that is spoken here" in done.output


@pytest.mark.parametrize(
    ("url", "exit_code"), [("http://127.0.0.1:9", 3), ("agent.example", 2), ("ftp://agent.example", 2)]
)
def test_where_no_agent_can_be_is_told(url: str, exit_code: int) -> None:
    assert CliRunner().invoke(main, ["call", url, "hello"]).exit_code == exit_code


@pytest.mark.anyio
async def test_a_stream_that_breaks_off_is_gone_on_with_by_looking(agent: FakeAgent) -> None:
    agent.cut = True
    agent.results["SendStreamingMessage"] = [{"task": task("WORKING")}, text("Hel")]
    states = iter(["WORKING", "COMPLETED"])
    agent.answer = lambda method, _: task(next(states), text="Hello.") if method == "GetTask" else None
    pauses: list[float] = []
    settings = load_settings({})

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with connection(agent.url, Credentials(), settings) as http:
        told = [one async for one in conversation(http, agent.url, Order("hello"), settings, pause)]

    assert told[-1]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert pauses == [2.0, 2.0]


def test_what_takes_too_long_exits_5_and_names_the_task(agent: FakeAgent) -> None:
    agent.results["SendStreamingMessage"] = [{"task": task("WORKING")}]
    agent.results["GetTask"] = task("WORKING")

    done = call(agent, "hello", "--timeout", "0.3")

    assert done.exit_code == 5
    assert "Task: task-1" in done.stdout
    assert "not done within 0.3 seconds" in done.stderr


def test_a_variable_of_another_program_is_named_and_no_reason_to_stop(agent: FakeAgent) -> None:
    done = call(agent, "Say hello", A2A_URL="http://elsewhere")

    assert done.exit_code == 0
    assert done.stderr == "note: A2A_URL: there is no such setting; did you mean A2A_PUBLIC_URL?\n"
