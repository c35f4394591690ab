"""
The contracts of extensions, made from the table of methods: what a card says in `params`, and what is too long for it.

Names of fields are those of opencode-a2a-server 0.2, which its clients look for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from opencode_a2a_server.adapters.inbound.a2a.errors import EXTENSION_TABLE
from opencode_a2a_server.domain.errors import (
    AgentFault,
    AgentRefused,
    AgentUnreachable,
    AlreadyAnswered,
    CapabilityMissing,
    InterruptExpired,
    InterruptNotFound,
    InterruptTypeMismatch,
    MethodDisabled,
    SessionBusy,
    SessionNotFound,
)

from .interrupts import OfInterrupt
from .read import OfSession, Placed, fields_of
from .row import ExtensionMethod, MethodServices, Risk
from .sessions import DEFAULT_LIMIT, MOST_LISTED
from .told import CONTEXT_PREFIX
from .uris import SESSION_QUERY

Contract = dict[str, Any]

PROVIDER: Final = "opencode"
DIRECTORY_FIELD: Final = "metadata.opencode.directory"
PAGINATED: Final = ("opencode.sessions.list", "opencode.sessions.messages.list")
_WITH_CURSOR: Final = PAGINATED[1:]
_NO_LONGER: Final = ("cursor", "page", "size")
"""What 0.2 named as unsupported wherever something is listed by pages."""

_UPSTREAM: Final = (AgentUnreachable, AgentRefused, AgentFault)
_OF_SESSIONS: Final = (SessionNotFound, SessionBusy)
_OF_CAPABILITIES: Final = (MethodDisabled, CapabilityMissing)
_OF_INTERRUPTS: Final = (InterruptNotFound, InterruptExpired, InterruptTypeMismatch, AlreadyAnswered)


@frozen
class Told:
    """What the cards say of an extension that has methods: in both, and in the extended one alone."""

    params: Mapping[str, Any]
    more: Mapping[str, Any]


def contract(
    uri: str, served: Sequence[ExtensionMethod], table: Iterable[ExtensionMethod], services: MethodServices
) -> Told:
    """Tell the contract of an extension: of its methods that are served, and of those that could be switched on."""
    methods = [method for method in served if method.extension == uri]
    flagged = [method for method in table if method.extension == uri and method.capability is not None]
    params: Contract = {"provider": PROVIDER, "errors": {"business_codes": business_codes([*methods, *flagged])}}
    more: Contract = {
        "method_contracts": {method.name: method_contract(method) for method in methods},
        "errors": {
            "business_codes": business_codes([*methods, *flagged]),
            "error_data_fields": ["type", "method", "session_id", "request_id", "upstream_status", "detail"],
            "invalid_params_data_fields": ["type", "field", "detail"],
        },
        "supported_metadata": ["opencode.directory"],
        "provider_private_metadata": ["opencode.directory"],
        "context_fields": {"directory": DIRECTORY_FIELD},
    }
    if flagged:
        params["control_method_flags"] = {method.name: _flag(method, services) for method in flagged}
    if uri == SESSION_QUERY:
        params["pagination"] = pagination()
        params["context_semantics"] = {
            "a2a_context_id_field": "contextId",
            "a2a_context_id_prefix": CONTEXT_PREFIX,
            "upstream_session_id_field": "metadata.shared.session.id",
        }
        more["control_methods"] = {method.short: method.name for method in methods if method.risk is not Risk.READ}
    return Told(params, more)


def envelope(methods: Iterable[ExtensionMethod]) -> Contract:
    """Tell of each method the fields of its result, as 0.2 did beside the contracts."""
    told: dict[str, Contract] = {}
    for method in methods:
        items = {"items_field": "items"} if "items" in method.answer.fields else {}
        told[method.name] = {"fields": list(method.answer.fields), **items}
    return {"by_method": told}


def method_contract(method: ExtensionMethod) -> Contract:
    """Tell what a method takes and gives."""
    fields = list(fields_of(method.params))
    taken = {
        "required": [name for name, needed in fields if needed],
        "optional": [name for name, needed in fields if not needed] + _by_metadata(method),
        "unsupported": list(_NO_LONGER) if method.name in PAGINATED else [],
    }
    items = {"items_type": method.answer.items_type} if method.answer.items_type else {}
    item = {"item_type": method.answer.type} if "item" in method.answer.fields else {}
    return {
        "summary": method.summary,
        "params": {name: names for name, names in taken.items() if names},
        "result": {"fields": list(method.answer.fields), **items, **item},
        "risk": method.risk.value,
        "since": method.since,
        "notification_response_status": 204,
    }


def pagination() -> Contract:
    """Tell how lists are read in pages."""
    return {
        "mode": "limit_and_optional_cursor",
        "default_limit": DEFAULT_LIMIT,
        "max_limit": MOST_LISTED,
        "params": ["limit", "before"],
        "applies_to": list(PAGINATED),
        "cursor_param": "before",
        "result_cursor_field": "next_cursor",
        "cursor_applies_to": list(_WITH_CURSOR),
    }


def business_codes(methods: Sequence[ExtensionMethod]) -> Mapping[str, int]:
    """Give the codes of errors that are not JSON-RPC's own, by their types."""
    refusals: list[type[Exception]] = [*_UPSTREAM]
    if any(issubclass(method.params, OfInterrupt) for method in methods):
        refusals = [*_OF_INTERRUPTS, *refusals]
    if any(issubclass(method.params, OfSession) for method in methods):
        refusals = [*_OF_SESSIONS, *refusals]
    if any(method.capability is not None for method in methods):
        refusals = [*_OF_CAPABILITIES, *refusals]
    return {EXTENSION_TABLE[refusal].reason: EXTENSION_TABLE[refusal].code for refusal in refusals}


def unavailable(table: Iterable[ExtensionMethod], services: MethodServices) -> Iterator[ExtensionMethod]:
    """Give the methods which the operator could switch on."""
    for method in table:
        if method.capability is not None and method.capability not in services.enabled:
            yield method


def _by_metadata(method: ExtensionMethod) -> list[str]:
    return [DIRECTORY_FIELD] if issubclass(method.params, Placed) else []


def _flag(method: ExtensionMethod, services: MethodServices) -> Contract:
    return {
        "enabled_by_default": False,
        "enabled": method.capability in services.enabled,
        "config_key": method.setting,
    }
