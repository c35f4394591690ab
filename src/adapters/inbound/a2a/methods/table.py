"""
The table of extension methods, and how one of them is called.

A method is told in the words of the protocol version that was asked for. Who asks for none is a client of 0.3 (A2A 1.0,
3.6.2), as all clients of opencode-a2a-server 0.2 are: it gets tasks and messages of 0.3, and of an error the object it
looks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen

from opencode_a2a_server.adapters.inbound.a2a.encode import V1_0, Shape, to_json
from opencode_a2a_server.adapters.inbound.a2a.errors import EXTENSION_TABLE, Fault, Told
from opencode_a2a_server.adapters.inbound.a2a.operations import Operations, Services
from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.domain.errors import AgentRefused, CapabilityMissing, InvalidRequest, MethodNotSupported

from . import catalog, changes, files, interrupts, sessions, work, workspaces
from .read import read
from .row import ExtensionMethod, MethodServices, Risk

TABLE: Final[tuple[ExtensionMethod, ...]] = (
    *sessions.ROWS,
    *work.ROWS,
    *changes.ROWS,
    *interrupts.ROWS,
    *catalog.ROWS,
    *workspaces.ROWS,
    *files.ROWS,
)
"""All methods, in the order in which they are told."""


@frozen
class Dispatched:
    """A method as the endpoint calls it."""

    method: ExtensionMethod
    shape: Shape
    """The words for who names no version."""

    async def __call__(self, operations: Operations, call: Call, params: object) -> bytes:
        """
        Call it.

        Raises:
            Told: Whatever went wrong, in the words its caller knows.

        """
        shape = V1_0 if call.version == V1_0.version else self.shape
        try:
            return to_json(await self._told(operations.services, evolve(call, shape=shape), params))
        except Exception as error:
            raise Told(self._fault(error, shape, params)) from error

    async def _told(self, all_of_it: Services, call: Call, params: object) -> Any:
        services, record = all_of_it.methods, all_of_it.record
        part = self.method.part(services)
        if part is None:
            raise MethodNotSupported(f"the runtime has nothing to do {self.method.name} with")
        call.check(self.method.name, reads=self.method.risk is Risk.READ)
        needed = self.method.capability
        if needed in services.enabled and needed not in call.grant.capabilities:  # what is off is so for everybody
            raise CapabilityMissing(f"your credentials do not include {needed.value}; ask who runs the service")
        asked = read(params, self.method.params)
        if self.method.risk is not Risk.DANGER or needed is Capability.SESSION_SHELL:  # which has a record of its own
            return await self.method.call(part, call, asked)
        async with record.doing(call.principal, self.method.name, _subject(params)):
            return await self.method.call(part, call, asked)

    def _fault(self, error: Exception, shape: Shape, params: object) -> Fault:
        context = {"method": self.method.name}
        if isinstance(params, Mapping):
            named = {name: params.get(name) for name in ("session_id", "request_id")}
            context |= {name: value for name, value in named.items() if isinstance(value, str)}
        if isinstance(error, AgentRefused) and error.status:
            context["upstream_status"] = str(error.status)
        fault = Fault.of(error, EXTENSION_TABLE, **context)
        return fault if shape is V1_0 or fault.internal else evolve(fault, flat=_flat(fault, error, context))


def _subject(params: object) -> Mapping[str, str]:
    """Name what a dangerous method is about: what its parameters say besides texts of any length."""
    asked = params.get("request", params) if isinstance(params, Mapping) else {}
    named = {**params, **asked} if isinstance(params, Mapping) and isinstance(asked, Mapping) else {}
    told = {name: named.get(name) for name in ("session_id", "directory", "workspace_id", "name")}
    return {name: value[:1024] for name, value in told.items() if isinstance(value, str)}


def _flat(fault: Fault, error: Exception, context: Mapping[str, str]) -> dict[str, Any]:
    """Tell an error as 0.2 did: its type, and what there is to say of it, side by side."""
    named = fault.details[0]["metadata"].get("type")
    told: dict[str, Any] = {
        "type": named or ("INVALID_FIELD" if fault.row.reason == "INVALID_PARAMS" else fault.row.reason)
    }
    told |= context
    if "upstream_status" in told:
        told["upstream_status"] = int(told["upstream_status"])
    if isinstance(error, InvalidRequest) and error.field:
        told["field"] = error.field
    return {**told, "detail": fault.message}


def dispatched(shape: Shape, table: tuple[ExtensionMethod, ...] = TABLE) -> Mapping[str, Dispatched]:
    """Give all methods by their names, for callers who name no version to be answered in these words."""
    return {method.name: Dispatched(method, shape) for method in table}


def served(services: MethodServices, table: tuple[ExtensionMethod, ...] = TABLE) -> tuple[ExtensionMethod, ...]:
    """Give the methods that can be had of this runtime: those the card promises."""
    return tuple(
        method
        for method in table
        if method.part(services) is not None and method.capability in (None, *services.enabled)
    )


def by_extension(services: MethodServices) -> Mapping[str, Mapping[str, str]]:
    """Give for each extension the methods of it that are served, by their short names."""
    told: dict[str, dict[str, str]] = {}
    for method in served(services):
        told.setdefault(method.extension, {})[method.short] = method.name
    return told
