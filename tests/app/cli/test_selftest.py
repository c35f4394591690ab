"""`opencode-a2a-server selftest`: that it finds what is wrong; tests/e2e/test_cli.py shows that it finds nothing in ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from opencode_a2a_server.app.cli import main
from tests.app.cli.agents import FakeAgent, card, running, status, task

CARD = "/.well-known/agent-card.json"
REFUSED = {"error": {"code": -32001, "message": "no such task"}}


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    """One that is right as far as it goes: JSON-RPC of 1.0, without credentials."""

    def answer(method: str, params: Mapping[str, Any]) -> Any:
        message = params.get("message", {})
        if "there-is-none" in json.dumps(params):
            return REFUSED
        if method in ("SendMessage", "SendStreamingMessage") and not message.get("parts"):
            return {"error": {"code": -32602, "message": "no parts"}}
        return None

    with running(FakeAgent(answer=answer)) as agent:
        agent.pages[CARD] = card(agent.url)
        listed = {"tasks": [{"id": "task-1"}], "nextPageToken": "", "pageSize": 1, "totalSize": 1}
        agent.results |= {
            "SendMessage": {"task": task("COMPLETED")},
            "SendStreamingMessage": [{"task": task("WORKING")}, status("COMPLETED")],
            "GetTask": task("COMPLETED"),
            "ListTasks": listed,
            "ListTaskPushNotificationConfigs": {"error": {"code": -32003, "message": "none"}},
            "GetExtendedAgentCard": {"error": {"code": -32004, "message": "none"}},
        }
        yield agent


def selftest(agent: FakeAgent, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["selftest", agent.url, *arguments])


def failed(done: Result) -> list[str]:
    return [one["clause"] for one in json.loads(done.stdout)["outcomes"] if one["result"] == "failed"]


BY_THE_STAND = ["3.6.2", "9.3"]
"""What this fake does not do: it knows no versions, and is no parser."""


def test_what_is_right_passes(agent: FakeAgent) -> None:
    agent.pages[CARD] = card(agent.url)

    done = selftest(agent, "-o", "json")

    assert failed(done) == BY_THE_STAND
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("method", "told", "clause"),
    [
        ("SendMessage", {"task": {"id": "x"}}, "3.1.1"),
        ("SendMessage", {"task": task("WORKING")}, "3.2.2"),
        ("GetTask", task("COMPLETED") | {"id": "another"}, "3.1.3"),
        ("ListTasks", {"tasks": []}, "3.1.4"),
        ("SendStreamingMessage", [status("WORKING")], "3.1.2"),
        ("SendStreamingMessage", [{"task": task("WORKING")}], "3.1.2"),
        ("ListTaskPushNotificationConfigs", {"configs": []}, "3.3.4"),
        ("GetExtendedAgentCard", {"name": "x"}, "3.1.11"),
        ("GetTask", [], "3.1.3"),
    ],
)
def test_what_is_wrong_fails(agent: FakeAgent, method: str, told: Any, clause: str) -> None:
    agent.results[method] = told

    assert clause in failed(selftest(agent, "-o", "json"))


def test_a_card_that_lacks_something_fails(agent: FakeAgent) -> None:
    del agent.pages[CARD]["skills"]

    assert "8.2" in failed(selftest(agent, "-o", "json"))


def test_who_lets_anybody_in_fails(agent: FakeAgent) -> None:
    agent.pages[CARD]["securityRequirements"] = [{"schemes": {"bearer": {"list": []}}}]

    assert "7.4" in failed(selftest(agent, "-o", "json"))


def test_without_work_nothing_is_said_to_the_agent(agent: FakeAgent) -> None:
    done = selftest(agent, "--no-work")

    assert "would have the agent work" in done.output
    messages = [params["message"] for _, params in agent.calls if "message" in params]
    assert all(message.get("taskId") or not message.get("parts") for message in messages)


def test_junit_counts_what_came_of_it(agent: FakeAgent, tmp_path: Path) -> None:
    selftest(agent, "--junit", str(tmp_path / "out.xml"), "--no-work")

    (suite,) = ET.parse(tmp_path / "out.xml").getroot()  # noqa: S314 - our own
    assert suite.get("name") == "JSONRPC 1.0"
    assert suite.get("failures") == str(len(suite.findall("testcase/failure"))) == "2"
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
    assert suite.get("tests") == str(len(suite))


def test_an_agent_that_is_not_there_exits_3() -> None:
    assert CliRunner().invoke(main, ["selftest", "http://127.0.0.1:9"]).exit_code == 3
