"""Scripts from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opencode_a2a_server.adapters.outbound.scripted import (
    CONFORMANCE,
    AskInput,
    AskPermission,
    AskQuestion,
    Complete,
    Delay,
    Delegate,
    Echo,
    Fail,
    GiveData,
    GiveFile,
    Hang,
    NeedAuth,
    Recall,
    Reject,
    Reply,
    Rule,
    Say,
    ScriptError,
    Spend,
    Step,
    Think,
    UseTool,
    load_scripts,
    read_scripts,
)
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.interrupt import Inquiry, Option, Verdict
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.usage import Usage

_TOML = """
default = [{ say = "I don't know that one." }]

[[script]]
text = "deploy *"
steps = [
  { think = "That needs a permission." },
  { ask_permission = "bash", patterns = ["deploy.sh *"], then = { reject = [{ say = "As you wish." }] } },
  { use_tool = "bash", input = { command = "deploy.sh all" }, output = "done" },
  { say = "Deployed.", chunks = 2 },
]

[[script]]
message_id = "demo-"
steps = [{ give_file = "log.txt", media_type = "text/plain", content = "all is well" }]
"""


def message(text: str, message_id: str = "m") -> Message:
    """Give a message."""
    return Message(MessageId(message_id), Role.USER, (TextPart(text),))


def test_a_toml_file_gives_scripts(tmp_path: Path) -> None:
    path = tmp_path / "scripts.toml"
    path.write_text(_TOML, encoding="utf-8")

    scripts = load_scripts(path)

    assert scripts(message("deploy it")) == (
        Think("That needs a permission."),
        AskPermission("bash", ("deploy.sh *",), {Verdict.REJECT: (Say("As you wish."),)}),
        UseTool("bash", {"command": "deploy.sh all"}, output="done"),
        Say("Deployed.", 2),
    )
    assert scripts(message("whatever", "demo-1")) == (GiveFile("log.txt", "text/plain", b"all is well"),)
    assert scripts(message("whatever")) == (Say("I don't know that one."),)


def test_a_json_file_gives_scripts(tmp_path: Path) -> None:
    path = tmp_path / "scripts.json"
    path.write_text(json.dumps({"script": [{"text": "hi", "steps": [{"say": "hello"}]}]}), encoding="utf-8")

    assert load_scripts(path)(message("Hi")) == (Say("hello"),)


def test_without_a_default_the_built_in_scripts_take_the_rest() -> None:
    scripts = read_scripts({"script": []})

    assert scripts(message("[[think hm]]")) == (Think("hm"),)
    assert scripts(message("x", "tck-complete-task-1")) == CONFORMANCE(message("x", "tck-complete-task-1"))


@pytest.mark.parametrize(
    ("written", "step"),
    [
        ({"say": "a"}, Say("a")),
        ({"think": "a", "chunks": 3}, Think("a", 3)),
        ({"echo": "lead: "}, Echo("lead: ")),
        ({"recall": True}, Recall()),
        ({"use_tool": "bash", "error": "no", "title": "T"}, UseTool("bash", {}, error="no", title="T")),
        ({"give_file": "a", "base64": "YWJj"}, GiveFile("a", "", b"abc")),
        ({"give_file": "a", "url": "https://x/a"}, GiveFile("a", url="https://x/a")),
        ({"give_data": {"a": 1}, "name": "n"}, GiveData({"a": 1}, "n")),
        ({"give_data": None}, GiveData(None)),
        ({"ask_permission": "edit", "details": {"filepath": "x"}}, AskPermission("edit", details={"filepath": "x"})),
        (
            {"ask_question": "Which?", "options": ["S"], "multiple": True, "custom": False, "echo_answers": False},
            AskQuestion((Inquiry("Which?", options=(Option("S"),), multiple=True, custom=False),), echo=False),
        ),
        (
            {"ask_question": [{"question": "A?", "header": "H"}, {"question": "B?"}]},
            AskQuestion((Inquiry("A?", "H"), Inquiry("B?"))),
        ),
        ({"ask_input": "?"}, AskInput("?")),
        ({"need_auth": "?"}, NeedAuth("?")),
        ({"delegate": [{"say": "a"}], "description": "d"}, Delegate((Say("a"),), "d")),
        ({"spend": 0.5, "output_tokens": 3, "reason": "unknown"}, Spend(Usage(0, 3, cost=0.5), "unknown")),
        ({"delay": 2}, Delay(2)),
        ({"hang": True}, Hang()),
        ({"complete": "."}, Complete(".")),
        ({"reject": "."}, Reject(".")),
        ({"fail": "."}, Fail(".")),
        ({"reply": "."}, Reply(".")),
    ],
)
def test_each_step_can_be_written(written: dict[str, Any], step: Step) -> None:
    assert read_scripts({"script": [{"text": "*", "steps": [written]}]}).rules == (Rule((step,), text="*"),)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"sya": "a"}, r"script\[0\]\.steps\[0\] must name one step, it names none \(did you mean say\?\)"),
        ({"xyzzy": "a"}, r"there are say, think"),
        ({"say": "a", "think": "b"}, r"it names say, think"),
        ({"say": 1}, r"steps\[0\]\.say must be a text, not 1"),
        ({"say": "a", "chunk": 2}, r"steps\[0\] has no chunk; did you mean chunks\?"),
        ({"say": "a", "chunks": True}, r"chunks must be a whole number, not True"),
        ({"use_tool": "bash", "zzz": 1}, r"has no zzz; there are error, input, output, title, use_tool"),
        ({"hang": False}, r"hang must be true"),
        ({"delay": -1}, r"delay must be a number that is not negative"),
        ({"delay": True}, r"delay must be a number"),
        ({"give_file": "a"}, r"needs its bytes or its url"),
        ({"give_file": "a", "base64": "?"}, r"base64 must be base64"),
        ({"ask_permission": "a", "patterns": "b"}, r"patterns must be a list"),
        ({"ask_permission": "a", "patterns": [1]}, r"patterns\[0\] must be a text"),
        ({"ask_permission": "a", "then": {"never": []}}, r"then has no never; there are always, once, reject"),
        ({"ask_permission": "a", "then": {"once": [{"say": 1}]}}, r"then\.once\[0\]\.say must be a text"),
        ({"ask_permission": "a", "details": 1}, r"details must be a table"),
        ({"ask_question": [{"header": "H"}]}, r"ask_question\[0\] needs question"),
        ({"delegate": [{"ask_input": "?"}]}, r"a sub-agent cannot AskInput"),
        ("say", r"steps\[0\] must be a table"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused_with_its_place(step: Any, reason: str) -> None:
    with pytest.raises(ScriptError, match=reason):
        read_scripts({"script": [{"text": "*", "steps": [step]}]})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "the file must be a table"),
        ({"scripts": []}, r"the file has no scripts; did you mean script\?"),
        ({"script": {}}, "script must be a list"),
        ({"script": [{"steps": []}]}, r"script\[0\]: a rule needs a message_id or a text"),
        ({"script": [{"text": "a", "message_id": "b"}]}, "one of them"),
        ({"script": [{"text": "a", "step": []}]}, r"has no step; did you mean steps\?"),
        ({"script": [{"text": "a", "steps": [{"reply": "a"}, {"say": "b"}]}]}, "must be the only step"),
        ({"default": [{"reply": "a"}, {"say": "b"}]}, "must be the only step"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_reason(content: Any, reason: str) -> None:
    with pytest.raises(ScriptError, match=reason):
        read_scripts(content)


@pytest.mark.parametrize(
    ("name", "content"), [("a.toml", "x ="), ("a.json", "{"), ("b.toml", None), ("c.toml", "x = 1")]
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: str | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content, encoding="utf-8")

    with pytest.raises(ScriptError, match=name):
        load_scripts(path)
