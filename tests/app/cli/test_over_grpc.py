"""`call` and `selftest` by gRPC."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.cli.calling import Credentials, Order, connection, conversation
from opencode_a2a_server.app.cli.channels import have_grpc, host_of, is_here, target_of
from opencode_a2a_server.app.settings import load_settings
from tests.app.cli.agents import FakeAgent, card, running, status, task, text
from tests.app.cli.grpc_agents import GrpcAgent, offering, speaking

CARD = "/.well-known/agent-card.json"
SECRET = "s3cr3t-of-the-caller"  # noqa: S105 - made up
HINTS = "urn:a2a:stream-hints/v1"


@pytest.fixture
def web() -> Iterator[FakeAgent]:
    """Where the card is; what it says over JSON-RPC is that it was asked the wrong way."""
    with running(FakeAgent()) as web:
        yield web


@pytest.fixture
def agent(web: FakeAgent) -> Iterator[GrpcAgent]:
    """One that says hello by gRPC, too."""
    with speaking(GrpcAgent()) as agent:
        agent.results["SendStreamingMessage"] = [
            {"task": task("WORKING")},
            text("Hello."),
            status("COMPLETED"),
        ]
        agent.results["GetTask"] = task("COMPLETED", text="Hello.")
        web.pages[CARD] = offering(
            card(web.url), [("JSONRPC", web.url), ("GRPC", f"127.0.0.1:{agent.port}"), ("GRPC", "elsewhere:1")]
        )
        yield agent


def run(command: str, web: FakeAgent, *arguments: str, **environment: str) -> Result:
    given = {"A2A_CLIENT_BEARER_TOKEN": SECRET} | environment
    done = CliRunner().invoke(main, [command, web.url, *arguments], env=given)
    assert SECRET not in done.output
    return done


def by_grpc_alone(web: FakeAgent, address: str) -> None:
    web.pages[CARD] = offering(card(web.url), [("GRPC", address)])


def test_grpc_is_spoken_if_that_is_asked_for(web: FakeAgent, agent: GrpcAgent) -> None:
    done = run("call", web, "Say hello", "--binding", "grpc")

    assert done.exit_code == 0, done.output
    assert done.output == "Hello.\nTask: task-1\nContext: ctx-1\nState: COMPLETED\n"
    assert agent.calls[0][1]["message"]["parts"] == [{"text": "Say hello"}]
    assert agent.metadata[0]["authorization"] == f"Bearer {SECRET}"
    assert agent.metadata[0]["a2a-version"] == "1.0"
    assert web.calls == []


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "http://127.0.0.1:{}", "grpc://127.0.0.1:{}"])
def test_grpc_is_spoken_if_the_card_has_nothing_else(web: FakeAgent, agent: GrpcAgent, address: str) -> None:
    by_grpc_alone(web, address.format(agent.port))

    told = json.loads(run("call", web, "Say hello", "-o", "json").stdout)

    assert told["task"]["artifacts"][0]["parts"] == [{"text": "Hello."}]
    assert [name for name, _ in agent.calls] == ["SendStreamingMessage", "GetTask"]


def test_the_extension_of_hints_is_named_to_an_agent_that_has_it(web: FakeAgent, agent: GrpcAgent) -> None:
    web.pages[CARD]["capabilities"]["extensions"] = [{"uri": HINTS}]

    run("call", web, "Say hello", "--binding", "grpc")

    assert agent.metadata[0]["a2a-extensions"] == HINTS


@pytest.mark.parametrize(
    ("refusal", "exit_code", "code"),
    [
        ((grpc.StatusCode.UNAUTHENTICATED, ""), 4, "A2ACLI_ERR_AUTH_FAILED"),
        ((grpc.StatusCode.PERMISSION_DENIED, "AUTHORIZATION_FORBIDDEN"), 4, "A2ACLI_ERR_AUTH_FAILED"),
        ((grpc.StatusCode.UNAVAILABLE, ""), 3, "A2ACLI_ERR_UNREACHABLE"),
        ((grpc.StatusCode.DEADLINE_EXCEEDED, ""), 5, "A2ACLI_ERR_TIMEOUT"),
        ((grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND"), 1, "TaskNotFoundError"),
        ((grpc.StatusCode.INTERNAL, ""), 1, "A2ACLI_ERR_INTERNAL"),
    ],
)
def test_what_grpc_comes_to_is_told_as_over_http(
    web: FakeAgent, agent: GrpcAgent, refusal: object, exit_code: int, code: str
) -> None:
    agent.results["SendStreamingMessage"] = refusal

    done = run("call", web, "hi", "--binding", "grpc", "-o", "json")

    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (exit_code, code)


def test_who_gave_no_credentials_is_told_how_to(web: FakeAgent, agent: GrpcAgent) -> None:
    agent.results["SendStreamingMessage"] = grpc.StatusCode.UNAUTHENTICATED, ""

    done = run("call", web, "hi", "--binding", "grpc", A2A_CLIENT_BEARER_TOKEN="")

    assert (done.exit_code, "wants credentials" in done.stderr, "--token-file" in done.stderr) == (4, True, True)
    assert "authorization" not in agent.metadata[0]


@pytest.mark.anyio
async def test_a_stream_that_breaks_off_is_gone_on_with_by_looking(web: FakeAgent, agent: GrpcAgent) -> None:
    agent.cut = True
    agent.results["SendStreamingMessage"] = [{"task": task("WORKING")}, text("Hel")]
    pauses: list[float] = []
    settings = load_settings({"A2A_CLIENT_SUPPORTED_TRANSPORTS": "GRPC"})

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with connection(web.url, Credentials(), settings) as http:
        told = [one async for one in conversation(http, web.url, Order("hello"), settings, pause)]

    assert told[-1]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert pauses == [2.0]


def test_credentials_are_given_to_no_other_host(web: FakeAgent) -> None:
    by_grpc_alone(web, "elsewhere.example:443")

    done = run("call", web, "hi")

    assert done.exit_code == 1
    assert "credentials for one are not given to another" in done.output


def test_a_binding_that_the_card_has_not_is_refused(web: FakeAgent) -> None:
    web.pages[CARD] = card(web.url)

    done = run("call", web, "hi", "--binding", "grpc")

    assert done.exit_code == 1
    assert "speaks nothing that is spoken here" in done.output


WITHOUT_GRPC = (
    "import sys; sys.modules['grpc'] = None; from opencode_a2a_server.app.cli import main; main(sys.argv[1:])"
)


def without_grpc(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where the extra is not installed."""
    command = [sys.executable, "-c", WITHOUT_GRPC, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", [["call", "hi"], ["selftest"]])
def test_without_the_extra_its_name_is_told(web: FakeAgent, command: list[str]) -> None:
    by_grpc_alone(web, "127.0.0.1:1")
    name, *rest = command

    done = without_grpc(name, web.url, *rest, "--binding", "grpc")

    assert done.returncode == 2
    assert "gRPC is not installed; pip install 'opencode-a2a-server[grpc]'" in done.stderr


def test_without_the_extra_the_rest_is_spoken(web: FakeAgent) -> None:
    web.pages[CARD] = offering(card(web.url), [("GRPC", "127.0.0.1:1"), ("JSONRPC", web.url)])
    web.results["SendStreamingMessage"] = [{"task": task("COMPLETED", text="Hello.")}]

    called = without_grpc("call", web.url, "hi")
    asked = without_grpc("selftest", web.url, "--no-work")

    assert (called.returncode, "Hello." in called.stdout) == (0, True)
    assert "skipped  GRPC 1.0       5.2     It can be spoken. (gRPC is not installed" in asked.stdout


def right(asked: Mapping[str, Any]) -> Any:
    message = asked.get("message", {})
    if "there-is-none" in json.dumps(asked):
        return grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND"
    if not message.get("parts"):
        return grpc.StatusCode.INVALID_ARGUMENT, ""
    return {"task": task("COMPLETED")}


@pytest.fixture
def tested(web: FakeAgent) -> Iterator[GrpcAgent]:
    """One that is right as far as it goes."""
    with speaking(GrpcAgent()) as agent:
        missing = (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
        agent.results |= {
            "SendMessage": right,
            "SendStreamingMessage": [{"task": task("WORKING")}, status("COMPLETED")],
            "GetTask": lambda asked: missing if asked["id"] == "there-is-none" else task("COMPLETED"),
            "ListTasks": {"tasks": [{"id": "task-1", "status": {"state": "TASK_STATE_COMPLETED"}}]},
            "CancelTask": missing,
        }
        by_grpc_alone(web, f"127.0.0.1:{agent.port}")
        yield agent


NOT_THERE = ["3.3.4", "3.1.11", "3.6.2"]
"""What this fake does not do: it has neither push notifications nor a card to refuse, and knows no versions."""


def failed(done: Result) -> list[str]:
    return [one["clause"] for one in json.loads(done.stdout)["outcomes"] if one["result"] == "failed"]


def test_the_demands_are_put_to_grpc_too(web: FakeAgent, tested: GrpcAgent) -> None:
    done = run("selftest", web, "-o", "json")

    interfaces = {one["interface"] for one in json.loads(done.stdout)["outcomes"]}
    assert (interfaces, failed(done)) == ({"GRPC 1.0"}, NOT_THERE)


@pytest.mark.parametrize(
    ("method", "told", "clause"),
    [
        ("SendStreamingMessage", [{"task": task("WORKING")}], "3.1.2"),
        ("SendStreamingMessage", [status("COMPLETED")], "3.1.2"),
        ("GetTask", lambda _: task("COMPLETED"), "3.3.2"),
        ("CancelTask", task("CANCELED"), "3.1.5"),
        ("CancelTask", (grpc.StatusCode.INTERNAL, ""), "3.1.5"),
        ("SendMessage", lambda _: {"task": task("WORKING")}, "3.2.2"),
        ("ListTasks", {"tasks": [{"id": "task-2"}]}, "3.1.4"),
        ("ListTasks", {"tasks": [task("COMPLETED", text="x")]}, "3.1.4"),
        ("ListTasks", (grpc.StatusCode.UNAVAILABLE, ""), "3.1.4"),
    ],
)
def test_what_is_wrong_by_grpc_is_found(
    web: FakeAgent, tested: GrpcAgent, method: str, told: object, clause: str
) -> None:
    tested.results[method] = told

    done = run("selftest", web, "-o", "json")

    assert clause in failed(done)
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("address", "target", "host"),
    [
        ("agent.example:443", "agent.example:443", "agent.example"),
        ("https://Agent.example:443/a2a", "Agent.example:443", "agent.example"),
        ("[::1]:50051", "[::1]:50051", "::1"),
        ("agent.example", "agent.example", "agent.example"),
    ],
)
def test_an_address_of_grpc_is_read_as_cards_write_it(address: str, target: str, host: str) -> None:
    assert (target_of(address), host_of(address)) == (target, host)


def test_what_is_on_this_machine_is_known() -> None:
    urls = ["http://localhost:1", "http://127.0.0.9", "https://[::1]:2", "https://agent.example", "http://10.0.0.1"]

    assert [is_here(url) for url in urls] == [True, True, True, False, False]
    assert have_grpc(lambda _: None) is False
