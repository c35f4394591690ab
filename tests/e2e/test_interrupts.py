"""Permissions and questions of the real OpenCode: in each way of sending, by each way of answering."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.e2e.cut import Relay
from tests.e2e.opencode import RealOpenCode
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.service import BINARY, RunningService, clean_environment
from tests.e2e.test_service import in_front_of
from tests.e2e.until import until

URI = "https://kagent.dev/extensions/hitl/v1"
INPUT, COMPLETED = "TASK_STATE_INPUT_REQUIRED", "TASK_STATE_COMPLETED"

Json = dict[str, Any]
Answer = Callable[["Client", Json], object]

_count = iter(range(1_000_000))


class Client:
    """A client that knows HTTP and nothing more."""

    def __init__(self, service: RunningService) -> None:
        self.service = service
        self.http = httpx.Client(base_url=service.url, headers=service.headers, timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def message(self, *parts: Json | str, task: Json | None = None, **more: Any) -> Json:
        named = {} if task is None else {"taskId": task["id"]}
        return {
            "messageId": f"m-{next(_count)}",
            "role": "ROLE_USER",
            "parts": [{"text": part} if isinstance(part, str) else part for part in parts],
            **named,
            **more,
        }

    def send(self, *parts: Any, task: Json | None = None, more: Json | None = None, **configuration: Any) -> Json:
        body = {"message": self.message(*parts, task=task, **(more or {})), "configuration": configuration}
        told: Json = self.http.post("/message:send", json=body).raise_for_status().json()["task"]
        return told

    def ask(self, *parts: Any) -> Json:
        """Have a task that waits for an answer."""
        task = self.send(*parts)
        assert task["status"]["state"] == INPUT, json.dumps(task)
        return task

    def task(self, task: Json) -> Json:
        told: Json = self.http.get(f"/tasks/{task['id']}").raise_for_status().json()
        return told

    def ended(self, task: Json, state: str = COMPLETED) -> Json:
        """Give the task when it has ended so."""

        def look() -> Json | None:
            told = self.task(task)
            return told if told["status"]["state"] == state else None

        return until(look, within=30, what=f"{state}; {self.service.log}") or {}

    def call(self, method: str, **params: Any) -> Json:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        told: Json = self.http.post("/", json=body).json()
        return told


def asking(task: Json) -> Json:
    """Give what the task asks, as a program reads it."""
    text, data = task["status"]["message"]["parts"]
    assert text["text"]
    found: Json = data["data"]
    return found


def said(task: Json) -> str:
    return "".join(
        part.get("text", "")
        for artifact in task.get("artifacts", ())
        if artifact["metadata"]["shared"]["stream"]["block_type"] == "text"
        for part in artifact["parts"]
    )


@pytest.fixture(scope="module")
def careful(opencode_binary: Path, model: Any) -> Iterator[RealOpenCode]:
    """An OpenCode which asks before it runs a command."""
    deep = {
        "mode": "subagent",
        "description": "Delegates further",
        "tools": {"task": True},
        "permission": {"task": "allow", "bash": "ask"},
    }
    config = {"agent": {"deep": deep}, "subagent_depth": 3}
    with RealOpenCode(opencode_binary, model.url, permission={"bash": "ask"}, config=config) as opencode:
        yield opencode


@pytest.fixture(scope="module")
def service(careful: RealOpenCode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    audit = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    with RunningService(in_front_of(careful) | {"A2A_AUDIT_FILE": str(audit)}) as service:
        yield service


@pytest.fixture
def client(service: RunningService) -> Iterator[Client]:
    with Client(service) as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def serving(opencode: RealOpenCode, **settings: str) -> RunningService:
    return RunningService(in_front_of(opencode) | settings)


# What is answered


@pytest.mark.parametrize(
    ("words", "text", "resolution"),
    [("yes", "The tool answered: hi", "once"), ("no", "", "reject"), ("no: use python", "use python", "reject")],
)
def test_a_permission_is_answered_by_words(client: Client, words: str, text: str, resolution: str) -> None:
    task = client.ask("[[bash echo hi]][[say and on]]")
    assert asking(task)["patterns"] == ["echo hi"]

    done = client.send(words, task=task)

    assert done["status"]["state"] == COMPLETED
    assert text in said(done)
    assert audited(client, asking(task)["request_id"])[-1]["outcome"] == resolution


def test_what_is_always_allowed_is_not_asked_again(
    start_opencode: Callable[..., RealOpenCode],
) -> None:
    with serving(start_opencode(permission={"bash": "ask"})) as service, Client(service) as client:
        task = client.ask("[[bash echo one]][[bash echo two]]")

        done = client.send("always", task=task)

        assert done["status"]["state"] == COMPLETED
        assert "two" in said(done)


def test_words_that_are_not_clear_ask_again(client: Client) -> None:
    task = client.ask("[[bash echo hi]]")

    body = {"message": client.message("well, yes, why not", task=task)}
    refused = client.http.post("/message:send", json=body)

    assert refused.status_code == httpx.codes.BAD_REQUEST
    assert "Permission needed: bash (echo hi)" in refused.json()["error"]["message"]
    assert client.task(task)["status"]["state"] == INPUT
    client.send("no", task=task)


def test_a_question_is_answered_by_number_and_dismissed_by_no(client: Client) -> None:
    first = client.ask("[[ask Which size? | S | M]]")
    second = client.ask("[[ask Which size? | S | M]]")
    (inquiry,) = asking(first)["questions"]
    assert [option["label"] for option in inquiry["options"]] == ["S", "M"]

    chosen, dismissed = client.send("2", task=first), client.send("no", task=second)

    assert chosen["status"]["state"] == dismissed["status"]["state"] == COMPLETED
    assert '"M"' in said(chosen)
    assert said(dismissed) == ""


# Which way it is answered


def _by_data(client: Client, task: Json) -> None:
    data = {"request_id": asking(task)["request_id"], "reply": "once"}
    client.send({"data": data}, task=task, returnImmediately=True)


def _by_gemini(client: Client, task: Json) -> None:
    data = {"callId": asking(task)["request_id"], "outcome": "proceed_once"}
    client.send({"data": data}, task=task, returnImmediately=True)


def _by_kagent(client: Client, task: Json) -> None:
    payload = {"type": "tool_approval_response", "approvals": [{"id": asking(task)["request_id"], "approved": True}]}
    client.send("approved", task=task, more={"extensions": [URI], "metadata": {URI: payload}}, returnImmediately=True)


def _by_callback(client: Client, task: Json) -> None:
    request = asking(task)["request_id"]
    told = client.call("a2a.interrupt.permission.reply", request_id=request, reply="once")
    assert told["result"] == {"ok": True, "request_id": request}


def _by_command(client: Client, task: Json) -> None:
    request = asking(task)["request_id"]
    listed = command(client.service, "list")
    assert request in listed.stdout
    assert command(client.service, "answer", request, "yes").returncode == 0
    assert request not in command(client.service, "list", "-o", "json").stdout


def command(service: RunningService, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the operator's command."""
    environment = clean_environment()
    environment |= {"A2A_PORT": str(service.port), "A2A_BEARER_TOKEN": service.token}
    return subprocess.run(
        [BINARY, "interrupts", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("answer", [_by_data, _by_gemini, _by_kagent, _by_callback, _by_command])
def test_a_permission_is_answered_in_every_way(client: Client, answer: Answer) -> None:
    task = client.ask("[[bash echo hi]]")

    answer(client, task)

    assert "The tool answered: hi" in said(client.ended(task))


def _choose_by_data(client: Client, task: Json) -> None:
    data = {"request_id": asking(task)["request_id"], "answers": [["M"]]}
    client.send({"data": data}, task=task, returnImmediately=True)


def _choose_by_command(client: Client, task: Json) -> None:
    request = asking(task)["request_id"]
    assert request in command(client.service, "list").stdout
    assert command(client.service, "answer", request, "M").returncode == 0


@pytest.mark.parametrize("answer", [_choose_by_data, _choose_by_command])
def test_a_question_is_answered_in_every_way(client: Client, answer: Answer) -> None:
    task = client.ask("[[ask Which size? | S | M]]")

    answer(client, task)

    assert '"M"' in said(client.ended(task))


def test_a_question_is_answered_and_dismissed_by_callbacks(client: Client) -> None:
    first, second = client.ask("[[ask Which size? | S | M]]"), client.ask("[[ask]]")
    listed = {item["request_id"]: item for item in client.call("opencode.questions.list")["result"]["items"]}
    assert {asking(first)["request_id"], asking(second)["request_id"]} <= set(listed)
    assert listed[asking(first)["request_id"]]["task_id"] == first["id"]

    client.call("a2a.interrupt.question.reply", request_id=asking(first)["request_id"], answers=[["S"]])
    client.call("a2a.interrupt.question.reject", request_id=asking(second)["request_id"])

    assert '"S"' in said(client.ended(first))
    assert said(client.ended(second)) == ""


def test_the_same_answer_again_is_the_same_result_another_one_is_refused(client: Client) -> None:
    task = client.ask("[[bash echo hi]]")
    request = asking(task)["request_id"]
    client.call("a2a.interrupt.permission.reply", request_id=request, reply="once")
    client.ended(task)

    again = client.call("a2a.interrupt.permission.reply", request_id=request, reply="ONCE")
    other = client.call("a2a.interrupt.permission.reply", request_id=request, reply="reject")

    assert again["result"]["ok"]
    assert other["error"]["data"][0]["reason"] == "ALREADY_ANSWERED"


# Which way it is sent


BOTH_KINDS = pytest.mark.parametrize(
    ("script", "words", "resolution"),
    [("[[bash echo hi]]", "yes", "once"), ("[[ask Which size? | S | M]]", "2", "replied")],
    ids=["permission", "question"],
)


@BOTH_KINDS
def test_a_stream_ends_with_what_is_asked(client: Client, script: str, words: str, resolution: str) -> None:
    body = {"message": client.message(script)}
    with client.service.stream("/message:stream", body) as stream:
        frames = [frame for _, frame in stream]

    last = frames[-1]["statusUpdate"]
    assert last["status"]["state"] == INPUT
    assert last["metadata"]["shared"]["interrupt"]["phase"] == "asked"
    answer = {"message": client.message(words, task=frames[0]["task"])}
    with client.service.stream("/message:stream", answer) as stream:
        frames = [frame for _, frame in stream]
    resolved = [
        told["statusUpdate"]["metadata"]["shared"]["interrupt"]
        for told in frames
        if told.get("statusUpdate", {}).get("metadata", {}).get("shared", {}).get("interrupt")
    ]
    # The stream opens with the task as it stands: where the answer has taken effect by then, that is not told again.
    waited = frames[0]["task"]["status"]["state"] == INPUT
    expected = [("resolved", resolution, "client")] if waited else []
    assert [(one["phase"], one["resolution"], one["by"]) for one in resolved] == expected
    assert frames[-1]["statusUpdate"]["status"]["state"] == COMPLETED


@BOTH_KINDS
def test_who_polls_sees_what_is_asked(client: Client, script: str, words: str, resolution: str) -> None:
    task = client.send(script, returnImmediately=True)

    asked = client.ended(task, INPUT)
    assert client.send(words, task=task, returnImmediately=True)["id"] == task["id"]

    client.ended(task)
    assert audited(client, asking(asked)["request_id"])[-1]["outcome"] == resolution


@BOTH_KINDS
def test_who_is_notified_hears_what_is_asked(
    careful: RealOpenCode, receiver: Receiver, script: str, words: str, resolution: str
) -> None:
    with serving(careful, A2A_PUSH_ALLOWED_HOSTS="127.0.0.1") as service, Client(service) as client:
        config = {"url": receiver.url}

        task = client.send(script, taskPushNotificationConfig=config, returnImmediately=True)
        until(lambda: INPUT in receiver.states, within=20, what="a notification")
        client.send(words, task=task)

        until(lambda: COMPLETED in receiver.states, within=20, what="the end")
    asked = next(
        one["statusUpdate"]
        for one in receiver.told
        if one.get("statusUpdate", {}).get("status", {}).get("state") == INPUT
    )
    assert asked["status"]["message"]["parts"][1]["data"]["request_id"]
    resolved = [
        interrupt["resolution"]
        for one in receiver.told
        if (interrupt := one.get("statusUpdate", {}).get("metadata", {}).get("shared", {}).get("interrupt"))
        and interrupt["phase"] == "resolved"
    ]
    assert resolved == [resolution]


# Whose it is


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_sub_agents_permission_is_its_tasks_at_any_depth(client: Client, depth: int) -> None:
    script = "bash echo deep"
    for _ in range(depth):
        script = f"tool task {json.dumps(nested(script))}"

    task = client.ask(f"[[{script}]]")
    mine = task["metadata"]["shared"]["session"]["id"]
    assert asking(task)["session_id"] != mine

    assert client.send("yes", task=task)["status"]["state"] == COMPLETED


def nested(script: str) -> Json:
    return {"description": "A part of the work", "prompt": f"[[{script}]]", "subagent_type": "deep"}


def test_several_that_wait_at_once_are_answered_one_by_one(client: Client) -> None:
    task = client.ask("[[bash echo one]][[+bash echo two]]")

    def both() -> list[str]:
        own = [item["request_id"] for item in listed(client) if item["task_id"] == task["id"]]
        return own if len(own) == 2 else []

    own = until(both, what="two permissions")

    client.call("a2a.interrupt.permission.reply", request_id=own[1], reply="once")
    assert client.task(task)["status"]["state"] == INPUT
    done = client.send("yes", task=task)

    assert done["status"]["state"] == COMPLETED
    assert "one" in said(done)
    assert "two" in said(done)


def listed(client: Client) -> list[Json]:
    items: list[Json] = client.call("opencode.permissions.list")["result"]["items"]
    return items


# What goes wrong


def test_a_task_that_is_canceled_while_it_asks_asks_no_more(client: Client) -> None:
    task = client.ask("[[bash echo hi]]")
    request = asking(task)["request_id"]

    canceled = client.http.post(f"/tasks/{task['id']}:cancel").json()

    assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
    assert request not in json.dumps(listed(client))
    late = client.call("a2a.interrupt.permission.reply", request_id=request, reply="once")
    assert late["error"]["data"][0]["reason"] == "INTERRUPT_REQUEST_EXPIRED"


def test_what_is_asked_while_the_feed_is_down_is_asked_and_answered(careful: RealOpenCode) -> None:
    with Relay(careful.port) as relay:
        settings = in_front_of(careful) | {"OPENCODE_BASE_URL": relay.url}
        with RunningService(settings) as service, Client(service) as client:
            until(lambda: "event feed connected" in service.log, what="a feed")
            relay.cut()

            task = client.ask("[[bash echo hi]]")
            done = client.send("yes", task=task)

            assert done["status"]["state"] == COMPLETED
            assert "The tool answered: hi" in said(done)


def test_an_answer_over_a_crash_of_the_service(careful: RealOpenCode) -> None:
    with serving(careful) as service, Client(service) as client:
        task = client.ask("[[bash echo hi]]")

        service.kill()
        service.start()
        with Client(service) as again:
            assert asking(again.task(task)) == asking(task)
            told = again.call("a2a.interrupt.permission.reply", request_id=asking(task)["request_id"], reply="once")

            assert told["result"]["ok"]
            assert "The tool answered: hi" in said(again.ended(task))


def test_opencode_restarted_while_it_asked_fails_the_task_with_the_reason(
    start_opencode: Callable[..., RealOpenCode],
) -> None:
    opencode = start_opencode(permission={"bash": "ask"})
    with serving(opencode) as service, Client(service) as client:
        task = client.ask("[[bash echo hi]]")

        opencode.restart()
        failed = client.ended(task, "TASK_STATE_FAILED")

        assert "OpenCode" in failed["status"]["message"]["parts"][0]["text"]
        late = client.call("a2a.interrupt.permission.reply", request_id=asking(task)["request_id"], reply="once")
        assert late["error"]["data"][0]["reason"] == "INTERRUPT_REQUEST_EXPIRED"


# Nobody, and rules


@pytest.mark.parametrize(
    ("default", "script", "text"),
    [("reject", "[[bash echo hi]]", ""), ("allow-once", "[[bash echo hi]]", "hi"), ("reject", "[[ask]]", "")],
)
def test_at_its_deadline_it_is_answered_by_default(careful: RealOpenCode, default: str, script: str, text: str) -> None:
    settings = {"A2A_INTERRUPT_REQUEST_TTL_SECONDS": "1", "A2A_INTERRUPT_PERMISSION_DEFAULT": default}
    with serving(careful, **settings) as service, Client(service) as client:
        task = client.ask(script)
        assert asking(task)["expires_at"] > 0
        assert "Without an answer by" in task["status"]["message"]["parts"][0]["text"]

        done = client.ended(task)

        assert text in said(done)
        if not text:
            assert "nobody answered in time" in done["status"]["message"]["parts"][0]["text"]


def test_rules_decide_without_asking(careful: RealOpenCode, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[rule]]\npermission = "bash"\npattern = "echo *"\naction = "allow-once"\n'
        '[[rule]]\npattern = "rm *"\naction = "reject"\nreason = "never here"\n'
    )
    audit = tmp_path / "audit.jsonl"
    settings = {"A2A_INTERRUPT_POLICY_FILE": str(policy), "A2A_AUDIT_FILE": str(audit)}
    with serving(careful, **settings) as service, Client(service) as client:
        allowed = client.send("[[bash echo hi]]")
        rejected = client.send("[[bash rm -f nothing]][[say then not]]")
        asked = client.ask("[[bash true]]")

        assert "The tool answered: hi" in said(allowed)
        assert "never here" in said(rejected)
        assert asking(asked)["patterns"] == ["true"]
        client.send("no", task=asked)
    told = [(record.get("channel"), record["outcome"]) for record in map(json.loads, audit.read_text().splitlines())]
    assert told[:4] == [("policy", "given"), ("policy", "once"), ("policy", "given"), ("policy", "reject")]
    assert ("message", "reject") in told


def test_a_policy_that_is_wrong_stops_the_start(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rule]]\naction = "always"\n')
    environment = {"PATH": os.environ["PATH"], "A2A_BEARER_TOKEN": "t", "A2A_INTERRUPT_POLICY_FILE": str(policy)}

    checked = subprocess.run(
        [BINARY, "check"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert checked.returncode == 2
    assert "rule 1 (line 1): action must be one of ask, allow-once, reject" in checked.stderr


def audited(client: Client, request: str) -> list[Mapping[str, Any]]:
    """Give what the audit says of an interrupt: that it was answered, and how it ended."""
    path = Path(client.service.settings["A2A_AUDIT_FILE"])

    def look() -> list[Mapping[str, Any]]:
        told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        own = [record for record in told if record["subject"].get("request") == request]
        return own if len(own) == 2 else []

    return until(look, what="both records")


def test_the_audit_file_says_who_answered(client: Client) -> None:
    task = client.ask("[[bash echo hi]]")
    client.send("yes", task=task)

    given, resolved = audited(client, asking(task)["request_id"])

    assert given["principal"].startswith("bearer:")
    assert (given["channel"], given["outcome"], given["details"]["answer"]) == ("message", "given", "once")
    assert given["subject"]["task"] == task["id"]
    assert resolved["outcome"] == "once"
