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
from attrs import frozen
from google.protobuf.json_format import MessageToDict, ParseDict

from .reply import Content, Headers

_BINDING: Final = "urn:a2a:session-binding/v1"

EXTENSIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "urn:a2a:stream-hints/v1": {
        "description": "Artifacts and statuses say what they hold: block, session, usage, interrupt, place in stream.",
        "params": {
            "artifact_metadata_field": "metadata.shared.stream",
            "status_metadata_field": "metadata.shared.stream",
            "interrupt_metadata_field": "metadata.shared.interrupt",
            "session_metadata_field": "metadata.shared.session",
            "usage_metadata_field": "metadata.shared.usage",
            "progress_metadata_field": "metadata.shared.progress",
            "cursor_metadata_field": "metadata.shared.stream.cursor",
            "gap_metadata_field": "metadata.shared.stream.gap",
            "resume_header": "Last-Event-ID",
            "block_types": ["text", "reasoning", "tool_call", "content"],
            "stream_fields": ["block_type", "source", "message_id", "event_id", "sequence", "role", "lane"],
            "interrupt_fields": ["request_id", "type", "phase", "details", "resolution"],
            "usage_fields": [
                "input_tokens",
                "output_tokens",
                "total_tokens",
                "reasoning_tokens",
                "cache_tokens.read_tokens",
                "cache_tokens.write_tokens",
                "cost",
            ],
        },
    },
    _BINDING: {
        "description": "Each context is bound to one session of the runtime; its id is told, it cannot be chosen.",
        "params": {
            "session_metadata_field": "metadata.shared.session",
            "session_fields": ["id"],
            "behavior": "context_binding",
        },
    },
}
"""
Extensions of opencode-a2a-server 0.2, as far as they are honoured. None is required, and their metadata is told
whether or not they were asked for, as 0.2 did.
"""

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
class Skill:
    """Something the agent can do, with examples of how to ask for it."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    examples: tuple[str, ...] = ()


CHAT: Final = Skill(
    id="opencode.chat",
    name="Work on code",
    description=(
        "Reads, writes, runs and explains code in the agent's workspace. Messages of one context continue one "
        "session. Where a permission or an answer is needed, the task requires input and says what to answer."
    ),
    tags=("coding", "software-engineering", "opencode"),
    examples=(
        "Explain what this project does and how it is tested.",
        "Find out why the test of the parser fails, fix it and run the tests.",
        "Rename the module `util` to `text` and adapt its users.",
    ),
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
    to_working: str = "reject"
    """What becomes of a message to a task at work: `reject` or `queue`."""
    push: bool = False
    """Whether notifications are sent."""
    grpc_address: str = ""
    """`host:port` of gRPC; empty if it is not served."""

    @property
    def places(self) -> Mapping[str, str]:
        """Where each binding is."""
        grpc = {"GRPC": self.grpc_address} if self.grpc_address else {}
        return {"JSONRPC": self.public_url, "HTTP+JSON": self.public_url, **grpc}


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
            "extensions": _extensions(info),
        },
        "securitySchemes": {"bearerAuth": {"httpAuthSecurityScheme": {"scheme": "bearer", "bearerFormat": "opaque"}}},
        "securityRequirements": [{"schemes": {"bearerAuth": {"list": []}}}],
        "defaultInputModes": list(info.input_modes),
        "defaultOutputModes": list(info.output_modes),
        "skills": [_skill(skill) for skill in info.skills],
    }
    return ParseDict(card, a2a.AgentCard())  # type: ignore[arg-type]


def _extensions(info: CardInfo) -> list[Mapping[str, Any]]:
    """List the extensions; the binding of sessions says what one session does with messages that come at once."""
    binding = EXTENSIONS[_BINDING]
    told = {
        **EXTENSIONS,
        _BINDING: {**binding, "params": {**binding["params"], "messages_to_working": info.to_working}},
    }
    return [{"uri": uri, **extension} for uri, extension in told.items()]


def _with_v03(card: a2a.AgentCard) -> Mapping[str, Any]:
    """Add what A2A 0.3, 5.5 has: all of its interfaces among the additional ones, the version with its patch."""
    interfaces = [
        {"url": interface.url, "transport": interface.protocol_binding}
        for interface in card.supported_interfaces
        if interface.protocol_version == "0.3"
    ]
    return {**agent_card_to_dict(card), "protocolVersion": "0.3.0", "additionalInterfaces": interfaces}


def _skill(skill: Skill) -> Mapping[str, Any]:
    return {
        "id": skill.id,
        "name": skill.name,
        "description": skill.description,
        "tags": list(skill.tags),
        "examples": list(skill.examples),
    }
