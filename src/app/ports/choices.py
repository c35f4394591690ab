"""Which models and agents a message may name."""

from __future__ import annotations

from typing import Protocol

from opencode_a2a_server.domain.choice import Choices
from opencode_a2a_server.domain.session import Directory


class Choosing(Protocol):
    """Raises as `Agent` does. The directory says whose configuration counts; None is the runtime's own."""

    async def choices(self, directory: Directory | None) -> Choices:
        """Give what can be chosen now: models of providers that can be called, and agents that take prompts."""
        ...
