"""The public Agent Card (A2A 1.0, 8): only what the routes serve, encoded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import formatdate, parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

import msgspec
from a2a import types as a2a
from a2a.server.request_handlers.response_helpers import agent_card_to_dict
from attrs import field, frozen
from google.protobuf.json_format import MessageToDict, ParseDict

from opencode_a2a_server.adapters.inbound.a2a.reply import Content, Headers

from .extensions import Extension, extensions
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
    """What the operator decides of the card; `modified` is in seconds since the epoch."""

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

    @property
    def places(self) -> Mapping[str, str]:
        """Where each binding is."""
        grpc = {"GRPC": self.grpc_address} if self.grpc_address else {}
        return {"JSONRPC": self.public_url, "HTTP+JSON": self.public_url, **grpc}

    extensions: tuple[Extension, ...] = field(factory=extensions)
    """What is served beyond the protocol."""
    required: tuple[str, ...] = ()
    """Extensions, by their URIs, which a client must name with each request."""
    unasked: bool = True
    """Whether metadata of extensions is told to clients who did not name them, too."""


@frozen
class Card:
    """The card as it is served."""

    body: bytes
    headers: Headers
    etag: str
    modified: float

    @classmethod
    def of(cls, info: CardInfo, versions: Sequence[str] = VERSIONS) -> Card:
        """Write the card; with 0.3 the same document has what clients of that version look for, in its top level."""
        card = agent_card(info, versions)
        told = _with_v03(card) if "0.3" in versions else MessageToDict(card)
        body = msgspec.json.encode(told, order="deterministic")
        etag = f'"{sha256(body).hexdigest()[:32]}"'
        headers = [
            (b"etag", etag.encode()),
            (b"cache-control", b"public, max-age=%d" % info.max_age),
            *([(b"last-modified", formatdate(info.modified, usegmt=True).encode())] if info.modified else []),
        ]
        return cls(body, tuple(headers), etag, info.modified)

    def reply(self, if_none_match: str | None, if_modified_since: str | None) -> Content:
        """Give the card, or say that the caller has it already (RFC 9110, 13.1: the tag counts before the date)."""
        if self._has(if_none_match, if_modified_since):
            return Content(b"", status=HTTPStatus.NOT_MODIFIED, headers=self.headers)
        return Content(self.body, headers=self.headers)

    def _has(self, if_none_match: str | None, if_modified_since: str | None) -> bool:
        if if_none_match is not None:
            tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
            return not tags.isdisjoint({self.etag, "*"})
        if not if_modified_since or not self.modified:
            return False
        try:
            return parsedate_to_datetime(if_modified_since).timestamp() >= int(self.modified)
        except ValueError:
            return False


def agent_card(info: CardInfo, versions: Sequence[str] = VERSIONS) -> a2a.AgentCard:
    """Fill in the card; the first interface is the preferred one."""
    card: Mapping[str, Any] = {
        "name": info.title,
        "description": info.description,
        "version": info.version,
        **({"documentationUrl": info.documentation_url} if info.documentation_url else {}),
        "supportedInterfaces": [
            {"url": url, "protocolBinding": binding, "protocolVersion": version}
            for version in versions
            for binding, url in info.places.items()
        ],
        "capabilities": {
            "streaming": True,
            "pushNotifications": info.push,
            "extendedAgentCard": False,
            "extensions": [
                extension.told(extended=False, required=extension.uri in info.required)
                for extension in info.extensions
                if extension.public
            ],
        },
        "securitySchemes": {"bearerAuth": {"httpAuthSecurityScheme": {"scheme": "bearer", "bearerFormat": "opaque"}}},
        "securityRequirements": [{"schemes": {"bearerAuth": {"list": []}}}],
        "defaultInputModes": list(info.input_modes),
        "defaultOutputModes": list(info.output_modes),
        "skills": [skill.told() for skill in info.skills],
    }
    return ParseDict(card, a2a.AgentCard())  # type: ignore[arg-type]


def _with_v03(card: a2a.AgentCard) -> Mapping[str, Any]:
    """Add what A2A 0.3, 5.5 has: all of its interfaces among the additional ones, the version with its patch."""
    interfaces = [
        {"url": interface.url, "transport": interface.protocol_binding}
        for interface in card.supported_interfaces
        if interface.protocol_version == "0.3"
    ]
    return {**agent_card_to_dict(card), "protocolVersion": "0.3.0", "additionalInterfaces": interfaces}
