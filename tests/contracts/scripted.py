"""The contract's harness for the adapter `Scripted`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar, cast

from attrs import define, field

from opencode_a2a_server.adapters.outbound import scripted
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.interrupt import Inquiry, Option
from opencode_a2a_server.domain.message import Message, Role, TextPart
from tests.contracts.harness import AgentHarness
from tests.fakes.acts import Act, AskPermission, AskQuestion, Delegate, Fail, Hang, Reason, RunTool, Say, WriteFile
from tests.fakes.clock import TurnedClock
from tests.fakes.ids import CountedIds


@define(eq=False)
class ScriptedHarness(AgentHarness):
    """Scripts go by the id of their message."""

    can_be_down: ClassVar[bool] = False
    scripts: dict[MessageId, scripted.Script] = field(factory=dict)

    def message(self, *acts: Act) -> Message:
        """See `AgentHarness`."""
        message_id = MessageId(f"m{len(self.scripts)}")
        self.scripts[message_id] = tuple(_step(act) for act in acts)
        return Message(message_id, Role.USER, (TextPart("play"),))

    @asynccontextmanager
    async def lapse(self) -> AsyncIterator[None]:
        """See `AgentHarness`."""
        with cast("scripted.Scripted", self.agent).lapse():
            yield


def _step(act: Act) -> scripted.Step:  # noqa: PLR0911 - one line for each act
    match act:
        case Say(text):
            return scripted.Say(text)
        case Reason(text):
            return scripted.Think(text)
        case RunTool(tool, output, error):
            return scripted.UseTool(tool, {}, output, error)
        case WriteFile(path, line):
            return scripted.EditFile(path, None, f"{line}\n")
        case AskPermission(permission, pattern):
            return scripted.AskPermission(permission, (pattern,))
        case AskQuestion(question, options):
            return scripted.AskQuestion((Inquiry(question, options=tuple(Option(label) for label in options)),))
        case Delegate(acts):
            return scripted.Delegate(tuple(_step(act) for act in acts))
        case Fail(text):
            return scripted.Fail(text)
        case Hang():
            return scripted.Hang()


@asynccontextmanager
async def scripted_harness() -> AsyncIterator[AgentHarness]:
    """Make the harness."""
    scripts: dict[MessageId, scripted.Script] = {}
    agent = scripted.Scripted(TurnedClock(), CountedIds(), lambda message: scripts[message.message_id])
    async with agent:
        yield ScriptedHarness(agent, scripts)
