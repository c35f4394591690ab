"""Bindings, in the same storage and by the same writer as the journals."""

from __future__ import annotations

from collections import OrderedDict

from attrs import field, frozen

from opencode_a2a_server.domain.ids import ContextId, Principal
from opencode_a2a_server.domain.session import Binding

from .codec import check_text
from .writer import Writer

RECENT = 4096
"""Bindings kept in memory: those that may not be written yet, and those that are asked for again."""


@frozen
class StoredBindings:
    """The port `Bindings`."""

    _writer: Writer
    _recent: OrderedDict[tuple[Principal, ContextId], Binding] = field(factory=OrderedDict, init=False)

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """See `Bindings.find`."""
        known = self._recent.get((principal, context_id))
        if known is None and (known := await self._writer.storage.find(principal, context_id)) is not None:
            await self._remember(known)
        return known

    async def bind(self, binding: Binding) -> None:
        """See `Bindings.bind`: it goes into the transaction of what is journaled next, or into an earlier one."""
        check_text(binding.principal, binding.context_id, binding.session.id, binding.session.directory)
        self._writer.bind(binding)
        await self._remember(binding)

    async def _remember(self, binding: Binding) -> None:
        """Keep a binding in mind; the older half of too many is let go of, once it can be found in the storage."""
        self._recent[binding.principal, binding.context_id] = binding
        if len(self._recent) <= RECENT:
            return
        await self._writer.written()
        for _ in range(len(self._recent) - RECENT // 2):
            self._recent.popitem(last=False)


@frozen
class SharedBindings:
    """
    The port `Bindings` where several replicas share the storage: it is asked each time, for another may have bound.

    Who binds has the context alone, and gives it back behind what he bound; see `Holds`.
    """

    _writer: Writer

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """See `Bindings.find`."""
        await self._writer.written()
        return await self._writer.storage.find(principal, context_id)

    async def bind(self, binding: Binding) -> None:
        """See `Bindings.bind`."""
        check_text(binding.principal, binding.context_id, binding.session.id, binding.session.directory)
        self._writer.bind(binding)
