"""Bindings, in the same storage and by the same writer as the journals."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.domain.ids import ContextId, Principal
from opencode_a2a_server.domain.session import Binding

from .codec import check_text
from .writer import Writer


@frozen(repr=False)
class StoredBindings:
    """Which session serves which context, kept."""

    _writer: Writer

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """
        Give the binding, None if the context is new to this principal.

        Raises:
            JournalUnavailable: The storage cannot be read.

        """
        return await self._writer.storage.find(principal, context_id)

    async def bind(self, binding: Binding) -> None:
        """
        Keep a binding, durable on return.

        Raises:
            InvalidRequest: A name in it cannot be kept.
            JournalUnavailable: The storage does not take it; it goes on trying.

        """
        check_text(binding.principal, binding.context_id, binding.session.id, binding.session.directory)
        await self._writer.written(self._writer.bind(binding))
