"""What OpenCode offers beyond turns, read from what it really answers."""

from __future__ import annotations

import httpx
import pytest

from opencode_a2a_server.adapters.outbound.opencode.catalog import OpenCodeCatalog
from opencode_a2a_server.adapters.outbound.opencode.files import OpenCodeFiles
from opencode_a2a_server.adapters.outbound.opencode.sessions import OpenCodeEditor, OpenCodeReader, OpenCodeWorker
from opencode_a2a_server.adapters.outbound.opencode.workspaces import OpenCodeWorkspaces
from opencode_a2a_server.app.ports.catalog import Price
from opencode_a2a_server.app.ports.sessions import AgentNamed, Command, Order, SessionFilter, ShellLine, SubtaskGiven
from opencode_a2a_server.app.ports.workspaces import NewWorktree
from opencode_a2a_server.domain.errors import (
    AgentFault,
    AgentRefused,
    ContentTypeNotSupported,
    InvalidRequest,
    SessionBusy,
    SessionNotFound,
)
from opencode_a2a_server.domain.ids import MessageId, SessionId
from opencode_a2a_server.domain.message import DataPart, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.session import Directory, ModelChoice, PromptOptions
from tests.adapters.outbound.opencode.answers import ANSWERS, Recorded

pytestmark = pytest.mark.anyio

ONE = SessionId("ses_one")
HERE = f"/session/{ONE}"
MODEL = ModelChoice("fake", "scripted")


# Sessions


async def test_sessions_are_listed_with_their_titles_and_times() -> None:
    opencode = Recorded({"GET /session": "sessions"})
    wanted = SessionFilter(1, Directory("/workspace"), roots=True, start=5.0, search="A")

    (details,) = await OpenCodeReader(opencode.client()).list(wanted)

    recorded = ANSWERS["sessions"]["body"][0]
    assert (details.id, details.title, details.directory) == (recorded["id"], "A session", "/workspace")
    assert details.updated == recorded["time"]["updated"] / 1000
    assert details.model == MODEL
    assert dict(opencode.asked[0].url.params) == {
        "directory": "/workspace",
        "limit": "1",
        "roots": "true",
        "start": "5",
        "search": "A",
    }


async def test_the_configured_directory_is_asked_where_none_is_named() -> None:
    opencode = Recorded({"GET /session": "sessions"})

    await OpenCodeReader(opencode.client("/workspace")).list(SessionFilter(1))

    assert opencode.asked[0].url.params["directory"] == "/workspace"


@pytest.mark.parametrize("name", ["s-1", "msg_1", ""])
async def test_what_is_no_id_of_a_session_is_not_asked_for(name: str) -> None:
    opencode = Recorded()

    with pytest.raises(SessionNotFound):
        await OpenCodeReader(opencode.client()).get(SessionId(name))

    assert opencode.asked == []


@pytest.mark.parametrize("name", ["ses_1/shell?", "ses_1?", "ses_1/../../global/dispose", "ses_1%2fshell", "ses_1#"])
async def test_no_id_leads_to_another_path(name: str) -> None:
    opencode = Recorded()
    client, session = opencode.client(), SessionId(name)

    for call in (
        OpenCodeReader(client).get(session),
        OpenCodeEditor(client).unshare(session),
        OpenCodeEditor(client).delete(session),
        OpenCodeWorker(client).command(session, Command("hello", "")),
    ):
        with pytest.raises(InvalidRequest):
            await call
    with pytest.raises(InvalidRequest):
        await OpenCodeReader(client).message(ONE, MessageId("msg_1/../x"))
    with pytest.raises(InvalidRequest):
        await OpenCodeWorkspaces(client).remove_workspace(None, "wrk_1/../x")

    assert all(request.url.path == "/command" for request in opencode.asked)


async def test_a_session_or_message_that_is_none_is_not_found() -> None:
    opencode = Recorded({f"GET {HERE}": "no session", f"GET {HERE}/message/msg_nope": "no message"})
    reader = OpenCodeReader(opencode.client())

    with pytest.raises(SessionNotFound, match="session ses_one"):
        await reader.get(ONE)
    with pytest.raises(SessionNotFound, match="message msg_nope"):
        await reader.message(ONE, MessageId("msg_nope"))


