"""Models and agents to choose from."""

from __future__ import annotations

import asyncio

from attrs import define, field

from opencode_a2a_server.domain.choice import Choices
from opencode_a2a_server.domain.session import Directory, ModelChoice

SONNET = ModelChoice("anthropic", "claude-sonnet-4-5")
NANO = ModelChoice("openai", "gpt-5-nano")


@define(eq=False)
class FakeChoices:
    """The port `Choosing`. `raises` is raised instead; `asked` is for which directories it was asked."""

    models: dict[ModelChoice, tuple[str, ...]] = field(factory=lambda: {SONNET: ("high", "max"), NANO: ()})
    agents: tuple[str, ...] = ("build", "plan")
    raises: Exception | None = None
    silent: bool = False
    asked: list[Directory | None] = field(factory=list)

    async def choices(self, directory: Directory | None) -> Choices:
        """See `Choosing.choices`."""
        self.asked.append(directory)
        if self.silent:
            await asyncio.Event().wait()
        if self.raises is not None:
            raise self.raises
        return Choices(dict(self.models), self.agents)
