"""Who may do what is dangerous, where nothing tells callers apart."""

from __future__ import annotations

from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.domain.ids import Principal


def everybody(principal: Principal, capability: Capability) -> bool:  # noqa: ARG001 - the port's
    """Whoever is let in may use whatever is switched on."""
    return True