async def test_a_history_has_every_part() -> None:
    opencode = Recorded({f"GET {HERE}/message": "messages"})

    page = await OpenCodeReader(opencode.client()).messages(ONE, 20, None)

    user, worked, answered = page.messages
    assert (user.role, user.parts[0]) == (Role.USER, TextPart(user.parts[0].text, user.parts[0].metadata))  # type: ignore[union-attr]
    files = [part for part in user.parts if isinstance(part, RawPart)]
    assert [(file.raw, file.media_type, file.filename) for file in files] == [(b"hello", "text/plain", "n.txt")]
    kinds = [part.data["type"] for part in worked.parts if isinstance(part, DataPart)]  # type: ignore[index,call-overload]
    assert kinds == ["step-start", "reasoning", "tool", "step-finish", "patch"]
    assert [part.text for part in answered.parts if isinstance(part, TextPart)] == [
        "The tool answered: Wrote file successfully.\ndone"
    ]
    assert worked.usage is not None
    assert (worked.usage.input_tokens, worked.usage.cost, worked.finish) == (80, 0.000276, "tool-calls")
    assert worked.parent_id == user.id
    assert worked.model == user.model == MODEL
    assert page.before is None


async def test_what_opencode_put_into_a_users_mouth_is_no_text() -> None:
    opencode = Recorded({f"GET {HERE}/message": "messages"})

    page = await OpenCodeReader(opencode.client()).messages(ONE, 20, None)

    texts = [part.text for part in page.messages[0].parts if isinstance(part, TextPart)]
    assert texts == ["[[reason hm]][[write a.txt hi]][[say done]]"]
    synthetic = [part.data for part in page.messages[0].parts if isinstance(part, DataPart)]
    assert any("Called the Read tool" in str(data) for data in synthetic)


async def test_a_page_names_the_next_one() -> None:
    opencode = Recorded({f"GET {HERE}/message": "newest message"})

    page = await OpenCodeReader(opencode.client()).messages(ONE, 1, "here")

    assert page.before == ANSWERS["newest message"]["cursor"]
    assert dict(opencode.asked[0].url.params) == {"limit": "1", "before": "here"}


async def test_a_place_that_is_none_is_refused() -> None:
    opencode = Recorded({f"GET {HERE}/message": "bad cursor"})

    with pytest.raises(InvalidRequest) as refused:
        await OpenCodeReader(opencode.client()).messages(ONE, 1, "nonsense")

    assert refused.value.field == "before"


def poisoned(request: httpx.Request) -> str:
    if request.url.params["limit"] != "1":
        return "poisoned messages"
    return "poisoned older" if "before" in request.url.params else "poisoned newest"


async def test_of_a_session_that_cannot_be_read_what_is_newer_is_read() -> None:
    opencode = Recorded({f"GET {HERE}/message": poisoned})

    page = await OpenCodeReader(opencode.client()).messages(ONE, 20, None)

    (spoken,) = page.messages
    assert spoken.structured == {"colour": "red"}
    assert spoken.parts[-1] == DataPart(
        {"colour": "red"}, "application/json", metadata={"opencode": {"part_type": "structured"}}
    )
    assert page.before is None


@pytest.mark.parametrize(
    ("message", "asked"), [(None, [f"GET {HERE}/message", f"GET {HERE}/diff"]), ("msg_1", [f"GET {HERE}/diff"])]
)
async def test_what_a_turn_changed_is_told_with_its_patch(message: str | None, asked: list[str]) -> None:
    opencode = Recorded({f"GET {HERE}/message": "messages", f"GET {HERE}/diff": "diff"})

    (change,) = await OpenCodeReader(opencode.client()).changes(ONE, None if message is None else MessageId(message))

    assert (change.file, change.additions, change.deletions, change.status) == ("a.txt", 1, 0, "added")
    assert change.patch is not None
    assert "+hi" in change.patch
    assert [f"{request.method} {request.url.path}" for request in opencode.asked] == asked


async def test_where_no_turn_changed_anything_there_are_no_changes() -> None:
    opencode = Recorded({f"GET {HERE}/message": "messages", f"GET {HERE}/diff": "no diff"})

    assert await OpenCodeReader(opencode.client()).changes(ONE, None) == []


async def test_todos_and_states_are_read() -> None:
    opencode = Recorded({f"GET {HERE}/todo": "todo", "GET /session/status": "status"})
    reader = OpenCodeReader(opencode.client())

    (todo,) = await reader.todos(ONE)
    (state,) = await reader.states(Directory("/workspace"))

    assert (todo.content, todo.status, todo.priority) == ("Think", "in_progress", "high")
    assert (state.session_id, state.type) == (ANSWERS["create"]["body"]["id"], "busy")


async def test_a_session_that_is_taken_back_says_to_where() -> None:
    opencode = Recorded({f"POST {HERE}/revert": "revert", f"POST {HERE}/unrevert": "unrevert"})
    editor = OpenCodeEditor(opencode.client())

    reverted = await editor.revert(ONE, MessageId("msg_1"), "prt_1")
    restored = await editor.unrevert(ONE)

    assert reverted.revert is not None
    assert reverted.revert.message_id == ANSWERS["revert"]["body"]["revert"]["messageID"]
    assert "deleted file" in (reverted.revert.diff or "")
    assert restored.revert is None
    assert opencode.bodies[0] == {"messageID": "msg_1", "partID": "prt_1"}


