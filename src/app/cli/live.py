"""What an agent does, shown to a person while it does it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import rich_click as click
from attrs import define, field

TERMINAL: Final = ("COMPLETED", "FAILED", "CANCELED", "REJECTED")
INTERRUPTED: Final = ("INPUT_REQUIRED", "AUTH_REQUIRED")
_LONG: Final = 200
"""Characters of data that are shown of one part."""


def clean(text: str) -> str:
    """Leave out what would make a terminal do something: agents say what strangers wrote."""
    return "".join(one for one in text if one in "\n\t" or one.isprintable())


def short(state: str) -> str:
    """Give the name of a state as people say it."""
    return state.removeprefix("TASK_STATE_")


@define(eq=False)
class Live:
    """Shows answers of a stream, in A2A's JSON of 1.0; text as it grows, everything else a line each."""

    write: Callable[[str], object]
    """Takes text, with or without an end of line."""
    task: str = field(default="", init=False)
    context: str = field(default="", init=False)
    state: str = field(default="", init=False)
    _shown: dict[str, str] = field(factory=dict, init=False)
    """The text of each artifact as far as it was shown."""
    _open: str = field(default="", init=False)
    """The artifact whose text the line ends with."""
    _begun: bool = field(default=False, init=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come before somebody does something."""
        return self.state in (*TERMINAL, *INTERRUPTED)

    def show(self, answer: Mapping[str, Any]) -> None:
        """Show one answer."""
        if task := answer.get("task"):
            self._ids(task["id"], task.get("contextId", ""))
            for artifact in task.get("artifacts", ()):
                self._artifact(artifact, append=False)
            self._status(task.get("status", {}))
        elif update := answer.get("artifactUpdate"):
            self._ids(update["taskId"], update.get("contextId", ""))
            self._artifact(update["artifact"], append=update.get("append", False))
        elif update := answer.get("statusUpdate"):
            self._ids(update["taskId"], update.get("contextId", ""))
            self._status(update.get("status", {}))
        elif message := answer.get("message"):
            self._ids("", message.get("contextId", ""))
            self._parts(message.get("parts", ()))

    def end(self) -> None:
        """Say where it has come to."""
        self._line("")
        for label, value in (("Task", self.task), ("Context", self.context), ("State", self.state)):
            if value:
                self.write(f"{label}: {clean(value)}\n")

    def _ids(self, task: str, context: str) -> None:
        self.task, self.context = task or self.task, context or self.context

    def _artifact(self, artifact: Mapping[str, Any], *, append: bool) -> None:
        name = artifact.get("artifactId", "")
        stream = artifact.get("metadata", {}).get("shared", {}).get("stream", {})
        kind = stream.get("block_type", "text") if isinstance(stream, dict) else "text"
        text = "".join(part["text"] for part in artifact.get("parts", ()) if "text" in part)
        if text:
            self._text(name, text, dim=kind == "reasoning", append=append)
        self._parts([part for part in artifact.get("parts", ()) if "text" not in part])

    def _text(self, name: str, text: str, *, dim: bool, append: bool) -> None:
        before = self._shown.get(name, "")
        if not append and text.startswith(before):
            text = text[len(before) :]  # told again, as after a reconnect
        elif not append:
            before, self._open = "", ""
        if not text:
            return
        self._shown[name] = before + text
        if self._open != name:
            self._line("")
            self._open = name
        self.write(click.style(clean(text), dim=True) if dim else clean(text))
        self._begun = not text.endswith("\n")

    def _parts(self, parts: Sequence[Mapping[str, Any]]) -> None:
        for part in parts:
            if text := part.get("text"):
                self._line(clean(text))
            elif "data" in part:
                self._line(_data(part["data"]))
            elif "raw" in part or "url" in part:
                words = (part.get("filename", "file"), part.get("mediaType", ""), part.get("url", ""))
                self._line(click.style(clean(f"[{' '.join(filter(None, words))}]"), fg="cyan"))

    def _status(self, status: Mapping[str, Any]) -> None:
        state = short(status.get("state", ""))
        told = state != self.state
        self.state = state or self.state
        parts = status.get("message", {}).get("parts", ())
        if parts and (told or state not in INTERRUPTED):
            if state in INTERRUPTED:
                self._line(click.style(f"-- {state}", fg="yellow"))
            self._parts([part for part in parts if "text" in part])

    def _line(self, text: str) -> None:
        """Begin a line, and write it whole unless it is empty."""
        if self._begun:
            self.write("\n")
            self._begun = False
        self._open = ""
        if text:
            self.write(text if text.endswith("\n") else text + "\n")


def _data(data: Any) -> str:
    if isinstance(data, dict) and "tool" in data and "status" in data:
        says = data.get("error") or data.get("title") or data.get("input") or ""
        told = says if isinstance(says, str) else json.dumps(says, ensure_ascii=False)
        line = f"* {data['tool']} {data['status']}" + (f" {told}" if told else "")
    else:
        line = json.dumps(data, ensure_ascii=False)
    first = clean(line).replace("\n", " ")
    return click.style(first if len(first) <= _LONG else first[:_LONG] + "...", fg="cyan")
