"""Check that somebody may do what is dangerous."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from opencode_a2a_server.app.ports.capabilities import Capability, May
from opencode_a2a_server.domain.errors import CapabilityMissing, MethodDisabled
from opencode_a2a_server.domain.ids import Principal


@frozen
class CheckCapability:
    """
    Refuse what is switched off, and then who may not.

    Raises:
        MethodDisabled: The operator has not switched it on.
        CapabilityMissing: It is for others.

    """

    enabled: frozenset[Capability]
    may: May
    switches: Mapping[Capability, str] = field(factory=dict)
    """How the operator switches each on."""

    def __call__(self, principal: Principal, capability: Capability) -> None:
        """Check one."""
        if capability not in self.enabled:
            switch = self.switches.get(capability, "its setting")
            raise MethodDisabled(f"{capability.value} is switched off here; who runs the service can set {switch}")
        if not self.may(principal, capability):
            raise CapabilityMissing(f"your credentials do not include {capability.value}; ask who runs the service")
