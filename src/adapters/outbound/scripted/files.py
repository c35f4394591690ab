"""
Scripts from a file, TOML or JSON.

    default = [{ say = "I don't know that one." }]

    [[script]]
    text = "deploy *"                # or message_id = "...", what the message's id begins with
    steps = [
      { think = "That needs a permission." },
      { ask_permission = "bash", patterns = ["deploy.sh *"], then = { reject = [{ say = "As you wish." }] } },
      { use_tool = "bash", input = { command = "deploy.sh all" }, output = "done" },
      { give_file = "log.txt", media_type = "text/plain", content = "all is well" },
      { say = "Deployed.", chunks = 2 },
    ]

A step is named by its one key that is a step's name; the others are its details (`read_steps` lists them all).
Without a `default`, what the rules leave over is for the built-in scripts.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import define, field

from opencode_a2a_server.domain.interrupt import Inquiry, Option, Verdict
from opencode_a2a_server.domain.message import Json, Message
from opencode_a2a_server.domain.usage import Usage

from .directives import ScriptError
from .scripts import CONFORMANCE, Choose, Rule, Scripts
from .steps import (
    AskInput,
    AskPermission,
    AskQuestion,
    Complete,
    Delay,
    Delegate,
    Echo,
    EditFile,
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
    Spend,
    Step,
    Think,
    UseTool,
)

_T = TypeVar("_T")


def load_scripts(path: Path) -> Scripts:
    """
    Read a file of scripts.

    Raises:
        ScriptError: It cannot be read, or says something that makes no sense; the message says where.

    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ScriptError(f"the scripts in {path} cannot be read: {error}") from error
    try:
        return read_scripts(content)
    except ScriptError as error:
        raise ScriptError(f"{path}: {error}") from error


def read_scripts(content: Json) -> Scripts:
    """
    Read scripts from what a file of them says.

    Raises:
        ScriptError: It makes no sense; the message says where.

    """
    table = _Table.of(content, "")
    rules = tuple(_read_rule(rule) for rule in table.tables("script"))
    default = table.optional("default", _script)
    table.finish()
    return Scripts(rules, CONFORMANCE if default is None else _sensible(table, lambda: _same(default)))


def read_steps(content: Json, where: str = "steps") -> Script:
    """
    Read the steps of one script.

    Raises:
        ScriptError: They make no sense; the message says where.

    """
    return tuple(_read_step(_Table.of(step, f"{where}[{number}]")) for number, step in enumerate(_list(content, where)))


def _same(script: Script) -> Choose:
    rule = Rule(script, text="*")

    def give(_: Message) -> Script:
        return rule.script

    return give


# A table, read key by key: what was not read at the end is a mistake

_NO_STEPS: Script = ()
_NO_TEXTS: tuple[str, ...] = ()
_EMPTY: Json = {}


@define
class _Table:
    where: str
    _values: Mapping[str, Json]
    _read: set[str] = field(factory=set, init=False)

    @classmethod
    def of(cls, content: Json, where: str) -> _Table:
        if not isinstance(content, Mapping):
            raise ScriptError(f"{where or 'the file'} must be a table, not {content!r}")
        return cls(where, content)

    def optional(self, key: str, read: Callable[[Json, str], _T]) -> _T | None:
        self._read.add(key)
        return read(self._values[key], f"{self.where}.{key}".lstrip(".")) if key in self._values else None

    def get(self, key: str, read: Callable[[Json, str], _T], default: _T) -> _T:
        found = self.optional(key, read)
        return default if found is None else found

    def need(self, key: str, read: Callable[[Json, str], _T]) -> _T:
        self._read.add(key)
        if key not in self._values:
            raise ScriptError(f"{self.where} needs {key}")
        return read(self._values[key], f"{self.where}.{key}")

    def tables(self, key: str) -> Sequence[_Table]:
        found = self.optional(key, _list) or ()
        return [_Table.of(content, f"{key}[{number}]") for number, content in enumerate(found)]

    def names(self) -> Sequence[str]:
        return list(self._values)

    def finish(self) -> None:
        for key in self._values:
            if key not in self._read:
                near = difflib.get_close_matches(key, self._read, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(self._read))}"
                raise ScriptError(f"{self.where or 'the file'} has no {key}; {hint}")


def _kind(kind: type[_T], called: str) -> Callable[[Json, str], _T]:
    def read(value: Json, where: str) -> _T:
        # True is an int to Python, not to whoever writes a script.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ScriptError(f"{where} must be {called}, not {value!r}")
        return value

    return read


_text = _kind(str, "a text")
_whole = _kind(int, "a whole number")
_flag = _kind(bool, "true or false")


