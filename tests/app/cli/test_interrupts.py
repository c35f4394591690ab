"""`opencode-a2a-server interrupts`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import define, field
from click.testing import CliRunner, Result

from opencode_a2a_server.app.cli import main

PERMISSION = {
    "request_id": "per_1",
    "session_id": "ses_1",
    "interrupt_type": "permission",
    "task_id": "task-1",
    "context_id": "c",
    "details": {"permission": "bash", "patterns": ["rm *"], "always": [], "metadata": {}},
    "expires_at": 1_700_000_000.0,
}
QUESTION = {
    "request_id": "que_1",
    "session_id": "ses_1",
    "interrupt_type": "question",
    "task_id": "task-2",
    "context_id": "c",
    "details": {
        "questions": [
            {
                "header": "Size",
                "question": "Which size?",
                "options": [{"label": "S", "value": "S", "description": ""}, {"label": "M", "description": ""}],
                "multiple": False,
                "custom": False,
            }
        ]
    },
    "expires_at": None,
}


@define(eq=False)
class Server:
    """A service as commands see it."""

    answers: dict[str, Any] = field(factory=dict)
    calls: list[tuple[str, Any]] = field(factory=list)
    tokens: list[str] = field(factory=list)
    body: bytes | None = None
    url: str = ""

    def answer(self, token: str, call: Mapping[str, Any]) -> bytes:
        self.calls.append((call["method"], call["params"]))
        self.tokens.append(token)
        if self.body is not None:
            return self.body
        told = self.answers.get(call["method"], {"result": {"items": []}})
        return json.dumps({"jsonrpc": "2.0", "id": call["id"], **told}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(
        {
            "opencode.permissions.list": {"result": {"items": [PERMISSION]}},
            "opencode.questions.list": {"result": {"items": [QUESTION]}},
        }
    )
    for method in ("permission.reply", "question.reply", "question.reject"):
        server.answers[f"a2a.interrupt.{method}"] = {"result": {"ok": True, "request_id": "it"}}

    class Handler(BaseHTTPRequestHandler):
        serving: ClassVar[Server] = server

        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told = self.serving.answer(self.headers["authorization"], call)
            self.send_response(200)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        yield server
        http.shutdown()


def run(server: Server, *arguments: str, **environment: str) -> Result:
    given = {"A2A_PUBLIC_URL": server.url, "A2A_BEARER_TOKEN": "secret"} | environment
    return CliRunner().invoke(main, ["interrupts", *arguments], env=given)


def test_what_waits_is_a_table(server: Server) -> None:
    done = run(server, "list")

    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "REQUEST  KIND        TASK    UNTIL                    ASKS",
        "per_1    permission  task-1  2023-11-14 22:13:20 UTC  Permission needed: bash (rm *)",
        "que_1    question    task-2                           Which size?",
    ]
    assert server.tokens == ["Bearer secret"] * 2


def test_what_waits_is_json(server: Server) -> None:
    done = run(server, "list", "-o", "json")

    assert json.loads(done.output) == {"items": [PERMISSION, QUESTION]}


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (("per_1", "yes"), ("permission.reply", {"request_id": "per_1", "reply": "once"})),
        (("per_1", "always"), ("permission.reply", {"request_id": "per_1", "reply": "always"})),
        (("per_1", "no"), ("permission.reply", {"request_id": "per_1", "reply": "reject"})),
        (
            ("per_1", "no: use git"),
            ("permission.reply", {"request_id": "per_1", "reply": "reject", "message": "use git"}),
        ),
        (("que_1", "2"), ("question.reply", {"request_id": "que_1", "answers": [["M"]]})),
        (("que_1", "s"), ("question.reply", {"request_id": "que_1", "answers": [["S"]]})),
        (("que_1", "no"), ("question.reject", {"request_id": "que_1"})),
        (("gone", "yes"), ("permission.reply", {"request_id": "gone", "reply": "once"})),
    ],
)
def test_an_answer_is_given_as_a_person_gives_it(
    server: Server, arguments: tuple[str, ...], call: tuple[str, Mapping[str, Any]]
) -> None:
    done = run(server, "answer", *arguments)

    assert (done.exit_code, done.output) == (0, "answered it\n")
    assert server.calls[-1] == (f"a2a.interrupt.{call[0]}", call[1])


def test_an_answer_is_told_as_json(server: Server) -> None:
    assert json.loads(run(server, "answer", "per_1", "yes", "-o", "json").output) == {"ok": True, "request_id": "it"}


@pytest.mark.parametrize("arguments", [("per_1", "maybe"), ("que_1", "XL"), ("gone", "whatever")])
def test_what_is_not_clear_answers_nothing(server: Server, arguments: tuple[str, ...]) -> None:
    done = run(server, "answer", *arguments)

    assert done.exit_code == 1
    assert "Answer" in done.output
    assert all(method.endswith(".list") for method, _ in server.calls)


def test_a_refusal_is_told_and_exits_1(server: Server) -> None:
    server.answers["a2a.interrupt.permission.reply"] = {"error": {"code": -32070, "message": "no such interrupt"}}

    done = run(server, "answer", "per_1", "yes")

    assert (done.exit_code, done.output) == (1, "no such interrupt\n")


@pytest.mark.parametrize("arguments", [("answer",), ("answer", "per_1"), ("list", "-o", "yaml"), ("list", "extra")])
def test_wrong_usage_exits_2(server: Server, arguments: tuple[str, ...]) -> None:
    assert run(server, *arguments).exit_code == 2


def test_without_a_token_it_exits_2(server: Server) -> None:
    done = run(server, "list", A2A_BEARER_TOKEN="")

    assert done.exit_code == 2
    assert "A2A_BEARER_TOKEN" in done.output


def test_wrong_settings_exit_2(server: Server) -> None:
    assert run(server, "list", A2A_PORT="many").exit_code == 2


def test_the_token_may_be_in_a_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")

    run(server, "list", "--token-file", str(tmp_path / "token"), A2A_BEARER_TOKEN="")

    assert server.tokens[0] == "Bearer from a file"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"result": 1}', b"{}"])
def test_something_else_at_the_url_exits_3(server: Server, body: bytes) -> None:
    server.body = body

    done = run(server, "list")

    assert done.exit_code == 3
    assert server.url in done.output


def test_nothing_at_the_url_exits_3(server: Server) -> None:
    done = run(server, "list", "--url", "http://127.0.0.1:9")

    assert done.exit_code == 3
    assert "does not answer" in done.output
    assert "secret" not in done.output
