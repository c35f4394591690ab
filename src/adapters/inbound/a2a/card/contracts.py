"""
The extensions as they are offered: with the contracts of their methods, by all the names they are known by.

0.2's clients know the URIs of the table. Later clients of this family know others for the same thing: each is offered
too, and activated by the name it was asked for. The public card has the table's own, for it must stay short; the extended
card has all, and `GET /extensions/<name>/v1` gives each contract alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from attrs import define, evolve, field, frozen
from litestar.params import FromPath

from opencode_a2a_server.adapters.inbound.a2a import rpc
from opencode_a2a_server.adapters.inbound.a2a.errors import MethodNotFound
from opencode_a2a_server.adapters.inbound.a2a.methods.contracts import contract, envelope, unavailable
from opencode_a2a_server.adapters.inbound.a2a.methods.row import MethodServices
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE, by_extension, served
from opencode_a2a_server.adapters.inbound.a2a.methods.uris import PROVIDER_DISCOVERY, SESSION_QUERY, WORKSPACE_CONTROL
from opencode_a2a_server.adapters.inbound.a2a.parameters import AnyRequest
from opencode_a2a_server.adapters.inbound.a2a.reply import Content, Reply
from opencode_a2a_server.adapters.inbound.a2a.v03 import methods as v0_3

from .extension import Extension
from .extensions import INTERACTIVE_INTERRUPT, MODEL_SELECTION, SESSION_BINDING, STREAM_HINTS, served_with

COMPATIBILITY: Final = "urn:opencode-a2a:compatibility-profile/v1"
WIRE_CONTRACT: Final = "urn:opencode-a2a:wire-contract/v1"

_FAMILY: Final = "urn:opencode-a2a:extension:"

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    SESSION_BINDING: (f"{_FAMILY}shared:session-binding:v1", f"{_FAMILY}session-binding:v1"),
    MODEL_SELECTION: (f"{_FAMILY}shared:model-selection:v1", f"{_FAMILY}model-selection:v1"),
    STREAM_HINTS: (f"{_FAMILY}shared:stream-hints:v1", f"{_FAMILY}stream-hints:v1"),
    INTERACTIVE_INTERRUPT: (
        f"{_FAMILY}shared:interactive-interrupt:v1",
        f"{_FAMILY}interactive-interrupt:v1",
        f"{_FAMILY}private:interrupt-recovery:v1",
        f"{_FAMILY}interrupt-recovery:v1",
    ),
    SESSION_QUERY: (f"{_FAMILY}private:session-management:v1", f"{_FAMILY}session-management:v1"),
    PROVIDER_DISCOVERY: (f"{_FAMILY}private:provider-discovery:v1", f"{_FAMILY}provider-discovery:v1"),
    WORKSPACE_CONTROL: (f"{_FAMILY}private:workspace-control:v1", f"{_FAMILY}workspace-control:v1"),
    COMPATIBILITY: (f"{_FAMILY}private:compatibility-profile:v1", f"{_FAMILY}compatibility-profile:v1"),
    WIRE_CONTRACT: (f"{_FAMILY}private:wire-contract:v1", f"{_FAMILY}wire-contract:v1"),
}
"""By what other names an extension is known."""

_NAME: Final = re.compile(r"urn:[a-z0-9-]+:(?P<name>[a-z0-9-]+)/v1")
_CORE: Final = {"1.0": tuple(rpc.METHODS), "0.3": tuple(v0_3.METHODS)}


def offered(
    table: Iterable[Extension], services: MethodServices, versions: Sequence[str] = tuple(_CORE)
) -> tuple[Extension, ...]:
    """Give what can be had of a table with these use cases, in full."""
    known = served_with(table, by_extension(services))
    full = [_with_contract(extension, services) for extension in known]
    if any(extension.by_methods for extension in full):
        full += [_compatibility(services, versions), _wire_contract(full, services, versions)]
    return tuple(full) + tuple(_aliases(full))


def _with_contract(extension: Extension, services: MethodServices) -> Extension:
    params = {"provider": "opencode", **extension.params}
    if not extension.methods:
        return evolve(extension, params=params)
    told = contract(extension.uri, served(services), TABLE, services)
    of_it = [method for method in served(services) if method.extension == extension.uri]
    more = {**told.more, **extension.more, "result_envelope": envelope(of_it)}
    return evolve(extension, params={**params, **told.params}, more=more)


def _aliases(full: Iterable[Extension]) -> Iterator[Extension]:
    """
    Give each extension by its other names; none of them is in the public card.

    They leave `result_envelope` out: clients that know them take one they do not know every word of for a mistake.
    """
    for extension in full:
        more = {name: value for name, value in extension.more.items() if name != "result_envelope"}
        for uri in ALIASES.get(extension.uri, ()):
            yield evolve(extension, uri=uri, more=more, skills=(), public=False, same_as=extension.uri)


def _compatibility(services: MethodServices, versions: Sequence[str]) -> Extension:
    """Say which methods there are, since when, and on what each depends."""
    retention = {
        method.name: {
            "surface": "extension",
            "availability": "served",
            "retention": "stable",
            "since": method.since,
            "risk": method.risk.value,
            "extension_uri": method.extension,
        }
        for method in served(services)
    }
    retention |= {
        method.name: {
            "surface": "extension",
            "availability": "disabled_by_configuration",
            "retention": "stable",
            "toggle": method.setting,
            "extension_uri": method.extension,
        }
        for method in unavailable(TABLE, services)
    }
    core = [name for version in versions for name in _CORE[version]]
    more = {
        "supported_protocol_versions": list(versions),
        "default_protocol_version": versions[0],
        "core": {"jsonrpc_methods": core},
        "method_retention": retention,
        "deployment": {"single_tenant": True, "shared_workspace_across_consumers": True, "tenant_isolation": "none"},
    }
    return Extension(
        COMPATIBILITY,
        "Which methods there are, since when, and on what each depends.",
        {"provider": "opencode"},
        more,
        public=False,
    )


def _wire_contract(full: Iterable[Extension], services: MethodServices, versions: Sequence[str]) -> Extension:
    """Say which methods can be called."""
    core = [name for version in versions for name in _CORE[version]]
    methods = [method.name for method in served(services)]
    off = {
        method.name: {"reason": "disabled_by_configuration", "toggle": method.setting}
        for method in unavailable(TABLE, services)
    }
    more = {
        "supported_protocol_versions": list(versions),
        "default_protocol_version": versions[0],
        "all_jsonrpc_methods": [*core, *methods],
        "extensions": {
            "extension_uris": [extension.uri for extension in full],
            "jsonrpc_methods": methods,
            "conditionally_available_methods": off,
        },
        "unsupported_method_error": {"code": -32601, "type": "METHOD_NOT_FOUND"},
        "disabled_method_error": {"code": -32062, "type": "METHOD_DISABLED"},
    }
    return Extension(WIRE_CONTRACT, "Which methods can be called.", {"provider": "opencode"}, more, public=False)


@frozen
class _Document:
    body: bytes
    etag: str


@define(eq=False)
class Documents:
    """The contract of each extension alone, at `GET /extensions/<name>/v1`; written when it is first asked for."""

    extensions: Sequence[Extension]
    _written: dict[str, _Document] = field(factory=dict, init=False)

    async def reply(self, request: AnyRequest, name: FromPath[str]) -> Reply:
        """Give one; whoever has it already is told so (RFC 9110, 13.1)."""
        document = self._written.get(name) or self._write(name)
        headers = ((b"etag", document.etag.encode()), (b"cache-control", b"private, max-age=300"))
        asked = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if not asked.isdisjoint({document.etag, "*"}):
            return Content(b"", status=304, headers=headers)
        return Content(document.body, headers=headers)

    @property
    def names(self) -> Mapping[str, Extension]:
        """The extensions that have a document, by the name in its path."""
        found = ((_NAME.fullmatch(extension.uri), extension) for extension in self.extensions)
        return {match["name"]: extension for match, extension in found if match is not None}

    def _write(self, name: str) -> _Document:
        extension = self.names.get(name)
        if extension is None:
            raise MethodNotFound(f"there is no extension {name[:64]!r} here; there are: {', '.join(self.names)}")
        told: dict[str, Any] = {**extension.told(), "aliases": list(ALIASES.get(extension.uri, ()))}
        body = msgspec.json.encode(told, order="deterministic")
        return self._written.setdefault(name, _Document(body, f'"{sha256(body).hexdigest()[:32]}"'))