async def test_sharing_that_is_off_is_told_as_opencode_tells_it() -> None:
    opencode = Recorded({f"POST {HERE}/share": "share"})

    with pytest.raises(AgentRefused) as refused:
        await OpenCodeEditor(opencode.client()).share(ONE)

    assert refused.value.status == 500


@pytest.mark.parametrize(
    ("session", "named", "default", "chosen"),
    [
        ("session", ModelChoice("a", "b"), None, ModelChoice("a", "b")),
        ("session", None, ModelChoice("c", "d"), MODEL),
        ("create", None, ModelChoice("c", "d"), ModelChoice("c", "d")),
        ("create", None, None, None),
    ],
)
async def test_who_summarizes_is_always_said(
    session: str, named: ModelChoice | None, default: ModelChoice | None, chosen: ModelChoice | None
) -> None:
    opencode = Recorded({f"GET {HERE}": session, "GET /provider": "providers", f"POST {HERE}/summarize": "deleted"})

    await OpenCodeEditor(opencode.client(), default).summarize(ONE, named, auto=False)

    (body,) = opencode.bodies
    told = ModelChoice(body["providerID"], body["modelID"])
    assert told == (chosen or ModelChoice("fake", ANSWERS["providers"]["body"]["default"]["fake"]))


# Work


async def test_a_prompt_is_sent_in_opencodes_words() -> None:
    opencode = Recorded({f"POST {HERE}/prompt_async": "nothing"})
    parts = (TextPart("hi"), AgentNamed("general"), SubtaskGiven("do", "it", "general", MODEL, "c"))
    options = PromptOptions(MODEL, "build", "be brief", "high")
    order = Order(parts, MessageId("msg_1"), options, {"bash": False}, schema={"type": "object"}, retries=1)

    await OpenCodeWorker(opencode.client()).prompt(ONE, order)

    model = {"providerID": "fake", "modelID": "scripted"}
    subtask = {
        "type": "subtask",
        "prompt": "do",
        "description": "it",
        "agent": "general",
        "model": model,
        "command": "c",
    }
    assert opencode.bodies == [
        {
            "messageID": "msg_1",
            "parts": [{"type": "text", "text": "hi"}, {"type": "agent", "name": "general"}, subtask],
            "model": model,
            "agent": "build",
            "system": "be brief",
            "variant": "high",
            "tools": {"bash": False},
            "format": {"type": "json_schema", "schema": {"type": "object"}, "retryCount": 1},
        }
    ]


async def test_a_file_that_would_poison_the_session_is_refused_by_its_place() -> None:
    opencode = Recorded()
    worker = OpenCodeWorker(opencode.client())

    with pytest.raises(ContentTypeNotSupported):
        await worker.prompt(ONE, Order((UrlPart("ftp://example.org/x", "text/plain"),)))
    with pytest.raises(InvalidRequest) as refused:
        await worker.prompt(ONE, Order((TextPart("a"), UrlPart("data:text/plain;base64,!"))))

    assert refused.value.field == "request.parts[1]"
    assert opencode.asked == []


async def test_a_commands_model_is_one_word() -> None:
    opencode = Recorded({f"POST {HERE}/command": "command"})

    spoken = await OpenCodeWorker(opencode.client()).command(ONE, Command("hello", "", options=PromptOptions(MODEL)))

    assert opencode.bodies == [{"command": "hello", "arguments": "", "model": "fake/scripted"}]
    assert [part.text.strip() for part in spoken.parts if isinstance(part, TextPart)] == ["hello you"]


async def test_what_opencode_does_not_have_is_told_with_what_it_has() -> None:
    refused = {f"POST {HERE}/command": "no command", f"POST {HERE}/shell": "no command"}
    opencode = Recorded({**refused, "GET /command": "commands", "GET /agent": "agents"})
    worker = OpenCodeWorker(opencode.client())

    with pytest.raises(InvalidRequest, match="hello") as command:
        await worker.command(ONE, Command("nope", ""))
    with pytest.raises(InvalidRequest, match="build") as shell:
        await worker.shell(ONE, ShellLine("nope", "true"))
    with pytest.raises(AgentRefused):
        await worker.command(ONE, Command("hello", ""))
    with pytest.raises(AgentRefused):
        await worker.shell(ONE, ShellLine("build", "true"))

    assert (command.value.field, shell.value.field) == ("request.command", "request.agent")


async def test_a_session_at_work_is_busy() -> None:
    opencode = Recorded({f"POST {HERE}/shell": "busy shell"})

    with pytest.raises(SessionBusy):
        await OpenCodeWorker(opencode.client()).shell(ONE, ShellLine("build", "true"))


# What there is to work with


