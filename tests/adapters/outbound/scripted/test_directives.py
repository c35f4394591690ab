"""Scripts in the text of a message."""

from __future__ import annotations

import pytest

from opencode_a2a_server.adapters.outbound.scripted import (
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
    Say,
    ScriptError,
    Step,
    Think,
    UseTool,
    directed,
    read_directives,
)
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.interrupt import Inquiry, Option
from opencode_a2a_server.domain.message import Message, Role, TextPart


@pytest.mark.parametrize(
    ("directive", "step"),
    [
        ("say hello world", Say("hello world")),
        ("think why not", Think("why not")),
        ("echo", Echo()),
        ("recall", Recall()),
        ("tool ls", UseTool("ls", {})),
        ('tool bash {"command": "ls"} = a b', UseTool("bash", {"command": "ls"}, output="a b")),
        ("tool bash ! not found", UseTool("bash", {}, error="not found")),
        ("file notes.txt text/plain some words", GiveFile("notes.txt", "text/plain", b"some words")),
        ("file empty.txt", GiveFile("empty.txt", "text/plain", b"")),
        ('data {"a": [1, 2]}', GiveData({"a": [1, 2]})),
        ("ask permission bash rm * | mv *", AskPermission("bash", ("rm *", "mv *"))),
        ("ask permission edit", AskPermission("edit")),
        ("ask question Which? | S | M", AskQuestion((Inquiry("Which?", options=(Option("S"), Option("M"))),))),
        ("ask input What else?", AskInput("What else?")),
        ("need auth Sign in", NeedAuth("Sign in")),
        ("delegate [[say hi]][[echo]]", Delegate((Say("hi"), Echo()))),
        ("delay 0.5", Delay(0.5)),
        ("hang", Hang()),
        ("complete done", Complete("done")),
        ("reject no", Reject("no")),
        ("fail boom", Fail("boom")),
        ("fail", Fail()),
        ("reply hi", Reply("hi")),
    ],
)
def test_each_directive_is_a_step(directive: str, step: Step) -> None:
    assert read_directives(f"please [[{directive}]] thanks") == (step,)


def test_directives_are_played_in_their_order() -> None:
    assert read_directives("[[think a]] then [[say b]][[hang]]") == (Think("a"), Say("b"), Hang())


def test_a_text_without_directives_is_echoed() -> None:
    assert directed(Message(MessageId("m"), Role.USER, (TextPart("list[list[int]]"),))) == (Echo(),)


@pytest.mark.parametrize(
    ("directive", "reason"),
    [
        ("sya hello", "did you mean say?"),
        ("xyzzy", "there are say, think"),
        ("data {", "makes no sense"),
        ("delay soon", "makes no sense"),
        ("tool", "which tool?"),
        ("file", "name?"),
        ("ask permission", "which permission?"),
        ("ask question", "which question?"),
        ("delegate [[ask input what?]]", "a sub-agent cannot AskInput"),
        ("delegate [[nonsense]]", "there is no directive"),
        ("reply a]] [[say b", "stands alone"),
    ],
)
def test_a_directive_that_makes_no_sense_is_refused_with_the_reason(directive: str, reason: str) -> None:
    with pytest.raises(ScriptError, match=reason.replace("?", r"\?")):
        read_directives(f"[[{directive}]]")


def test_in_a_message_it_fails_the_turn_with_the_reason() -> None:
    (step,) = directed(Message(MessageId("m"), Role.USER, (TextPart("[[sya hello]]"),)))

    assert isinstance(step, Fail)
    assert "did you mean say?" in step.text
