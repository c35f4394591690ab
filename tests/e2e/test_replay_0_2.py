"""
What a client of opencode-a2a-server 0.2 asks is answered as 0.2 documents it.

The requests are those of its documentation in our own words: no version header, no extension header, 0.3's JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.answer import MODEL
from tests.e2e.caller import Caller, in_front_of
from tests.e2e.model import ScriptedModel
from tests.e2e.opencode import PROVIDER, RealOpenCode
from tests.e2e.service import RunningService
from tests.e2e.until import until

COMMANDS = {"review": {"template": "[[say reviewed: $ARGUMENTS]]", "description": "Reviews"}}


@pytest.fixture(scope="module")
def opencode_with_commands(opencode_binary: Path, model: ScriptedModel) -> Iterator[RealOpenCode]:
    with RealOpenCode(opencode_binary, model.url, config={"command": COMMANDS}) as opencode:
        yield opencode


@pytest.fixture(scope="module")
def service(opencode_with_commands: RealOpenCode) -> Iterator[RunningService]:
    with RunningService(in_front_of(opencode_with_commands, A2A_ENABLE_SESSION_SHELL="true")) as service:
        yield service


@pytest.fixture
def call(service: RunningService) -> Caller:
    return Caller(service)


@pytest.fixture(scope="module")
def spoken(service: RunningService) -> dict[str, Any]:
    """A task, whose session the calls are about."""
    message = {"messageId": "msg-1", "role": "user", "parts": [{"kind": "text", "text": "[[say explained]]"}]}
    task = Caller(service)("message/send", message=message)
    assert task["status"]["state"] == "completed"
    return task


@pytest.fixture(scope="module")
def session(spoken: dict[str, Any]) -> str:
    name: str = spoken["metadata"]["shared"]["session"]["id"]
    return name


def test_a_message_is_answered_with_a_task_that_names_its_session(spoken: dict[str, Any]) -> None:
    assert spoken["kind"] == "task"
    assert spoken["metadata"]["shared"]["session"]["id"].startswith("ses_")


def test_a_message_may_choose_its_model_for_itself_alone(call: Caller) -> None:
    told = call(
        "message/send",
        message={"messageId": "msg-2", "role": "user", "parts": [{"kind": "text", "text": "[[say faster]]"}]},
        metadata={"shared": {"model": {"providerID": PROVIDER, "modelID": MODEL}}},
    )

    assert told["status"]["state"] == "completed"


@pytest.mark.parametrize("params", [{"limit": 20}, {"query": {"limit": 20}}, {}])
def test_sessions_are_listed_as_completed_tasks(call: Caller, session: str, params: dict[str, Any]) -> None:
    told = call("opencode.sessions.list", params)

    assert set(told) == {"items"}
    task = next(task for task in told["items"] if task["id"] == session)
    assert (task["kind"], task["contextId"]) == ("task", f"ctx:opencode-session:{session}")
    assert task["status"]["state"] == "completed"
    assert set(task["metadata"]["shared"]["session"]) == {"id", "title"}


def test_the_messages_of_a_session_are_messages_of_0_3(call: Caller, session: str) -> None:
    told = call("opencode.sessions.messages.list", session_id=session, limit=20)

    user, agent = told["items"]
    assert (user["kind"], user["role"], user["contextId"]) == ("message", "user", f"ctx:opencode-session:{session}")
    assert user["parts"][0] | {"metadata": None} == {"kind": "text", "text": "[[say explained]]", "metadata": None}
    assert agent["role"] == "agent"
    assert "".join(part["text"] for part in agent["parts"] if part["kind"] == "text").strip() == "explained"
    assert agent["metadata"]["shared"]["session"] == {"id": session}


def test_a_prompt_is_taken(call: Caller, session: str) -> None:
    request = {"parts": [{"type": "text", "text": "[[say continued]]"}]}

    told = call("opencode.sessions.prompt_async", session_id=session, request=request)

    assert told == {"ok": True, "session_id": session}
    until(lambda: "continued" in str(call("opencode.sessions.messages.list", session_id=session)), within=20)
    until(lambda: not call("opencode.sessions.status")["items"], within=20)


def test_a_command_is_run(call: Caller, session: str) -> None:
    request = {"command": "/review", "arguments": "focus on security findings"}

    told: Any = until(
        lambda: call.answer("opencode.sessions.command", session_id=session, request=request).get("result")
    )

    assert told["item"]["kind"] == "message"
    assert "reviewed: focus on security findings" in str(told["item"]["parts"])


def test_a_line_is_run_in_the_shell(call: Caller, session: str) -> None:
    request = {"agent": "build", "command": "echo short status"}

    told = call("opencode.sessions.shell", session_id=session, request=request)

    assert told["item"]["role"] == "agent"
    assert "short status" in str(told["item"]["parts"])


def test_the_shell_is_disabled_unless_it_is_switched_on(opencode_with_commands: RealOpenCode) -> None:
    with RunningService(in_front_of(opencode_with_commands)) as careful:
        request = {"agent": "build", "command": "git status --short"}
        error = Caller(careful).error("opencode.sessions.shell", session_id="ses_1", request=request)

    assert error["data"]["type"] == "METHOD_DISABLED"


def test_providers_are_listed(call: Caller) -> None:
    told = call("opencode.providers.list", {})

    assert set(told) == {"items", "default_by_provider", "connected"}
    (provider,) = told["items"]
    assert provider["provider_id"] == PROVIDER
    assert {"name", "source", "connected", "default_model_id", "model_count"} <= set(provider)


def test_models_of_a_provider_are_listed(call: Caller) -> None:
    told = call("opencode.models.list", provider_id=PROVIDER)

    fields = {
        "provider_id",
        "model_id",
        "name",
        "status",
        "context_window",
        "supports_reasoning",
        "supports_tool_call",
        "supports_attachments",
        "default",
        "connected",
    }
    assert told["items"]
    assert all(fields <= set(model) for model in told["items"])


@pytest.mark.parametrize(
    ("method", "params", "kind", "field"),
    [
        ("opencode.sessions.messages.list", {}, "MISSING_FIELD", "session_id"),
        ("opencode.sessions.list", {"limit": 0}, "INVALID_FIELD", "limit"),
        ("opencode.sessions.list", {"limit": 1, "query": {"limit": 2}}, "INVALID_FIELD", "limit"),
        ("opencode.sessions.list", {"cursor": "x"}, "INVALID_FIELD", "cursor"),
        ("opencode.models.list", {"provider_id": 1}, "INVALID_FIELD", "provider_id"),
        ("opencode.models.list", {"colour": "red"}, "INVALID_FIELD", "colour"),
        ("opencode.sessions.prompt_async", {"session_id": "ses_1", "request": {}}, "MISSING_FIELD", "request.parts"),
        (
            "opencode.sessions.prompt_async",
            {"session_id": "ses_1", "request": {"parts": [], "messageID": "1"}},
            "INVALID_FIELD",
            "request.messageID",
        ),
    ],
)
def test_what_is_wrong_is_named_where_0_2_named_it(
    call: Caller, method: str, params: dict[str, Any], kind: str, field: str
) -> None:
    error = call.error(method, params)

    assert error["code"] == -32602
    assert (error["data"]["type"], error["data"]["field"]) == (kind, field)


def test_a_session_that_is_none_is_not_found(call: Caller) -> None:
    for session in ("ses_nope", "s-1"):
        error = call.error("opencode.sessions.messages.list", session_id=session)
        assert (error["data"]["type"], error["data"]["session_id"]) == ("SESSION_NOT_FOUND", session)


def test_a_call_without_an_id_is_answered_with_nothing(service: RunningService, session: str) -> None:
    body = {"jsonrpc": "2.0", "method": "opencode.sessions.messages.list", "params": {"session_id": session}}

    answer = httpx.post(
        service.url, json=body, headers={"authorization": f"Bearer {service.token}"}, timeout=30, trust_env=False
    )

    assert (answer.status_code, answer.content) == (204, b"")


def test_the_card_has_what_0_2s_clients_look_for(service: RunningService) -> None:
    card = httpx.get(f"{service.url}/.well-known/agent-card.json", trust_env=False).json()

    found = {extension["uri"]: extension["params"] for extension in card["capabilities"]["extensions"]}
    sessions, providers = (
        found["urn:opencode-a2a:session-query/v1"],
        found["urn:opencode-a2a:provider-discovery/v1"],
    )
    assert sessions["methods"]["list_sessions"] == "opencode.sessions.list"
    assert sessions["methods"]["shell"] == "opencode.sessions.shell"
    assert sessions["errors"]["business_codes"]["SESSION_NOT_FOUND"] == -32054
    assert providers["methods"] == providers["methods"] | {
        "list_providers": "opencode.providers.list",
        "list_models": "opencode.models.list",
    }
