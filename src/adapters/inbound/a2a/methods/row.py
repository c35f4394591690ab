"""A row of the table of extension methods."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from attrs import frozen

from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.usecases.answer_interrupt import AnswerInterrupt
from opencode_a2a_server.app.usecases.change_sessions import ChangeSessions
from opencode_a2a_server.app.usecases.list_interrupts import ListInterrupts
from opencode_a2a_server.app.usecases.look_around import LookAround
from opencode_a2a_server.app.usecases.read_files import ReadFiles
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from opencode_a2a_server.app.usecases.tend_workspaces import TendWorkspaces
from opencode_a2a_server.app.usecases.work_in_session import WorkInSession

from .read import Params

_S = TypeVar("_S")
_P = TypeVar("_P", bound=Params)


@frozen
class InterruptServices:
    """What answers permissions and questions, and lists them."""

    answer: AnswerInterrupt
    list: ListInterrupts


@frozen
class MethodServices:
    """The use cases behind extension methods; None for what the runtime has nothing for."""

    sessions: ReadSessions | None = None
    changes: ChangeSessions | None = None
    work: WorkInSession | None = None
    around: LookAround | None = None
    workspaces: TendWorkspaces | None = None
    files: ReadFiles | None = None
    enabled: frozenset[Capability] = frozenset()
    """What is switched on."""
    interrupts: InterruptServices | None = None


class Risk(enum.Enum):
    """What a method can do."""

    READ = "read"
    CHANGE = "change"
    DANGER = "danger"
    """It is off unless the operator switches it on."""


@frozen
class Answer:
    """What a method tells: the fields of its result, and what is in `items` or `item`."""

    fields: tuple[str, ...]
    type: str = ""

    @property
    def items_type(self) -> str:
        """The type of `items`, empty if there are none."""
        return f"{self.type}[]" if "items" in self.fields else ""


@frozen
class ExtensionMethod:
    """A method: its name, what it takes, what it tells, and who does it."""

    name: str
    short: str
    """What the card calls it."""
    extension: str
    """The URI of the extension that has it."""
    summary: str
    params: type[Params]
    answer: Answer
    since: str
    """Which version had it first: 0.2 of this service, 1.4 of its successor by another name, or 1.0 of this one."""
    risk: Risk
    part: Callable[[MethodServices], object | None]
    call: Callable[[Any, Call, Any], Awaitable[Told]]
    capability: Capability | None = None
    setting: str = ""
    """The variable that switches it on, if it is off by default."""


@frozen
class Rows(Generic[_S]):
    """The rows of one extension that have the same part of the services behind them."""

    extension: str
    part: Callable[[MethodServices], _S | None]

    def of(  # noqa: PLR0913 - the columns of the table, each by its name
        self,
        name: str,
        short: str,
        *,
        summary: str,
        params: type[_P],
        answer: Answer,
        call: Callable[[_S, Call, _P], Awaitable[Told]],
        since: str = "1.0",
        risk: Risk = Risk.READ,
        capability: Capability | None = None,
        setting: str = "",
    ) -> ExtensionMethod:
        """Make one whose columns fit each other."""
        return ExtensionMethod(
            name, short, self.extension, summary, params, answer, since, risk, self.part, call, capability, setting
        )