def _number(value: Json, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ScriptError(f"{where} must be a number that is not negative, not {value!r}")
    return value


def _list(value: Json, where: str) -> Sequence[Json]:
    if not isinstance(value, list):
        raise ScriptError(f"{where} must be a list, not {value!r}")
    return value


def _texts(value: Json, where: str) -> tuple[str, ...]:
    return tuple(_text(one, f"{where}[{number}]") for number, one in enumerate(_list(value, where)))


def _anything(value: Json, _: str) -> Json:
    return value


def _script(value: Json, where: str) -> Script:
    return read_steps(value, where)


def _base64(value: Json, where: str) -> bytes:
    try:
        return base64.b64decode(_text(value, where), validate=True)
    except binascii.Error as error:
        raise ScriptError(f"{where} must be base64: {error}") from error


# Rules and steps


def _read_rule(table: _Table) -> Rule:
    steps = table.get("steps", _script, _NO_STEPS)
    message_id, text = table.get("message_id", _text, ""), table.get("text", _text, "")
    table.finish()
    return _sensible(table, lambda: Rule(steps, message_id, text))


def _read_step(table: _Table) -> Step:
    named = [key for key in table.names() if key in _STEPS]
    if len(named) != 1:
        raise ScriptError(f"{table.where} must name one step, it names {', '.join(named) or 'none'} {_hint(table)}")
    step = _sensible(table, lambda: _STEPS[named[0]](table, named[0]))
    table.finish()
    return step


def _hint(table: _Table) -> str:
    near = [near for key in table.names() for near in difflib.get_close_matches(key, _STEPS, 1)]
    return f"(did you mean {near[0]}?)" if near else f"(there are {', '.join(_STEPS)})"


def _sensible(table: _Table, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except ScriptError:
        raise
    except ValueError as error:
        raise ScriptError(f"{table.where or 'default'}: {error}") from error


def _worded(step: Callable[[str], Step]) -> Callable[[_Table, str], Step]:
    return lambda table, name: step(table.need(name, _text))


def _told(step: Callable[[str, int], Step]) -> Callable[[_Table, str], Step]:
    return lambda table, name: step(table.need(name, _text), table.get("chunks", _whole, 0))


def _flagged(step: Callable[[], Step]) -> Callable[[_Table, str], Step]:
    def read(table: _Table, name: str) -> Step:
        if not table.need(name, _flag):
            raise ScriptError(f"{table.where}.{name} must be true; leave the step out instead")
        return step()

    return read


def _echo(table: _Table, name: str) -> Step:
    return Echo(table.need(name, _text))


def _use_tool(table: _Table, name: str) -> Step:
    return UseTool(
        table.need(name, _text),
        table.get("input", _anything, _EMPTY),
        table.get("output", _text, ""),
        table.get("error", _text, ""),
        table.get("title", _text, ""),
    )


def _give_file(table: _Table, name: str) -> Step:
    content = table.optional("content", _text)
    raw = table.optional("base64", _base64) if content is None else content.encode()
    return GiveFile(table.need(name, _text), table.get("media_type", _text, ""), raw, table.get("url", _text, ""))


def _give_data(table: _Table, name: str) -> Step:
    return GiveData(table.need(name, _anything), table.get("name", _text, ""))


def _edit_file(table: _Table, name: str) -> Step:
    return EditFile(table.need(name, _text), table.optional("before", _text), table.optional("after", _text))


def _ask_permission(table: _Table, name: str) -> Step:
    return AskPermission(
        table.need(name, _text),
        table.get("patterns", _texts, _NO_TEXTS),
        table.get("then", _branches, {}),
        table.get("details", _details, {}),
    )


def _branches(value: Json, where: str) -> Mapping[Verdict | str, Script]:
    table = _Table.of(value, where)
    branches = {verdict: table.optional(verdict.value, _script) for verdict in Verdict}
    table.finish()
    return {verdict: script for verdict, script in branches.items() if script is not None}


def _details(value: Json, where: str) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise ScriptError(f"{where} must be a table, not {value!r}")
    return value


def _ask_question(table: _Table, name: str) -> Step:
    echo = table.get("echo_answers", _flag, default=True)
    if isinstance(asked := table.need(name, _anything), list):
        inquiries = [_Table.of(inquiry, f"{table.where}.{name}[{number}]") for number, inquiry in enumerate(asked)]
        return AskQuestion(tuple(_inquiry(inquiry, "question", last=True) for inquiry in inquiries), echo)
    return AskQuestion((_inquiry(table, name, last=False),), echo)


def _inquiry(table: _Table, name: str, *, last: bool) -> Inquiry:
    inquiry = Inquiry(
        table.need(name, _text),
        table.get("header", _text, ""),
        tuple(Option(label) for label in table.get("options", _texts, _NO_TEXTS)),
        table.get("multiple", _flag, default=False),
        table.get("custom", _flag, default=True),
    )
    if last:
        table.finish()
    return inquiry


def _delegate(table: _Table, name: str) -> Step:
    return Delegate(table.need(name, _script), table.get("description", _text, "A part of the work"))


def _spend(table: _Table, name: str) -> Step:
    usage = Usage(
        table.get("input_tokens", _whole, 0),
        table.get("output_tokens", _whole, 0),
        table.get("reasoning_tokens", _whole, 0),
        cost=table.need(name, _number),
    )
    return Spend(usage, table.get("reason", _text, "tool-calls"))


_STEPS: Mapping[str, Callable[[_Table, str], Step]] = {
    "say": _told(Say),
    "think": _told(Think),
    "echo": _echo,
    "recall": _flagged(Recall),
    "use_tool": _use_tool,
    "give_file": _give_file,
    "give_data": _give_data,
    "edit_file": _edit_file,
    "ask_permission": _ask_permission,
    "ask_question": _ask_question,
    "ask_input": _worded(AskInput),
    "need_auth": _worded(NeedAuth),
    "delegate": _delegate,
    "spend": _spend,
    "delay": lambda table, name: Delay(table.need(name, _number)),
    "hang": _flagged(Hang),
    "complete": _worded(Complete),
    "reject": _worded(Reject),
    "fail": _worded(Fail),
    "reply": _worded(Reply),
}
"""Each step's name in a file: `echo` takes its lead, `spend` its cost, `recall` and `hang` take true."""
