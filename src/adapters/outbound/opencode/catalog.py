"""What OpenCode can be asked to work with, as the port `Catalog`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from opencode_a2a_server.app.ports.catalog import (
    AgentOffered,
    CommandOffered,
    Model,
    Offer,
    Price,
    Provider,
    ToolServer,
)
from opencode_a2a_server.domain.session import Directory, ModelChoice

from . import wire
from .client import Client, within


@frozen
class _Capabilities:
    reasoning: bool | None = None
    attachment: bool | None = None
    toolcall: bool | None = None


@frozen
class _Limit:
    context: float | None = None
    output: float | None = None


@frozen
class _Cost:
    input: float = 0
    output: float = 0
    cache: wire.CacheTokens = field(factory=wire.CacheTokens)


@frozen
class _Model:
    id: str
    name: str = ""
    status: str | None = None
    capabilities: _Capabilities = field(factory=_Capabilities)
    limit: _Limit = field(factory=_Limit)
    cost: _Cost | None = None
    variants: wire.Object = field(factory=dict)


@frozen
class _Provider:
    """A provider; its options hold the key, and are not read."""

    id: str
    name: str = ""
    source: str | None = None
    models: wire.Object = field(factory=dict)


@frozen
class _Providers:
    all: tuple[_Provider, ...]
    default: wire.Object = field(factory=dict)
    connected: tuple[str, ...] = ()


@frozen
class _AgentModel:
    provider_id: str
    model_id: str


@frozen
class _Agent:
    name: str
    mode: str = ""
    description: str | None = None
    native: bool | None = None
    hidden: bool | None = None
    model: _AgentModel | None = None
    variant: str | None = None
    steps: float | None = None


@frozen
class _ToolServer:
    status: str
    error: str | None = None


@frozen
class OpenCodeCatalog:
    """The catalogue."""

    client: Client

    async def models(self, directory: Directory | None) -> Offer:
        """See `Catalog.models`."""
        told = wire.read(await self._get("/provider", directory), _Providers)
        defaults = {provider: model for provider, model in told.default.items() if isinstance(model, str) and model}
        providers = [
            Provider(
                one.id, one.name or one.id, one.id in told.connected, len(one.models), one.source, defaults.get(one.id)
            )
            for one in told.all
        ]
        models = [
            _model(one, wire.structure(model, _Model), told, defaults)
            for one in told.all
            for model in one.models.values()
        ]
        return Offer(providers, models, defaults, list(told.connected))

    async def default_model(self, directory: Directory | None) -> ModelChoice | None:
        """Give the model OpenCode would take: the default of the first provider that is connected."""
        told = await self.models(directory)
        for provider in told.connected:
            if model := told.default_by_provider.get(provider):
                return ModelChoice(provider, model)
        return None

    async def agents(self, directory: Directory | None) -> Sequence[AgentOffered]:
        """See `Catalog.agents`."""
        return [
            AgentOffered(
                told.name,
                told.mode,
                told.description,
                told.native,
                told.hidden,
                None if told.model is None else _named(told.model),
                told.variant,
                None if told.steps is None else int(told.steps),
            )
            for told in wire.read(await self._get("/agent", directory), tuple[_Agent, ...])
        ]

    async def commands(self, directory: Directory | None) -> Sequence[CommandOffered]:
        """See `Catalog.commands`. The templates stay where they are: they may be long, and are the runtime's."""
        return list(wire.read(await self._get("/command", directory), tuple[CommandOffered, ...]))

    async def tool_servers(self, directory: Directory | None) -> Sequence[ToolServer]:
        """See `Catalog.tool_servers`."""
        told = wire.read(await self._get("/mcp", directory), wire.Object)
        servers = {name: wire.structure(server, _ToolServer) for name, server in told.items()}
        return [ToolServer(name, server.status, server.error) for name, server in servers.items()]

    async def _get(self, path: str, directory: Directory | None) -> bytes:
        return await self.client.call("GET", path, query=within(self.client, directory))


def _model(provider: _Provider, told: _Model, offered: _Providers, defaults: Mapping[str, Any]) -> Model:
    able, limit, cost = told.capabilities, told.limit, told.cost
    return Model(
        provider.id,
        told.id,
        told.name or told.id,
        default=defaults.get(provider.id) == told.id,
        connected=provider.id in offered.connected,
        status=told.status,
        context_window=None if limit.context is None else int(limit.context),
        max_output_tokens=None if limit.output is None else int(limit.output),
        supports_reasoning=able.reasoning,
        supports_tool_call=able.toolcall,
        supports_attachments=able.attachment,
        variants=tuple(told.variants),
        price=None if cost is None else Price(cost.input, cost.output, cost.cache.read, cost.cache.write),
    )


def _named(model: _AgentModel) -> Mapping[str, str]:
    return {"provider_id": model.provider_id, "model_id": model.model_id}
