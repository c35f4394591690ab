"""
What the scripted model says: directives in the user's message, and what they make of one model call.

The last user message of the conversation holds the script of the turn. Its directives are played in order:

    [[say hello world]]            text, one chunk a word
    [[text n=200 delay=0.01]]      n chunks "word00000 ", "word00001 ", ...; size=N pads each to N characters
    [[reason why]]                 reasoning, one chunk a word; n=, delay= and size= as for text
    [[recall]]                     text: every earlier user message of the conversation
    [[repeat-input]]               text: this whole user message, attachments included
    [[bash echo hi]]               call the tool bash
    [[write out.txt content]]      call the tool write
    [[ask]]                        call the tool question; [[ask Which size? | S | M]] words it
    [[task say hello]]             call the tool task: a sub-agent, whose prompt is the script [[say hello]]
    [[tool NAME {"a": 1}]]         call any tool
    [[status 500 times=2]]         answer with this HTTP status, for ever or `times` times; after=SECONDS asks for a
                                   retry as late as that
    [[drop times=1]]               cut the connection here, once or `times` times
    [[hang 30]]                    say nothing for so many seconds
    [[gate NAME]]                  say nothing until the test opens the gate (`ScriptedModel.open_gate`)
    [[finish length]]              end with this finish reason
    [[nofinish]]                   end without a finish reason

A tool call ends the model call, and what follows it belongs to the next one, which starts by quoting the tool's
output. `[[bash a]][[+bash b]]` makes two tool calls in one model call. A message without a directive is echoed.

Directives nest (`[[task tool bash {...}]]`), so a lone `]]` inside one ends it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Json = dict[str, Any]


class ScriptError(Exception):
    """A directive makes no sense."""


@frozen
class Say:
    """Stream these chunks as text or, if thought, as reasoning."""

    chunks: tuple[str, ...]
    delay: float = 0.0
    thought: bool = False


@frozen
class CallTool:
    """Ask for a tool call; `joined` puts it into the same model call as the one before."""

    name: str
    arguments: Json
    joined: bool = False


@frozen
class Refuse:
    """Answer with an HTTP error, `times` times or for ever."""

    status: int
    times: int | None = None
    after: float | None = None


@frozen
class Drop:
    """Cut the connection, `times` times."""

    times: int = 1


@frozen
class Hang:
    """Say nothing for a while."""

    seconds: float


@frozen
class Gate:
    """Say nothing until a test opens the gate."""

    name: str


@frozen
class Finish:
    """End with this finish reason, or with none."""

    reason: str | None


Action = Say | CallTool | Refuse | Drop | Hang | Gate | Finish


@frozen
class Conversation:
    """The messages of one model call, and where in its turn it stands."""

    messages: Sequence[Json] = field(repr=False)

    @property
    def system(self) -> str:
        """The system prompt."""
        return "\n".join(_text(message) for message in self.messages if message["role"] == "system")

    @property
    def users(self) -> list[str]:
        """What the user has said, message by message."""
        return [_text(message) for message in self.messages if message["role"] == "user"]

    @property
    def said(self) -> str:
        """The last user message."""
        users = self.users
        return users[-1] if users else ""

    @property
    def round(self) -> int:
        """How many model calls of this turn have ended in tool calls."""
        return sum(1 for message in self._turn() if message.get("tool_calls"))

    @property
    def outputs(self) -> list[str]:
        """What the tools answered which the last model call asked for."""
        outputs: list[str] = []
        for message in self._turn():
            if message["role"] == "assistant":
                outputs.clear()
            elif message["role"] == "tool":
                outputs.append(_text(message))

        return outputs

    def _turn(self) -> list[Json]:
        """The messages after the user's last one."""
        roles = [message["role"] for message in self.messages]
        start = len(roles) - roles[::-1].index("user") if "user" in roles else 0
        return list(self.messages[start:])


def _text(message: Json) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content

    return "\n".join(part["text"] if part["type"] == "text" else _attachment(part) for part in content)


def _attachment(part: Json) -> str:
    return f"<{part['type']}: {json.dumps(part[part['type']])}>"


def next_actions(conversation: Conversation) -> list[Action]:
    """
    Say what the model does in the call which this conversation asks for.

    Raises:
        ScriptError: The user's message holds an unknown or malformed directive.

    """
    calls = _calls(_actions(conversation))
    ahead = calls[conversation.round] if conversation.round < len(calls) else []
    return [*_quotes(conversation.outputs), *ahead]


def _quotes(outputs: Iterable[str]) -> Iterator[Say]:
    for output in outputs:
        yield Say((f"The tool answered: {output}\n",))


def _actions(conversation: Conversation) -> list[Action]:
    directives = list(_directives(conversation.said))
    if not directives:
        return [_say(f"You said: {conversation.said}", conversation)]

    return [_action(directive, conversation) for directive in directives]


