"""Each method of the table takes what its contract says, and tells what it says."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

import pytest
from attrs import define, field

from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE
from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.ports.sessions import SessionState, Spoken
from opencode_a2a_server.domain.ids import MessageId, SessionId
from opencode_a2a_server.domain.message import DataPart, RawPart, Role, TextPart
from opencode_a2a_server.domain.session import ModelChoice
from opencode_a2a_server.domain.usage import Usage
from tests.adapters.inbound.a2a.methods.served import every_service
from tests.adapters.inbound.a2a.stage import HEADERS, PRINCIPAL, Stage
from tests.app.usecases.workshop import Workshop

pytestmark = pytest.mark.anyio

SESSION = {"session_id": "ses_mine"}
PROMPT = {"parts": [{"type": "text", "text": "go on"}]}
TREE = {"request": {"directory": "/trees/a"}}
SAMPLES: dict[str, dict[str, Any]] = {
    "opencode.sessions.list": {},
    "opencode.sessions.messages.list": SESSION | {"limit": 1},
    "opencode.sessions.status": {},
    "opencode.sessions.get": SESSION,
    "opencode.sessions.children": SESSION,
    "opencode.sessions.todo": SESSION,
    "opencode.sessions.diff": SESSION,
    "opencode.sessions.messages.get": SESSION | {"message_id": "msg_2"},
    "opencode.sessions.prompt_async": SESSION | {"request": PROMPT},
    "opencode.sessions.command": SESSION | {"request": {"command": "hello", "arguments": ""}},
    "opencode.sessions.shell": SESSION | {"request": {"agent": "build", "command": "true"}},
    "opencode.sessions.summarize": SESSION,
    "opencode.sessions.structured": SESSION | {"request": PROMPT | {"schema": {"type": "object"}}},
    "opencode.sessions.create": {"title": "new"},
    "opencode.sessions.rename": SESSION | {"title": "new"},
    "opencode.sessions.delete": SESSION,
    "opencode.sessions.fork": SESSION,
    "opencode.sessions.share": SESSION,
    "opencode.sessions.unshare": SESSION,
    "opencode.sessions.revert": SESSION | {"request": {"messageID": "msg_1"}},
    "opencode.sessions.unrevert": SESSION,
    "opencode.providers.list": {},
    "opencode.models.list": {"provider_id": "one"},
    "opencode.agents.list": {},
    "opencode.commands.list": {},
    "opencode.mcp.status": {},
    "opencode.projects.list": {},
    "opencode.projects.current": {},
    "opencode.workspaces.list": {},
    "opencode.workspaces.create": {"request": {"type": "worktree"}},
    "opencode.workspaces.remove": {"workspace_id": "wrk_1"},
    "opencode.worktrees.list": {},
    "opencode.worktrees.create": {"request": {"name": "a"}},
    "opencode.worktrees.remove": TREE,
    "opencode.worktrees.reset": TREE,
    "opencode.files.find": {"query": "a"},
    "opencode.files.list": {},
    "opencode.files.read": {"path": "a.py"},
    "opencode.files.status": {},
    "opencode.text.find": {"pattern": "a"},
    "opencode.vcs.get": {},
    "opencode.vcs.diff": {},
}


@define(eq=False)
class Caller:
    """A client of a service which has it all."""

    enabled: frozenset[Capability] = frozenset(Capability)
    workshop: Workshop = field(init=False)
    stage: Stage = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.workshop = Workshop(enabled=self.enabled, may=lambda *_: True)
        mine = self.workshop.have("ses_mine", of=PRINCIPAL, at=1_700_000_000)
        self.workshop.runtime.reader.spoken[mine.id] = [
            Spoken(MessageId("msg_1"), mine.id, Role.USER, (TextPart("go on"),)),
            Spoken(
                MessageId("msg_2"),
                mine.id,
                Role.AGENT,
                (TextPart("done"), DataPart({"type": "tool"}), RawPart(b"x", "text/plain", "x.txt")),
                created=1_700_000_000.0,
                parent_id="msg_1",
                model=ModelChoice("one", "small"),
                error={"name": "Nothing"},
                usage=Usage(1, 2, cost=0.5),
            ),
        ]
        services = every_service(self.workshop, enabled=self.enabled)
        assert services.workspaces is not None
        services.workspaces.workspaces.trees["/trees/a"] = "made"  # type: ignore[attr-defined]
        self.stage = Stage(methods=services)

    async def __call__(self, method: str, params: dict[str, Any], headers: dict[str, str] = HEADERS) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.stage.client(headers) as client, self.workshop.work:
            answering = asyncio.ensure_future(self.answer()) if method == "opencode.sessions.structured" else None
            told: dict[str, Any] = (await client.post("/", json=body)).json()
            if answering is not None:
                answering.cancel()
        return told

    async def answer(self) -> None:
        """Answer what is asked in a copy."""
        worker = self.workshop.runtime.worker
        await worker.begun.wait()
        session = worker.orders[-1][0]
        worker.rest(session, Spoken(MessageId("msg_9"), session, Role.AGENT, structured={"colour": "red"}))


@cache
def anybody() -> Caller:
    """A client who is refused: one for all tests, since nothing comes of what it asks."""
    return Caller()


def test_every_method_has_a_sample() -> None:
    assert set(SAMPLES) == {method.name for method in TABLE if method.name.startswith("opencode.")} - {
        "opencode.permissions.list",
        "opencode.questions.list",
    }


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_method_tells_the_fields_of_its_contract(name: str) -> None:
    (method,) = [method for method in TABLE if method.name == name]

    told = await Caller()(name, SAMPLES[name])

    assert "error" not in told, told
    assert set(told["result"]) == set(method.answer.fields)


@pytest.mark.parametrize("name", [method.name for method in TABLE if method.capability is not None])
async def test_what_is_switched_off_is_refused(name: str) -> None:
    caller = Caller(frozenset())

    told = await caller(name, SAMPLES[name])

    assert told["error"]["data"][0]["reason"] == "METHOD_DISABLED"
    assert caller.workshop.runtime.editor.calls == []
    assert caller.workshop.runtime.worker.lines == []


@pytest.mark.parametrize("name", SAMPLES)
async def test_no_method_takes_what_it_does_not_know(name: str) -> None:
    told = await anybody()(name, SAMPLES[name] | {"colour": "red"})

    assert told["error"]["data"][1]["fieldViolations"][0]["field"] == "colour"


@pytest.mark.parametrize("name", [name for name, params in SAMPLES.items() if "request" in params])
async def test_no_request_takes_what_it_does_not_know(name: str) -> None:
    request = SAMPLES[name]["request"] | {"colour": "red"}

    told = await anybody()(name, SAMPLES[name] | {"request": request})

    assert told["error"]["data"][1]["fieldViolations"][0]["field"] == "request.colour"


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("opencode.sessions.messages.get", SESSION | {"message_id": "msg_1/../x"}, "message_id"),
        ("opencode.sessions.revert", SESSION | {"request": {"messageID": "x"}}, "request.messageID"),
        ("opencode.sessions.fork", SESSION | {"request": {"messageID": "msg_1?x"}}, "request.messageID"),
        ("opencode.workspaces.remove", {"workspace_id": "wrk_1?x"}, "workspace_id"),
        ("opencode.worktrees.create", {"request": {"name": "../x"}}, "request.name"),
        ("opencode.worktrees.remove", {"request": {"directory": "/w"}}, "request.directory"),
        ("opencode.files.read", {"path": "../x"}, "path"),
        ("opencode.files.read", {"path": "a/..\\..\\x"}, "path"),
        ("opencode.files.find", {"query": "a", "type": "symlink"}, "type"),
        ("opencode.vcs.diff", {"mode": "HEAD"}, "mode"),
        ("opencode.sessions.summarize", SESSION | {"request": {"modelID": "x"}}, "request.providerID"),
        ("opencode.sessions.prompt_async", SESSION | {"request": {"parts": [{"type": "x"}]}}, "request.parts[0].type"),
        (
            "opencode.sessions.prompt_async",
            SESSION | {"request": {"parts": [{"type": "text"}]}},
            "request.parts[0].text",
        ),
        (
            "opencode.sessions.prompt_async",
            SESSION | {"request": PROMPT | {"format": {"type": "x"}}},
            "request.format.type",
        ),
        (
            "opencode.sessions.prompt_async",
            SESSION | {"request": PROMPT | {"tools": {"bash": 1}}},
            "request.tools[...]",
        ),
        ("opencode.sessions.command", SESSION | {"request": {"command": ""}}, "request.command"),
        ("opencode.models.list", {"directory": "/etc"}, "directory"),
    ],
)
async def test_what_is_wrong_is_named(name: str, params: dict[str, Any], field: str) -> None:
    told = await anybody()(name, params)

    assert told["error"]["code"] == -32602, told
    assert told["error"]["data"][1]["fieldViolations"][0]["field"] == field


async def test_a_message_of_a_session_is_told_with_all_its_parts() -> None:
    told = await Caller()("opencode.sessions.messages.get", SESSION | {"message_id": "msg_2"})

    item = told["result"]["item"]
    assert item["role"] == "ROLE_AGENT"
    assert item["contextId"] == "ctx:opencode-session:ses_mine"
    assert [part["text"] for part in item["parts"] if "text" in part] == ["done"]
    assert [part["data"] for part in item["parts"] if "data" in part] == [{"type": "tool"}]
    assert [(part["raw"], part["mediaType"], part["filename"]) for part in item["parts"] if "raw" in part] == [
        ("eA==", "text/plain", "x.txt")
    ]
    assert item["metadata"]["shared"]["usage"]["cost"] == 0.5
    assert item["metadata"]["opencode"]["message"] == {
        "parent_id": "msg_1",
        "model": {"provider_id": "one", "model_id": "small"},
        "error": {"name": "Nothing"},
        "created_at": "2023-11-14T22:13:20.000Z",
    }


async def test_a_client_of_0_3_gets_messages_of_0_3() -> None:
    old = {name: value for name, value in HEADERS.items() if name != "a2a-version"}

    told = await Caller()("opencode.sessions.messages.get", SESSION | {"message_id": "msg_2"}, old)

    item = told["result"]["item"]
    assert (item["kind"], item["role"]) == ("message", "agent")
    assert [part["kind"] for part in item["parts"]] == ["text", "data", "file"]


async def test_older_messages_are_reached_by_the_cursor() -> None:
    caller = Caller()
    newest = (await caller("opencode.sessions.messages.list", SESSION | {"limit": 1}))["result"]

    older = (await caller("opencode.sessions.messages.list", SESSION | {"before": newest["next_cursor"]}))["result"]

    assert [item["messageId"] for item in newest["items"] + older["items"]] == ["msg_2", "msg_1"]
    assert "next_cursor" not in older


async def test_a_session_at_work_says_what_it_is_at() -> None:
    caller = Caller()
    mine = SessionId("ses_mine")
    caller.workshop.runtime.reader.busy[mine] = SessionState(mine, "retry", attempt=2, message="busy", next=1)

    told = (await caller("opencode.sessions.status", {}))["result"]

    assert told["items"] == [{"session_id": "ses_mine", "type": "retry", "attempt": 2, "message": "busy", "next": 1}]


async def test_a_slash_before_a_command_is_none_of_its_name() -> None:
    caller = Caller()

    await caller("opencode.sessions.command", SESSION | {"request": {"command": "/review", "arguments": "x"}})

    assert [command.name for command in caller.workshop.runtime.worker.commands] == ["review"]


async def test_a_format_of_text_is_not_passed_on() -> None:
    caller = Caller()

    told = await caller("opencode.sessions.prompt_async", SESSION | {"request": PROMPT | {"format": {"type": "text"}}})

    assert told["result"] == {"ok": True, "session_id": "ses_mine"}
    assert [order.schema for _, order in caller.workshop.runtime.worker.orders] == [None]


async def test_a_prompt_with_a_schema_says_which_copy_works_on_it() -> None:
    schema = {"type": "json_schema", "schema": {"type": "object"}, "retryCount": 1}

    told = await Caller()("opencode.sessions.prompt_async", SESSION | {"request": PROMPT | {"format": schema}})

    assert told["result"]["forked_from"] == "ses_mine" != told["result"]["session_id"]


async def test_results_are_cut_to_what_was_asked_for() -> None:
    found = await Caller()("opencode.files.find", {"query": "a", "limit": 3})
    lines = await Caller()("opencode.text.find", {"pattern": "a"})

    assert len(found["result"]["items"]) == 3
    assert len(lines["result"]["items"]) == 20


async def test_a_worktree_is_made_and_put_back_and_removed() -> None:
    caller = Caller()
    made = (await caller("opencode.worktrees.create", {"request": {"name": "b", "startCommand": "make"}}))["result"]

    assert made["item"] == {"directory": "/trees/b", "name": "b", "branch": "opencode/b"}
    for method in ("opencode.worktrees.reset", "opencode.worktrees.remove"):
        assert (await caller(method, {"request": {"directory": "/trees/b"}}))["result"] == {"ok": True}
    assert (await caller("opencode.worktrees.list", {}))["result"] == {"items": ["/trees/a"]}