async def test_models_are_told_with_what_they_can_do_and_without_keys() -> None:
    opencode = Recorded({"GET /provider": "providers"})

    offer = await OpenCodeCatalog(opencode.client()).models(None)

    (provider,) = offer.providers
    assert (provider.provider_id, provider.connected, provider.model_count) == ("fake", True, 2)
    model = next(model for model in offer.models if model.model_id == "scripted")
    assert (model.context_window, model.max_output_tokens, model.status) == (200_000, 8192, "active")
    assert (model.supports_reasoning, model.supports_tool_call, model.supports_attachments) == (True, True, True)
    assert model.price == Price(3, 15, 0.3, 3.75)
    assert model.variants == ("low", "medium", "high")
    assert [model.default for model in offer.models].count(True) == 1
    assert "apiKey" not in str(offer)


async def test_agents_commands_and_servers_of_tools_are_read() -> None:
    opencode = Recorded({"GET /agent": "agents", "GET /command": "commands", "GET /mcp": "mcp"})
    catalog = OpenCodeCatalog(opencode.client())

    agents = {agent.name: agent for agent in await catalog.agents(None)}
    commands = {command.name: command for command in await catalog.commands(None)}
    servers = {server.name: server for server in await catalog.tool_servers(None)}

    assert (agents["build"].mode, agents["general"].mode, agents["compaction"].hidden) == ("primary", "subagent", True)
    assert (commands["hello"].description, commands["hello"].hints) == ("Greets", ("$ARGUMENTS",))
    assert (servers["gone"].status, servers["broken"].status) == ("disabled", "failed")
    assert "closed" in (servers["broken"].error or "")


# Files


async def test_files_and_their_changes_are_read() -> None:
    opencode = Recorded(
        {
            "GET /file": "files",
            "GET /file/content": "content",
            "GET /find/file": "find",
            "GET /vcs": "vcs",
            "GET /vcs/status": "vcs status",
            "GET /vcs/diff": "vcs diff",
        }
    )
    files = OpenCodeFiles(opencode.client())

    listed = {entry.path: entry.type for entry in await files.list(None, ".")}
    content = await files.read(Directory("/workspace"), "README.md")
    branch = await files.branch(None)
    (status,) = await files.status(None)
    (change,) = await files.changes(None, "git")

    assert (listed["README.md"], listed[".git/"]) == ("file", "directory")
    assert (content.type, content.content) == ("text", "A workspace.")
    assert dict(opencode.asked[1].url.params) == {"directory": "/workspace", "path": "README.md"}
    assert await files.find(None, "read", "file", 5) == ["README.md"]
    assert (branch.branch, branch.default_branch) == ("master", "master")
    assert (status.path, status.status, status.added) == ("a.txt", "added", 1)
    assert (change.file, "+hi" in (change.patch or "")) == ("a.txt", True)


async def test_what_is_outside_is_the_callers_mistake() -> None:
    opencode = Recorded({"GET /file": "outside", "GET /file/content": "outside", "GET /find": "outside"})
    files = OpenCodeFiles(opencode.client())

    for call, field in (
        (files.list(None, ".."), "path"),
        (files.read(None, "../x"), "path"),
        (files.search(None, "("), "pattern"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await call
        assert refused.value.field == field


# Projects and worktrees


async def test_projects_and_worktrees_are_read() -> None:
    tree = "/experimental/worktree"
    answers = {
        "GET /project": "projects",
        "GET /project/current": "project",
        "GET /experimental/workspace": "workspaces",
    }
    trees = {f"GET {tree}": "worktrees", f"POST {tree}": "new worktree", f"DELETE {tree}": "removed worktree"}
    opencode = Recorded({**answers, **trees, "DELETE /experimental/workspace/wrk_nope": "removed workspace"})
    workspaces = OpenCodeWorkspaces(opencode.client())

    (project,) = await workspaces.projects()
    made = await workspaces.create_worktree(None, NewWorktree("wt", "make"))
    await workspaces.remove_worktree(None, made.directory)

    assert (project.worktree, project.vcs) == ("/workspace", "git")
    assert await workspaces.project(None) == project
    assert (made.name, made.branch) == ("wt", "opencode/wt")
    assert await workspaces.worktrees(None) == [made.directory]
    assert await workspaces.workspaces(None) == []
    assert await workspaces.remove_workspace(None, "wrk_nope") is None
    assert opencode.bodies == [{"name": "wt", "startCommand": "make"}, {"directory": made.directory}]


async def test_nonsense_is_opencodes_fault() -> None:
    opencode = Recorded({f"GET {HERE}": "find", "GET /provider": "find", "GET /session": "session"})
    client = opencode.client()

    for call in (
        OpenCodeReader(client).get(ONE),
        OpenCodeCatalog(client).models(None),
        OpenCodeReader(client).list(SessionFilter(1)),
    ):
        with pytest.raises(AgentFault):
            await call
