"""How callers say who they are, in the words of OpenAPI: told from what the card declares, so that both say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opencode_a2a_server.adapters.inbound.a2a.card.security import Security, Told

_KINDS: Final[Mapping[str, str]] = {
    "httpAuthSecurityScheme": "http",
    "openIdConnectSecurityScheme": "openIdConnect",
    "oauth2SecurityScheme": "oauth2",
}
_UNKNOWN_TO_3_1: Final = frozenset({"oauth2MetadataUrl"})


def schemes(security: Security) -> Mapping[str, Told]:
    """Give what the document has as `securitySchemes`."""
    return {name: _scheme(*next(iter(told.items()))) for name, told in security.schemes.items()}


def requirements(security: Security) -> Sequence[Mapping[str, Sequence[str]]]:
    """Give what each operation needs unless it is public: any one of the schemes."""
    return [
        {name: told["list"] for name, told in requirement["schemes"].items()} for requirement in security.requirements
    ]


def _scheme(kind: str, told: Mapping[str, Any]) -> Told:
    return {"type": _KINDS[kind], **{name: value for name, value in told.items() if name not in _UNKNOWN_TO_3_1}}
