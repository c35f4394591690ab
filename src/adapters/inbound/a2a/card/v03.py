"""
The cards in the words of 0.3 (A2A 0.3, 5.5).

Its clients disagree about HTTP+JSON: the SDK for Python reads security schemes as JSON-RPC has them, with a `type`, the one
for JavaScript as ProtoJSON has them, under the name of their kind. There they have both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from a2a import types as a2a
from a2a.compat.v0_3 import a2a_v0_3_pb2 as proto
from a2a.compat.v0_3 import types as v03
from a2a.compat.v0_3.conversions import to_compat_agent_card
from a2a.compat.v0_3.proto_utils import FromProto, ToProto
from google.protobuf.json_format import MessageToDict, ParseDict

VERSION: Final = "0.3"
_WHOLE: Final = "0.3.0"
"""The version with its patch, as 0.3 writes it."""


def combined(card: a2a.AgentCard) -> Mapping[str, Any]:
    """Tell a card of 1.0 that has in its top level what clients of 0.3 look for."""
    compat = _compat(card)
    interfaces = [interface.model_dump(by_alias=True) for interface in compat.additional_interfaces or ()]
    old = compat.model_dump(exclude_none=True)
    if not old.get("supportsAuthenticatedExtendedCard"):
        old.pop("supportsAuthenticatedExtendedCard", None)
    return {**_joined(MessageToDict(card), old), "protocolVersion": _WHOLE, "additionalInterfaces": interfaces}


def _joined(told: Any, compat: Any) -> Any:
    """
    Add what only 0.3 has, at every depth.

    The SDK's `agent_card_to_dict` does the same; it is not used, since with it the SDK's whole server is imported: half a
    second more at each start. A test holds the two equal.
    """
    match told, compat:
        case dict(), dict():
            return {
                **compat,
                **told,
                **{name: _joined(told[name], compat[name]) for name in told.keys() & compat.keys()},
            }
        case list(), list():
            return [_joined(*pair) for pair in zip(told, compat, strict=False)] + told[len(compat) :]
    return told


def as_json(card: a2a.AgentCard) -> Mapping[str, Any]:
    """Tell it as JSON-RPC does."""
    told: Mapping[str, Any] = _compat(card).model_dump(mode="json", by_alias=True, exclude_none=True)
    return told


def as_http(card: a2a.AgentCard) -> Mapping[str, Any]:
    """Tell it so that both SDKs read it."""
    told = as_json(card)
    named: Mapping[str, Any] = MessageToDict(card)["securitySchemes"]
    schemes = {name: {**scheme, **named[name]} for name, scheme in told["securitySchemes"].items()}
    return {**told, "securitySchemes": schemes}


def as_proto(card: a2a.AgentCard) -> Mapping[str, Any]:
    """Tell it as ProtoJSON does."""
    told: Mapping[str, Any] = MessageToDict(ToProto.agent_card(_compat(card)))
    return told


def canonical(told: Mapping[str, Any], *, of_proto: bool = False) -> bytes:
    """Give the form that the SDK of 0.3 verifies a signature over: the card as its types hold it, with all else left out."""
    card = (
        FromProto.agent_card(ParseDict(dict(told), proto.AgentCard()))
        if of_proto
        else v03.AgentCard.model_validate(told)
    )
    held = card.model_dump(exclude={"signatures"}, exclude_defaults=True, exclude_none=True, by_alias=True)
    return json.dumps(_filled(held), separators=(",", ":"), sort_keys=True).encode()


def _compat(card: a2a.AgentCard) -> v03.AgentCard:
    """Give the card as 0.3 has it: all of its interfaces among the additional ones, the version with its patch."""
    compat = to_compat_agent_card(card)
    compat.protocol_version = _WHOLE
    compat.additional_interfaces = [
        v03.AgentInterface(url=interface.url, transport=interface.protocol_binding)
        for interface in card.supported_interfaces
        if interface.protocol_version == VERSION
    ]
    return compat


def _filled(value: Any) -> Any:
    """Leave out what is empty, as that SDK does; None if nothing is left."""
    match value:
        case dict():
            filled = {name: left for name, item in value.items() if (left := _filled(item)) is not None}
            return filled or None
        case list():
            return [left for item in value if (left := _filled(item)) is not None] or None
        case "":
            return None
    return value
