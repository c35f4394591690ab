"""The contract's harness for the adapter `OpenCode`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from tests.contracts.harness import AgentHarness
from tests.fakes.acts import Act
from tests.fakes.clock import TurnedClock
from tests.fakes.opencode import FakeOpenCode


@define(eq=False)
class OpenCodeHarness(AgentHarness):
    """Scripts go by the text of their message."""

    fake: FakeOpenCode = field(kw_only=True)
    clock: TurnedClock = field(kw_only=True)

    def message(self, *acts: Act) -> Message:
        """See `AgentHarness`."""
        text = f"do {len(self.fake.scripts)}"
        self.fake.scripts[text] = acts
        return Message(MessageId(text), Role.USER, (TextPart(text),))

    @asynccontextmanager
    async def lapse(self) -> AsyncIterator[None]:
        """See `AgentHarness`."""
        self.fake.faults.feed = "off"
        self.fake.cut()
        await self.clock.turn()
        yield
        self.fake.faults.feed = "on"
        await self.clock.turn(30)

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """See `AgentHarness`."""
        self.fake.faults.down = True
        yield
        self.fake.faults.down = False


@asynccontextmanager
async def opencode_harness() -> AsyncIterator[AgentHarness]:
    """Make the harness."""
    fake, clock = FakeOpenCode(), TurnedClock()
    async with OpenCode.at(Address("http://opencode"), clock, fake) as agent:
        await clock.turn()
        yield OpenCodeHarness(agent, fake=fake, clock=clock)
