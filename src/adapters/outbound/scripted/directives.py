"""
Scripts in the text of a message, for trying things out by hand.

    [[say hello world]]                       text, a chunk a word
    [[think why not]]                         reasoning
    [[echo]] [[recall]]                       this message's text; what was said earlier in the session
    [[tool bash {"command": "ls"} = a b]]     a tool call; `! text` in place of `= text` lets it fail
    [[file notes.txt text/plain some words]]  a file
    [[data {"a": 1}]]                         structured data
    [[ask permission bash rm * | mv *]]       a permission for some patterns
    [[ask question Which size? | S | M]]      a question with options
    [[ask input What else?]]                  the task requires input
    [[need auth Sign in first]]               the task requires authentication
    [[delegate [[say hi]]]]                   a sub-agent plays the steps
    [[delay 2]] [[hang]]                      let time pass: seconds, or until somebody cancels
    [[complete text]] [[reject text]] [[fail text]]
    [[reply text]]                            a bare message, no task

They are played in order; text around them is not. A message without any is echoed.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping

from opencode_a2a_server.domain.interrupt import Inquiry, Option
from opencode_a2a_server.domain.message import Json, Message

from .steps import (
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
    Script,
    Step,
    Think,
    UseTool,
)

_DEEPEST = 16
"""How deep directives stand in each other; each level reads again what is inside."""


class ScriptError(ValueError):
    """A script makes no sense; the message says where and why."""


def directed(message: Message) -> Script:
    """Give the script in a message's text; one that makes no sense fails with the reason."""
    try:
        return read_directives(message.text) or (Echo(),)
    except ScriptError as error:
        return (Fail(str(error)),)


def read_directives(text: str) -> Script:
    """
    Read the directives of a text, none if it has none.

    Raises:
        ScriptError: A directive that nobody knows, or one that is malformed.

    """
    steps = tuple(_read(directive.strip()) for directive in _outermost(text))
    if len(steps) > 1 and any(isinstance(step, Reply) for step in steps):
        raise ScriptError("[[reply ...]] answers without a task and stands alone")
    return steps


def _outermost(text: str) -> Iterator[str]:
    """Yield what stands between outermost double brackets."""
    depth = start = 0
    for bracket in re.finditer(r"\[\[|\]\]", text):
        if bracket[0] == "[[":
            start = bracket.end() if depth == 0 else start
            depth += 1
            if depth > _DEEPEST:
                raise ScriptError(f"directives stand in each other {_DEEPEST} deep at most")
        elif depth:
            depth -= 1
            if depth == 0:
                yield text[start : bracket.start()]


def _read(directive: str) -> Step:
    for name in _BY_LENGTH:
        if directive == name or directive.startswith(f"{name} "):
            try:
                return _READERS[name](directive[len(name) :].strip())
            except (ValueError, RecursionError) as error:
                raise ScriptError(f"[[{directive[:200]}]] makes no sense: {error}") from error
    words = directive.split()
    near = [near for name in (" ".join(words[:2]), *words[:1]) for near in difflib.get_close_matches(name, _READERS, 1)]
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(_READERS)}"
    raise ScriptError(f"there is no directive [[{directive[:200]}]]{hint}")


def _tool(words: str) -> UseTool:
    name, _, rest = words.partition(" ")
    if not name:
        raise ValueError("which tool?")
    rest, arguments = rest.strip(), _NO_ARGUMENTS
    if rest.startswith("{"):
        arguments, end = json.JSONDecoder().raw_decode(rest)
        rest = rest[end:].strip()
    if rest.startswith("!"):
        return UseTool(name, arguments, error=rest[1:].strip() or "the tool failed")
    return UseTool(name, arguments, output=rest.removeprefix("=").strip())


def _file(words: str) -> GiveFile:
    name, _, rest = words.partition(" ")
    if not name:
        raise ValueError("what is the file's name?")
    media_type, _, content = rest.partition(" ")
    return GiveFile(name, media_type or "text/plain", content.encode())


def _data(words: str) -> GiveData:
    return GiveData(json.loads(words))


def _permission(words: str) -> AskPermission:
    permission, _, patterns = words.partition(" ")
    if not permission:
        raise ValueError("which permission?")
    return AskPermission(permission, _alternatives(patterns))


def _question(words: str) -> AskQuestion:
    question, *options = _alternatives(words) or ("",)
    if not question:
        raise ValueError("which question?")
    return AskQuestion((Inquiry(question, options=tuple(Option(label) for label in options)),))


def _alternatives(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split("|") if word.strip())


_NO_ARGUMENTS: Json = {}

_READERS: Mapping[str, Callable[[str], Step]] = {
    "say": Say,
    "think": Think,
    "echo": lambda _: Echo(),
    "recall": lambda _: Recall(),
    "tool": _tool,
    "file": _file,
    "data": _data,
    "ask permission": _permission,
    "ask question": _question,
    "ask input": AskInput,
    "need auth": NeedAuth,
    "delegate": lambda words: Delegate(read_directives(words)),
    "delay": lambda words: Delay(float(words)),
    "hang": lambda _: Hang(),
    "complete": Complete,
    "reject": Reject,
    "fail": lambda words: Fail(words) if words else Fail(),
    "reply": Reply,
}
_BY_LENGTH = sorted(_READERS, key=len, reverse=True)
