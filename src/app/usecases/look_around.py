"""See what the runtime can be asked to work with."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.app.ports.catalog import AgentOffered, Catalog, CommandOffered, Offer, ToolServer
from opencode_a2a_server.app.usecases.choose_directory import ChooseDirectory, Place
from opencode_a2a_server.domain.ids import Principal


@frozen
class LookAround:
    """Raises what `ChooseDirectory` and `Catalog` raise."""

    catalog: Catalog
    choose: ChooseDirectory

    async def models(self, principal: Principal, place: Place) -> Offer:
        """Give providers and models."""
        return await self.catalog.models(await self.choose(principal, place))

    async def agents(self, principal: Principal, place: Place) -> Sequence[AgentOffered]:
        """Give the agents."""
        return await self.catalog.agents(await self.choose(principal, place))

    async def commands(self, principal: Principal, place: Place) -> Sequence[CommandOffered]:
        """Give the commands."""
        return await self.catalog.commands(await self.choose(principal, place))

    async def tool_servers(self, principal: Principal, place: Place) -> Sequence[ToolServer]:
        """Give the servers of tools."""
        return await self.catalog.tool_servers(await self.choose(principal, place))
