"""
The steps of a script.

A script is a sequence of steps, played in order. Where it runs out, the turn is completed. `AskInput` and `NeedAuth`
halt it: the next message to the same task goes on behind them, or begins the script it asks for if nothing is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import field, frozen

from opencode_a2a_server.domain.interrupt import Inquiry, Verdict
from opencode_a2a_server.domain.message import Json
from opencode_a2a_server.domain.usage import Usage


@frozen
class Say:
    """Tell a text, a chunk a word or in so many equal `chunks`."""

    text: str
    chunks: int = 0


@frozen
class Think:
    """The same, as reasoning."""

    text: str
    chunks: int = 0


@frozen
class Echo:
    """Tell the text of the message being worked on, behind a `lead`."""

    lead: str = ""


@frozen
class Recall:
    """Tell what the user said earlier in this session, a line each."""


@frozen
class UseTool:
    """Call a tool; with `error` the call fails."""

    tool: str
    input: Json = field(factory=dict)
    output: str = ""
    error: str = ""
    title: str = ""


@frozen
class GiveFile:
    """Give a file: its bytes, or where it is."""

    name: str
    media_type: str = ""
    raw: bytes | None = None
    url: str = ""

    def __attrs_post_init__(self) -> None:
        if (self.raw is None) == (not self.url):
            raise ValueError(f"the file {self.name!r} needs its bytes or its url, one of them")


@frozen
class GiveData:
    """Give structured data."""

    data: Json
    name: str = ""


@frozen
class EditFile:
    """
    Change a file: what it has `before` and `after`, None where it is not there.

    Nothing is written: the script only says so, and the turn ends with the change as OpenCode's do.
    """

    path: str
    before: str | None = None
    after: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.before == self.after:
            raise ValueError(f"the file {self.path!r} is not changed: its before and after are the same")


def _by_verdict(then: Mapping[Verdict | str, Script]) -> Mapping[Verdict, Script]:
    return {Verdict(verdict): script for verdict, script in then.items()}


@frozen
class AskPermission:
    """
    Ask whether something may be done, then play what `then` has for the verdict, then go on.

    A rejection without a reason and without steps of its own ends the turn, as OpenCode's does. What was always
    allowed is not asked again.
    """

    permission: str
    patterns: tuple[str, ...] = ()
    then: Mapping[Verdict, Script] = field(factory=dict, converter=_by_verdict)
    details: Mapping[str, Json] = field(factory=dict)


@frozen
class AskQuestion:
    """Ask the person; with `echo` the answers are told. A dismissal ends the turn."""

    inquiries: tuple[Inquiry, ...]
    echo: bool = True


@frozen
class Delegate:
    """Let a sub-agent, in a session of its own, play some steps; what halts or refuses a task is not for it."""

    steps: Script
    description: str = "A part of the work"

    def __attrs_post_init__(self) -> None:
        misplaced = [type(step).__name__ for step in self.steps if isinstance(step, _FOR_THE_TASK)]
        if misplaced:
            raise ValueError(f"a sub-agent cannot {misplaced[0]}: that is for the task's own script")


@frozen
class Spend:
    """Finish one call of the model, which consumed this much; `reason` is why it finished."""

    usage: Usage
    reason: str = "tool-calls"


@frozen
class Delay:
    """Let time pass, by the service's clock."""

    seconds: float


@frozen
class Hang:
    """Do nothing until the turn is aborted."""


@frozen
class Complete:
    """End the turn now; the task is completed, with this text as its status message."""

    text: str = ""


@frozen
class AskInput:
    """Halt: the task requires input."""

    text: str = ""


@frozen
class NeedAuth:
    """Halt: the task requires authentication somewhere else."""

    text: str = ""


@frozen
class Reject:
    """End: the task is rejected."""

    text: str = ""


@frozen
class Fail:
    """End: the work fails, as a runtime's does."""

    text: str = "the script fails here"


@frozen
class Reply:
    """Answer with a bare message, no task: the only step of its script."""

    text: str


_FOR_THE_TASK = (AskInput, NeedAuth, Reject, Reply)

Ending: TypeAlias = Complete | AskInput | NeedAuth | Reject | Fail
"""What ends a turn."""

Step: TypeAlias = (
    Say
    | Think
    | Echo
    | Recall
    | UseTool
    | GiveFile
    | GiveData
    | EditFile
    | AskPermission
    | AskQuestion
    | Delegate
    | Spend
    | Delay
    | Hang
    | Reply
    | Ending
)

Script: TypeAlias = tuple[Step, ...]
