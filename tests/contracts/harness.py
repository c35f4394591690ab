"""How the contract's suite works with one adapter of the port `Agent`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

from attrs import define

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.message import Message, RawPart, Role
from tests.fakes.acts import Act


@define(eq=False)
class AgentHarness(ABC):
    """One adapter, and how it is made to do what the contract speaks of."""

    delegates: ClassVar[bool] = True
    """Whether the runtime has sub-agents."""
    can_be_down: ClassVar[bool] = True
    """Whether the runtime is somewhere else, so that it can be out of reach."""

    agent: Agent

    @abstractmethod
    def message(self, *acts: Act) -> Message:
        """Give a message which has this done, in this order."""

    @abstractmethod
    def lapse(self) -> AbstractAsyncContextManager[None]:
        """Let the agent miss what is said meanwhile; on leaving, it hears again."""

    def down(self) -> AbstractAsyncContextManager[None]:
        """Let nobody reach the runtime meanwhile."""
        raise NotImplementedError

    def unmappable(self) -> Message:
        """Give a message that the runtime cannot take."""
        part = RawPart(b"?", "application/x-unsupported-by-anybody")
        return Message(MessageId("unmappable"), Role.USER, (part,))
