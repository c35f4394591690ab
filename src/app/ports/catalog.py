"""What a runtime can be asked to work with: models, agents, commands, tool servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import frozen

from opencode_a2a_server.domain.session import Directory


@frozen
class Price:
    """What a million tokens cost."""

    input: float = 0
    output: float = 0
    cache_read: float = 0
    cache_write: float = 0


@frozen
class Model:
    """A model; what is None the runtime does not say."""

    provider_id: str
    model_id: str
    name: str
    default: bool
    connected: bool
    status: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    supports_reasoning: bool | None = None
    supports_tool_call: bool | None = None
    supports_attachments: bool | None = None
    variants: tuple[str, ...] = ()
    price: Price | None = None


@frozen
class Provider:
    """Who serves models; `connected` says whether there are credentials."""

    provider_id: str
    name: str
    connected: bool
    model_count: int
    source: str | None = None
    default_model_id: str | None = None


@frozen
class Offer:
    """All providers and models there are."""

    providers: Sequence[Provider]
    models: Sequence[Model]
    default_by_provider: Mapping[str, str]
    connected: Sequence[str]


@frozen
class AgentOffered:
    """An agent of the runtime's: how it works, not what it may do."""

    name: str
    mode: str
    description: str | None = None
    native: bool | None = None
    hidden: bool | None = None
    model: Mapping[str, str] | None = None
    variant: str | None = None
    steps: int | None = None


@frozen
class CommandOffered:
    """A command; `hints` are the places its arguments go to."""

    name: str
    description: str | None = None
    agent: str | None = None
    model: str | None = None
    source: str | None = None
    subtask: bool | None = None
    hints: tuple[str, ...] = ()


@frozen
class ToolServer:
    """A server of tools (MCP)."""

    name: str
    status: str
    error: str | None = None


class Catalog(Protocol):
    """Raises as `Agent` does. The directory says whose configuration counts; None is the runtime's own."""

    async def models(self, directory: Directory | None) -> Offer:
        """Give providers and models."""
        ...

    async def agents(self, directory: Directory | None) -> Sequence[AgentOffered]:
        """Give the agents."""
        ...

    async def commands(self, directory: Directory | None) -> Sequence[CommandOffered]:
        """Give the commands."""
        ...

    async def tool_servers(self, directory: Directory | None) -> Sequence[ToolServer]:
        """Give the servers of tools."""
        ...
