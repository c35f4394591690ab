"""Which provider's tokens are taken, and what they are good for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from attrs import field, frozen

from opencode_a2a_server.domain.access import EVERYTHING, Capability, Grant

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Those that can be allowed."""

_DISCOVERY: Final = "/.well-known/openid-configuration"


@frozen
class Trust:
    """Which tokens are taken, and what they say."""

    issuer: str
    audiences: Sequence[str]
    algorithms: Sequence[str] = ("RS256", "PS256", "ES256", "EdDSA")
    skew: float = 30.0
    jwks_url: str = ""
    """Default: what the provider's metadata says."""
    metadata_url: str = ""
    """Default: where OpenID Connect Discovery has it."""
    principal_claim: str = "sub"
    scope_claim: str = "scope"
    scopes: Mapping[str, str] = field(factory=dict)
    """What scopes of tokens, or patterns of them, are here: a scope or a capability. None: each token has all scopes."""

    @property
    def metadata(self) -> str:
        """Where the provider's metadata is."""
        return self.metadata_url or self.issuer.rstrip("/") + _DISCOVERY

    def grant(self, claims: Mapping[str, Any]) -> Grant:
        """Say what a token is good for."""
        if not self.scopes:
            return Grant((EVERYTHING,), frozenset())
        said = claims.get(self.scope_claim, ())
        held = said.split() if isinstance(said, str) else [one for one in said if isinstance(one, str)]
        meant = {ours for theirs, ours in self.scopes.items() if any(fnmatchcase(one, theirs) for one in held)}
        capabilities = frozenset(capability for capability in Capability if capability.value in meant)
        return Grant(tuple(sorted(meant - {capability.value for capability in Capability})), capabilities)