def _calls(actions: Iterable[Action]) -> list[list[Action]]:
    """Cut a turn's actions into model calls: each ends with its tool calls."""
    calls: list[list[Action]] = [[]]
    for action in actions:
        after_tool = bool(calls[-1]) and isinstance(calls[-1][-1], CallTool)
        joined = isinstance(action, CallTool) and action.joined
        if after_tool and not joined:
            calls.append([])

        calls[-1].append(action)

    return calls


def _directives(text: str) -> Iterator[str]:
    """Yield what stands between outermost double brackets."""
    depth = start = 0
    for match in re.finditer(r"\[\[|\]\]", text):
        if match[0] == "[[":
            start = match.end() if depth == 0 else start
            depth += 1
        elif depth > 0:
            depth -= 1
            if depth == 0:
                yield text[start : match.start()]


def _action(directive: str, conversation: Conversation) -> Action:
    word, _, argument = directive.partition(" ")
    builder = _BUILDERS.get(word.removeprefix("+"))
    if builder is None:
        raise ScriptError(f"no such directive: [[{directive}]]")

    try:
        action = builder(argument, conversation)
    except (ValueError, KeyError) as error:
        raise ScriptError(f"malformed directive: [[{directive}]]: {error}") from error

    if word.startswith("+") and isinstance(action, CallTool):
        return CallTool(action.name, action.arguments, joined=True)

    return action


def _options(argument: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", argument))


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\S+\s*|\s+", text))


def _say(argument: str, _: Conversation) -> Say:
    return Say(_words(argument))


def _series(argument: str, _: Conversation) -> Say:
    options = _options(argument)
    size = int(options.get("size", "0"))
    chunks = (f"word{index:05d} ".ljust(size, "x") for index in range(int(options["n"])))
    return Say(tuple(chunks), float(options.get("delay", "0")))


def _reason(argument: str, conversation: Conversation) -> Say:
    said = _series(argument, conversation) if "n" in _options(argument) else _say(argument, conversation)
    return Say(said.chunks, said.delay, thought=True)


def _recall(_: str, conversation: Conversation) -> Say:
    earlier = conversation.users[:-1]
    quoted = "".join(f"- {text}\n" for text in earlier)
    return Say((f"Earlier you said {len(earlier)} things:\n{quoted}",))


def _repeat_input(_: str, conversation: Conversation) -> Say:
    return Say((f"Your message:\n{conversation.said}",))


def _bash(argument: str, _: Conversation) -> CallTool:
    return CallTool("bash", {"command": argument, "description": "Runs what the test asks for"})


def _write(argument: str, _: Conversation) -> CallTool:
    path, _space, content = argument.partition(" ")
    return CallTool("write", {"filePath": path, "content": content})


def _ask(argument: str, _: Conversation) -> CallTool:
    question, *labels = [word.strip() for word in (argument or "Which colour? | Red | Blue").split("|")]
    options = [{"label": label, "description": f"It is {label}"} for label in labels]
    return CallTool("question", {"questions": [{"question": question, "header": "Choice", "options": options}]})


def _task(argument: str, _: Conversation) -> CallTool:
    return CallTool(
        "task", {"description": "A part of the work", "prompt": f"[[{argument}]]", "subagent_type": "general"}
    )


def _tool(argument: str, _: Conversation) -> CallTool:
    name, _space, arguments = argument.partition(" ")
    return CallTool(name, json.loads(arguments or "{}"))


def _refuse(argument: str, _: Conversation) -> Refuse:
    options = _options(argument)
    times = int(options["times"]) if "times" in options else None
    after = float(options["after"]) if "after" in options else None
    return Refuse(int(argument.partition(" ")[0]), times, after)


def _drop(argument: str, _: Conversation) -> Drop:
    return Drop(int(_options(argument).get("times", "1")))


def _hang(argument: str, _: Conversation) -> Hang:
    return Hang(float(argument))


def _gate(argument: str, _: Conversation) -> Gate:
    return Gate(argument)


def _finish(argument: str, _: Conversation) -> Finish:
    return Finish(argument)


def _no_finish(_argument: str, _: Conversation) -> Finish:
    return Finish(None)


_BUILDERS: dict[str, Callable[[str, Conversation], Action]] = {
    "say": _say,
    "text": _series,
    "reason": _reason,
    "recall": _recall,
    "repeat-input": _repeat_input,
    "bash": _bash,
    "write": _write,
    "ask": _ask,
    "task": _task,
    "tool": _tool,
    "status": _refuse,
    "drop": _drop,
    "hang": _hang,
    "gate": _gate,
    "finish": _finish,
    "nofinish": _no_finish,
}
