"""Who may do what is dangerous."""

from __future__ import annotations

from typing import Protocol

from opencode_a2a_server.domain.access import Capability
from opencode_a2a_server.domain.ids import Principal


class May(Protocol):
    """Say whether a principal may use something that is switched on."""

    def __call__(self, principal: Principal, capability: Capability) -> bool:
        """Say it, at once."""
        ...


__all__ = ["Capability", "May"]
