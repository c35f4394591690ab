"""The extension methods, on a real OpenCode."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.answer import MODEL
from tests.e2e.caller import Caller, in_front_of
from tests.e2e.model import ScriptedModel
from tests.e2e.opencode import OTHER_MODEL, PROVIDER, RealOpenCode
from tests.e2e.service import RunningService
from tests.e2e.until import until

ON = {
    "A2A_ENABLE_SESSION_SHELL": "true",
    "A2A_ENABLE_WORKSPACE_MUTATIONS": "true",
    "A2A_ENABLE_SESSION_DELETE": "true",
}
COMMANDS = {"hello": {"template": "[[say hello $ARGUMENTS]]", "description": "Greets"}}
TOOLS = {"gone": {"type": "local", "command": ["false"], "enabled": False}}


@pytest.fixture(scope="module")
def workshop(opencode_binary: Path, model: ScriptedModel) -> Iterator[RealOpenCode]:
    """An OpenCode in a git repository, with snapshots, a command and a server of tools."""
    config = {"command": COMMANDS, "mcp": TOOLS}
    with RealOpenCode(opencode_binary, model.url, git=True, snapshot=True, config=config) as opencode:
        yield opencode


@pytest.fixture(scope="module")
def service(workshop: RealOpenCode) -> Iterator[RunningService]:
    with RunningService(in_front_of(workshop, **ON)) as service:
        yield service


@pytest.fixture
def call(service: RunningService) -> Caller:
    return Caller(service, "1.0")


@pytest.fixture
def session(call: Caller) -> str:
    """A session of ours, in which nothing was said yet."""
    created: str = call("opencode.sessions.create", title="A session")["item"]["id"]
    return created


def say(call: Caller, session: str, text: str, **more: Any) -> dict[str, Any]:
    request = {"parts": [{"type": "text", "text": text}], **more}
    return call("opencode.sessions.prompt_async", session_id=session, request=request)


def history(call: Caller, session: str, least: int = 2) -> list[dict[str, Any]]:
    """The messages of a session once it rests, and there are so many."""

    def resting() -> list[dict[str, Any]]:
        busy = [item["session_id"] for item in call("opencode.sessions.status")["items"]]
        items: list[dict[str, Any]] = call("opencode.sessions.messages.list", session_id=session)["items"]
        return [] if session in busy or len(items) < least else items

    return until(resting, within=30, what="a session that rests")


def texts(message: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in message["parts"])


def data(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    parts = [part for message in messages for part in message["parts"]]
    return [part["data"] for part in parts if part.get("metadata", {}).get("opencode", {}).get("part_type") == kind]


# Sessions


def test_a_session_is_made_renamed_listed_and_deleted(call: Caller) -> None:
    made = call("opencode.sessions.create", title="First")["item"]
    renamed = call("opencode.sessions.rename", session_id=made["id"], title="Second")["item"]

    listed = {task["id"]: task for task in call("opencode.sessions.list", limit=100)["items"]}
    got = call("opencode.sessions.get", session_id=made["id"])["item"]

    assert (made["title"], renamed["title"]) == ("First", "Second")
    assert listed[made["id"]] == got
    assert got["contextId"] == f"ctx:opencode-session:{made['id']}"
    assert got["metadata"]["shared"]["session"] == {"id": made["id"], "title": "Second"}
    assert got["metadata"]["opencode"]["session"]["created_at"].endswith("Z")
    assert call("opencode.sessions.delete", session_id=made["id"]) == {"ok": True, "session_id": made["id"]}
    assert call.error("opencode.sessions.get", session_id=made["id"])["data"][0]["reason"] == "SESSION_NOT_FOUND"


def test_sessions_are_found_by_what_their_title_has_in_it(call: Caller) -> None:
    made = call("opencode.sessions.create", title="plover and company")["item"]

    found = call("opencode.sessions.list", search="plover")["items"]

    assert [task["id"] for task in found] == [made["id"]]


def test_a_history_has_all_that_was_said_and_done(call: Caller, session: str) -> None:
    say(call, session, "[[reason because]][[write seen.txt hello]][[say all done]]")
    messages = history(call, session, least=3)

    assert [message["role"] for message in messages] == ["ROLE_USER", "ROLE_AGENT", "ROLE_AGENT"]
    assert texts(messages[0]) == "[[reason because]][[write seen.txt hello]][[say all done]]"
    assert "all done" in texts(messages[2])
    assert "because" not in texts(messages[1])
    assert [part["text"].strip() for part in data(messages, "reasoning")] == ["because"]
    (tool,) = data(messages, "tool")
    assert (tool["tool"], tool["status"], tool["input"]["filePath"]) == ("write", "completed", "seen.txt")
    assert data(messages, "patch")[0]["files"][0].endswith("seen.txt")
    assert messages[1]["metadata"]["shared"]["usage"]["input_tokens"] > 0
    assert messages[1]["metadata"]["opencode"]["message"]["finish"] == "tool-calls"


def test_a_history_is_read_page_by_page(call: Caller, session: str) -> None:
    say(call, session, "[[say one]]")
    messages = history(call, session)

    newest = call("opencode.sessions.messages.list", session_id=session, limit=1)
    older = call("opencode.sessions.messages.list", session_id=session, limit=1, before=newest["next_cursor"])
    one = call("opencode.sessions.messages.get", session_id=session, message_id=messages[0]["messageId"])["item"]

    assert [*older["items"], *newest["items"]] == messages
    assert one == messages[0]
    refused = call.error("opencode.sessions.messages.list", session_id=session, before="nonsense")
    assert refused["data"][1]["fieldViolations"][0]["field"] == "before"


def test_what_a_turn_changed_is_a_patch(call: Caller, session: str) -> None:
    say(call, session, "[[write changed.txt hello]][[say done]]")
    messages = history(call, session, least=3)

    last = call("opencode.sessions.diff", session_id=session)["items"]
    named = call("opencode.sessions.diff", session_id=session, message_id=messages[0]["messageId"])["items"]

    assert last == named
    (change,) = last
    assert (change["file"], change["additions"], change["status"]) == ("changed.txt", 1, "added")
    assert "+hello" in change["patch"]


def test_a_session_is_taken_back_and_forth(call: Caller, workshop: RealOpenCode, session: str) -> None:
    say(call, session, "[[write undone.txt hello]][[say done]]")
    first = history(call, session, least=3)[0]["messageId"]
    file = workshop.workspace / "undone.txt"
    assert file.exists()

    reverted = call("opencode.sessions.revert", session_id=session, request={"messageID": first})["item"]
    there_then = file.exists()
    restored = call("opencode.sessions.unrevert", session_id=session)["item"]

    assert reverted["revert"]["message_id"] == first
    assert (there_then, file.exists()) == (False, True)
    assert "revert" not in restored


def test_todos_are_told_although_they_have_no_ids(call: Caller, session: str) -> None:
    todos = '[{"content": "Think", "status": "in_progress", "priority": "high"}]'
    say(call, session, '[[tool todowrite {"todos": ' + todos + "}]][[say noted]]")
    history(call, session, least=3)

    told = call("opencode.sessions.todo", session_id=session)["items"]

    assert told == [{"content": "Think", "status": "in_progress", "priority": "high"}]


def test_sub_agents_sessions_are_children(call: Caller, session: str) -> None:
    say(call, session, "[[task say hello]][[say done]]")
    history(call, session, least=3)

    (child,) = call("opencode.sessions.children", session_id=session)["items"]

    assert child["metadata"]["opencode"]["session"]["parent_id"] == session
    assert call("opencode.sessions.get", session_id=child["id"])["item"] == child


def test_a_fork_remembers_what_was_said_before(call: Caller, session: str) -> None:
    say(call, session, "[[say one]]")
    messages = history(call, session)

    whole = call("opencode.sessions.fork", session_id=session)["item"]["id"]
    empty = call("opencode.sessions.fork", session_id=session, request={"messageID": messages[0]["messageId"]})["item"]

    assert [texts(one) for one in history(call, whole)] == [texts(one) for one in messages]
    assert call("opencode.sessions.messages.list", session_id=empty["id"])["items"] == []


def test_sharing_that_is_switched_off_in_opencode_says_so(call: Caller, session: str) -> None:
    refused = call.error("opencode.sessions.share", session_id=session)

    assert refused["data"][0]["reason"] == "UPSTREAM_HTTP_ERROR"
    assert refused["data"][0]["metadata"]["upstream_status"] == "500"
    assert call("opencode.sessions.unshare", session_id=session)["item"]["id"] == session


@pytest.mark.parametrize("named", [{}, {"request": {"providerID": PROVIDER, "modelID": OTHER_MODEL}}])
def test_a_session_is_summarized_by_its_own_model_or_another(
    call: Caller, model: ScriptedModel, session: str, named: dict[str, Any]
) -> None:
    say(call, session, "[[say one]]")
    history(call, session)

    done = call("opencode.sessions.summarize", session_id=session, **named)

    assert done == {"ok": True, "session_id": session}
    calls = [made for made in model.requests if made.kind == "summary" and made.session == session]
    assert [made.body["model"] for made in calls] == [OTHER_MODEL if named else MODEL]


def test_a_session_in_which_no_model_has_worked_is_summarized_by_the_default_one(call: Caller, session: str) -> None:
    assert call("opencode.sessions.summarize", session_id=session)["ok"] is True


# Work


def test_a_command_is_run_with_and_without_arguments(call: Caller, session: str) -> None:
    with_some = call("opencode.sessions.command", session_id=session, request={"command": "/hello", "arguments": "you"})
    without = call("opencode.sessions.command", session_id=session, request={"command": "hello", "arguments": ""})

    assert texts(with_some["item"]).strip() == "hello you"
    assert texts(without["item"]).strip() == "hello"


def test_a_command_is_run_by_the_model_that_is_named(call: Caller, model: ScriptedModel, session: str) -> None:
    other = {"providerID": PROVIDER, "modelID": OTHER_MODEL}

    call("opencode.sessions.command", session_id=session, request={"command": "hello", "arguments": "", "model": other})

    assert [made.body["model"] for made in model.calls_of(session)] == [OTHER_MODEL]


def test_a_command_that_is_none_is_refused_with_those_there_are(call: Caller, session: str) -> None:
    refused = call.error("opencode.sessions.command", session_id=session, request={"command": "nope", "arguments": ""})

    assert refused["code"] == -32602
    assert "hello" in refused["message"]
    assert refused["data"][1]["fieldViolations"][0]["field"] == "request.command"


def test_the_shell_runs_a_line_and_says_who_ran_it(call: Caller, service: RunningService, session: str) -> None:
    request = {"agent": "build", "command": "echo from the shell"}

    item = call("opencode.sessions.shell", session_id=session, request=request)["item"]

    (tool,) = data([item], "tool")
    assert tool["output"] == "from the shell\n"
    assert "session_shell" in service.log


def test_the_shell_of_an_agent_that_is_none_is_refused_with_those_there_are(call: Caller, session: str) -> None:
    refused = call.error("opencode.sessions.shell", session_id=session, request={"agent": "nope", "command": "true"})

    assert "build" in refused["message"]
    assert refused["data"][1]["fieldViolations"][0]["field"] == "request.agent"


def test_a_session_does_one_thing_at_a_time(call: Caller, session: str) -> None:
    say(call, session, "[[hang 2]][[say late]]")
    more = {"parts": [{"type": "text", "text": "[[say more]]"}]}

    refused = [
        call.error("opencode.sessions.prompt_async", session_id=session, request=more),
        call.error("opencode.sessions.command", session_id=session, request={"command": "hello", "arguments": ""}),
        call.error("opencode.sessions.shell", session_id=session, request={"agent": "build", "command": "true"}),
        call.error("opencode.sessions.summarize", session_id=session),
        call.error("opencode.sessions.delete", session_id=session),
    ]

    assert {error["data"][0]["reason"] for error in refused} == {"SESSION_BUSY"}
    assert "late" in texts(history(call, session)[-1])
    until(lambda: say_if_free(call, session), what="a session that is free again")
    assert "more" in texts(history(call, session, least=4)[-1])


def say_if_free(call: Caller, session: str) -> bool:
    request = {"parts": [{"type": "text", "text": "[[say more]]"}]}
    return "result" in call.answer("opencode.sessions.prompt_async", session_id=session, request=request)


def test_a_message_to_a_session_that_is_prompted_waits_for_its_end(
    call: Caller, service: RunningService, session: str
) -> None:
    say(call, session, "[[hang 1]][[say first]]")
    message = {
        "messageId": "after-a-prompt",
        "role": "ROLE_USER",
        "parts": [{"text": "[[recall]]"}],
        "metadata": {"shared": {"session": {"id": session}}},
    }

    task = call("SendMessage", message=message)["task"]

    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert "[[hang 1]][[say first]]" in str(task["artifacts"])


def test_a_prompt_for_an_agent_that_is_none_leaves_the_session_free(call: Caller, session: str) -> None:
    say(call, session, "[[say never]]", agent="nope")

    until(lambda: say_if_free(call, session), within=15, what="a session that is free again")


def test_a_prompt_that_wants_no_reply_is_only_kept(call: Caller, session: str) -> None:
    say(call, session, "remember the milk", noReply=True)
    until(lambda: say_if_free(call, session), what="a session that is free again")

    messages = history(call, session, least=3)

    assert [texts(message).strip() for message in messages] == ["remember the milk", "[[say more]]", "more"]


# Structured output


SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
ANSWER = '[[tool StructuredOutput {"colour": "red"}]]'


def test_a_question_is_answered_by_data(call: Caller, session: str) -> None:
    say(call, session, "[[say one]]")
    before = history(call, session)
    request = {"parts": [{"type": "text", "text": ANSWER}], "schema": SCHEMA}

    told = call("opencode.sessions.structured", session_id=session, request=request)

    assert told["structured"] == {"colour": "red"}
    assert data([told["item"]], "structured") == [{"colour": "red"}]
    assert history(call, session) == before
    assert all("A structured" not in str(task) for task in call("opencode.sessions.list", limit=100)["items"])


def test_a_question_about_nothing_said_before_is_answered_by_data(call: Caller) -> None:
    request = {"parts": [{"type": "text", "text": ANSWER}], "schema": SCHEMA}

    assert call("opencode.sessions.structured", request=request)["structured"] == {"colour": "red"}


def test_a_model_that_gives_no_data_is_told_of(call: Caller) -> None:
    request = {"parts": [{"type": "text", "text": "[[say nothing of the kind]]"}], "schema": SCHEMA, "retryCount": 0}

    refused = call.error("opencode.sessions.structured", request=request)

    assert refused["data"][0]["reason"] == "UPSTREAM_PAYLOAD_ERROR"
    assert "schema" in refused["message"]


def test_a_prompt_with_a_schema_is_worked_on_in_a_copy(call: Caller, session: str) -> None:
    told = say(call, session, ANSWER, format={"type": "json_schema", "schema": SCHEMA})
    copy = told["session_id"]

    messages = history(call, copy, least=1)

    assert told["forked_from"] == session != copy
    assert data(messages, "structured") == [{"colour": "red"}]
    assert call("opencode.sessions.messages.list", session_id=session)["items"] == []
    assert say_if_free(call, session)


def test_a_prompt_that_says_its_format_is_text_breaks_nothing(call: Caller, session: str) -> None:
    told = say(call, session, "[[say fine]]", format={"type": "text"})

    assert told == {"ok": True, "session_id": session}
    assert texts(history(call, session)[-1]).strip() == "fine"


# What there is to work with


def test_providers_and_models_are_told_without_their_keys(call: Caller) -> None:
    providers = call("opencode.providers.list")
    models = call("opencode.models.list", provider_id=PROVIDER)

    (provider,) = providers["items"]
    assert provider["provider_id"] == PROVIDER
    assert (provider["connected"], provider["model_count"]) == (True, 2)
    assert {model["model_id"] for model in models["items"]} == {MODEL, OTHER_MODEL}
    (told,) = [model for model in models["items"] if model["model_id"] == MODEL]
    assert (told["context_window"], told["max_output_tokens"], told["supports_reasoning"]) == (200_000, 8192, True)
    assert told["price"] == {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75}
    assert told["variants"] == ["low", "medium", "high"]
    assert models["connected"] == [PROVIDER]
    assert models["default_by_provider"][PROVIDER] in (MODEL, OTHER_MODEL)
    assert "apiKey" not in str(providers) + str(models)
    assert call("opencode.models.list", provider_id="nobody")["items"] == []


def test_agents_commands_and_servers_of_tools_are_told(call: Caller) -> None:
    agents = {agent["name"]: agent for agent in call("opencode.agents.list")["items"]}
    commands = {command["name"]: command for command in call("opencode.commands.list")["items"]}
    servers = call("opencode.mcp.status")["items"]

    assert agents["build"]["mode"] == "primary"
    assert agents["general"]["mode"] == "subagent"
    assert (commands["hello"]["description"], commands["hello"]["hints"]) == ("Greets", ["$ARGUMENTS"])
    assert servers == [{"name": "gone", "status": "disabled"}]


def test_files_are_found_listed_and_read(call: Caller) -> None:
    found = call("opencode.files.find", query="readme", type="file")["items"]
    listed = {entry["path"]: entry["type"] for entry in call("opencode.files.list")["items"]}
    read = call("opencode.files.read", path="README.md")["item"]

    assert "README.md" in found
    assert listed["README.md"] == "file"
    assert read == {"path": "README.md", "type": "text", "content": "A workspace."}


@pytest.mark.parametrize("path", ["/etc/hostname", "../config/opencode/opencode.json", "a/../../x", "~/x"])
def test_files_outside_are_not_read(call: Caller, path: str) -> None:
    for method in ("opencode.files.read", "opencode.files.list"):
        assert call.error(method, path=path)["data"][1]["fieldViolations"][0]["field"] == "path"


def test_what_was_changed_is_told_by_file_and_as_patches(call: Caller, workshop: RealOpenCode) -> None:
    (workshop.workspace / "README.md").write_text("A workspace.\nAnd more.\n", encoding="utf-8")

    branch = call("opencode.vcs.get")["item"]
    status = {file["path"]: file for file in call("opencode.files.status")["items"]}
    patches = {change["file"]: change["patch"] for change in call("opencode.vcs.diff")["items"]}

    assert branch == {"branch": branch["branch"], "default_branch": branch["branch"]}
    assert (status["README.md"]["status"], status["README.md"]["added"]) == ("modified", 1)
    assert "+And more." in patches["README.md"]
    assert call("opencode.vcs.diff", mode="branch")["items"] == []


def test_lines_are_found_where_opencode_can_search(call: Caller) -> None:
    assert isinstance(call("opencode.text.find", pattern="workspace")["items"], list)


# Projects, workspaces, worktrees


def test_projects_and_workspaces_are_told(call: Caller, workshop: RealOpenCode) -> None:
    current = call("opencode.projects.current")["item"]

    assert (current["worktree"], current["vcs"]) == (str(workshop.workspace), "git")
    assert current["id"] in [project["id"] for project in call("opencode.projects.list")["items"]]
    assert call("opencode.workspaces.list")["items"] == []


def test_a_worktree_is_made_reset_and_removed(call: Caller) -> None:
    made = call("opencode.worktrees.create", request={"name": "trial"})["item"]
    directory = made["directory"]
    until((Path(directory) / "README.md").exists, what="a worktree that is filled")

    assert (made["name"], made["branch"]) == ("trial", "opencode/trial")
    assert call("opencode.worktrees.list")["items"] == [directory]
    assert call("opencode.worktrees.reset", request={"directory": directory}) == {"ok": True}
    assert call("opencode.worktrees.remove", request={"directory": directory}) == {"ok": True}
    assert call("opencode.worktrees.list")["items"] == []
    assert not Path(directory).exists()


def test_only_worktrees_of_the_project_are_removed(call: Caller, workshop: RealOpenCode) -> None:
    for method in ("opencode.worktrees.remove", "opencode.worktrees.reset"):
        refused = call.error(method, request={"directory": str(workshop.workspace)})
        assert refused["data"][1]["fieldViolations"][0]["field"] == "request.directory"

    assert workshop.workspace.exists()


def test_of_a_workspace_that_is_none_nothing_is_removed(call: Caller) -> None:
    assert call("opencode.workspaces.remove", workspace_id="wrk_nope") == {"item": None}


# Directories


@pytest.mark.parametrize("method", ["opencode.sessions.list", "opencode.models.list", "opencode.files.status"])
def test_a_directory_outside_of_the_workspace_is_refused(call: Caller, method: str) -> None:
    by_parameter = call.error(method, directory="/etc")
    by_metadata = call.error(method, metadata={"opencode": {"directory": "/etc"}})

    assert by_parameter["data"][1]["fieldViolations"][0]["field"] == "directory"
    assert by_metadata["data"][1]["fieldViolations"][0]["field"] == "metadata.opencode.directory"


def test_a_session_is_made_and_found_in_a_directory_of_the_workspace(call: Caller, workshop: RealOpenCode) -> None:
    below = workshop.workspace / "below"
    below.mkdir(exist_ok=True)

    made = call("opencode.sessions.create", title="Below", directory="below")["item"]

    assert made["directory"] == str(below)
    assert call("opencode.sessions.get", session_id=made["id"], directory="below")["item"]["id"] == made["id"]
    elsewhere = call.error("opencode.sessions.get", session_id=made["id"], directory=".")
    assert elsewhere["data"][1]["fieldViolations"][0]["field"] == "directory"


# What is switched off


def test_what_is_dangerous_is_off_unless_it_is_switched_on(workshop: RealOpenCode) -> None:
    with RunningService(in_front_of(workshop)) as careful:
        call = Caller(careful)
        session = call("opencode.sessions.create")["item"]["id"]
        refused = [
            call.error("opencode.sessions.shell", session_id=session, request={"agent": "build", "command": "true"}),
            call.error("opencode.sessions.delete", session_id=session),
            call.error("opencode.worktrees.create"),
            call.error("opencode.worktrees.remove", request={"directory": "/x"}),
            call.error("opencode.worktrees.reset", request={"directory": "/x"}),
            call.error("opencode.workspaces.create", request={"type": "worktree"}),
            call.error("opencode.workspaces.remove", workspace_id="wrk_x"),
        ]

    assert {error["data"]["type"] for error in refused} == {"METHOD_DISABLED"}
    assert all("A2A_ENABLE_" in error["message"] for error in refused)


# The documentation


def test_the_example_of_the_reference_works(call: Caller, service: RunningService, session: str) -> None:
    document = Path(__file__).parents[2] / "docs" / "reference" / "methods.md"
    (example,) = re.findall(
        r"^```bash\n(.*?)^```", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    script = example.replace("http://127.0.0.1:8000", service.url).replace("curl ", "curl --fail --silent ")

    environment = {"PATH": os.environ["PATH"], "A2A_BEARER_TOKEN": service.token}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )

    assert json.loads(done.stdout)["result"]["items"][0]["status"]["state"] == "TASK_STATE_COMPLETED"
