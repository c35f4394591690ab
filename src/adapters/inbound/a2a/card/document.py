"""The documents themselves: the public card and the extended one, as A2A 1.0, 4.4.1 has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a import types as a2a
from attrs import field, frozen
from google.protobuf.json_format import ParseDict

from .extension import Detail, Extension
from .extensions import extensions
from .security import Security
from .skills import CHAT, Skill

VERSIONS: Final = ("1.0", "0.3")
"""The protocol versions that can be served, the preferred one first."""

_TAKEN: Final = (
    "text/plain",
    "application/json",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
)


@frozen
class CardInfo:
    """What the operator decides of the cards; `modified` is in seconds since the epoch."""

    title: str
    description: str
    version: str
    public_url: str
    documentation_url: str = ""
    modified: float = 0.0
    skills: tuple[Skill, ...] = (CHAT,)
    input_modes: tuple[str, ...] = _TAKEN
    output_modes: tuple[str, ...] = ("text/plain", "application/json")
    max_age: int = 300
    push: bool = False
    """Whether notifications are sent."""
    grpc_address: str = ""
    """`host:port` of gRPC; empty if it is not served."""
    extensions: tuple[Extension, ...] = field(factory=extensions)
    """What is served beyond the protocol."""
    required: tuple[str, ...] = ()
    """Extensions, by their URIs, which a client must name with each request."""
    unasked: str = "auto"
    """Whether metadata of extensions is told to clients who did not name them, too: a row of `UNASKED`."""
    security: Security = field(factory=Security)
    """How callers say who they are."""
    extended: bool = True
    """Whether callers who are known get the extended card."""

    def places(self, url: str) -> Mapping[str, str]:
        """Say where each binding is, for who reaches the service at this URL."""
        grpc = {"GRPC": self.grpc_address} if self.grpc_address else {}
        return {"JSONRPC": url, "HTTP+JSON": url, **grpc}


def agent_card(
    info: CardInfo,
    versions: Sequence[str] = VERSIONS,
    url: str = "",
    *,
    extended: bool = False,
    detail: Detail = Detail.PARAMETERS,
) -> a2a.AgentCard:
    """
    Fill in a card; the first interface is the preferred one, and none has a tenant: there are none (A2A 1.0, 4.4.6).

    Args:
        info: What the operator decides.
        versions: The protocol versions that are served.
        url: Where the service is reached. Default: where the operator says.
        extended: Whether to write the extended card, in all detail.
        detail: How much the public card says of extensions.

    """
    card: Mapping[str, Any] = {
        "name": info.title,
        "description": info.description,
        "version": info.version,
        **({"documentationUrl": info.documentation_url} if info.documentation_url else {}),
        "supportedInterfaces": [
            {"url": place, "protocolBinding": binding, "protocolVersion": version}
            for version in versions
            for binding, place in info.places(url or info.public_url).items()
        ],
        "capabilities": {
            "streaming": True,
            "pushNotifications": info.push,
            "extendedAgentCard": info.extended,
            "extensions": [
                extension.told(Detail.ALL if extended else detail, required=extension.uri in info.required)
                for extension in info.extensions
                if extension.public or extended
            ],
        },
        "securitySchemes": info.security.schemes,
        "securityRequirements": info.security.requirements,
        "defaultInputModes": list(info.input_modes),
        "defaultOutputModes": list(info.output_modes),
        "skills": [skill.told() for skill in _skills(info, extended=extended)],
    }
    return ParseDict(card, a2a.AgentCard())  # type: ignore[arg-type]


def _skills(info: CardInfo, *, extended: bool) -> Iterator[Skill]:
    yield from info.skills
    if extended:
        for extension in info.extensions:
            yield from extension.skills
