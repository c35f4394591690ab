"""What a runtime is made to do in a turn, in words that are no runtime's own."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen


@frozen
class Say:
    """Say these words, more than one chunk of them."""

    text: str


@frozen
class Reason:
    """Reason aloud."""

    text: str


@frozen
class RunTool:
    """Call a tool which succeeds, or fails with `error`."""

    tool: str
    output: str = ""
    error: str = ""


@frozen
class WriteFile:
    """Make a file, of one line."""

    path: str
    line: str


@frozen
class AskPermission:
    """Ask whether something may be done: wait for the verdict, and go on if it may."""

    permission: str
    pattern: str


@frozen
class AskQuestion:
    """Ask a question with options, and say what was answered."""

    question: str
    options: tuple[str, ...]


@frozen
class Delegate:
    """Have a sub-agent do it."""

    acts: tuple[Act, ...]


@frozen
class Fail:
    """Fail, with this reason."""

    text: str


@frozen
class Hang:
    """Do nothing more until aborted."""


Act: TypeAlias = Say | Reason | RunTool | WriteFile | AskPermission | AskQuestion | Delegate | Fail | Hang
