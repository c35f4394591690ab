"""Which models and agents OpenCode has, as the port `Choosing`."""

from __future__ import annotations

from typing import Any

import msgspec
from attrs import frozen

from opencode_a2a_server.domain.choice import Choices
from opencode_a2a_server.domain.session import Directory, ModelChoice

from .client import Client, within
from .wire import Malformed


class _Model(msgspec.Struct):
    variants: dict[str, msgspec.Raw] | None = None


class _Provider(msgspec.Struct):
    id: str
    models: dict[str, _Model]


class _Providers(msgspec.Struct):
    """`GET /config/providers`: those that can be called. Some have hundreds of models, of which only names are read."""

    providers: list[_Provider]


class _Agent(msgspec.Struct):
    name: str
    hidden: bool | None = None


@frozen
class OpenCodeChoices:
    """What can be chosen."""

    client: Client

    async def choices(self, directory: Directory | None) -> Choices:
        """See `Choosing.choices`."""
        query = within(self.client, directory)
        told = _read(await self.client.call("GET", "/config/providers", query=query), _Providers)
        agents = _read(await self.client.call("GET", "/agent", query=query), list[_Agent])
        models = {
            ModelChoice(provider.id, name): tuple(model.variants or ())
            for provider in told.providers
            for name, model in provider.models.items()
        }
        return Choices(models, tuple(agent.name for agent in agents if not agent.hidden))


def _read(data: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"OpenCode's list of what it has cannot be read: {error}") from error
