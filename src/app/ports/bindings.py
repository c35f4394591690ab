"""Which session serves which context."""

from __future__ import annotations

from typing import Protocol

from opencode_a2a_server.domain.ids import ContextId, Principal
from opencode_a2a_server.domain.session import Binding


class Bindings(Protocol):
    """
    Bindings outlive tasks, turns and restarts. One context has at most one session for one principal.

    Both methods raise `JournalUnavailable` while the store cannot be used.
    """

    async def find(self, principal: Principal, context_id: ContextId) -> Binding | None:
        """Give the binding, None if the context is new to this principal."""
        ...

    async def bind(self, binding: Binding) -> None:
        """
        Keep a binding; a later one for the same context replaces it.

        It is found from now on, and durable no later than what is journaled after it.

        Raises:
            InvalidRequest: A name in it cannot be kept.
            JournalUnavailable: Too much waits to be written.

        """
        ...
