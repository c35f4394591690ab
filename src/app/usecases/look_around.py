"""See what the runtime can be asked to work with."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.ports.catalog import Catalog, Offer


@frozen
class LookAround:
    """Raises what `Catalog` raises."""

    catalog: Catalog

    async def models(self) -> Offer:
        """Give providers and models."""
        return await self.catalog.models(None)
