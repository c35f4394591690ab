"""The document itself, put together from the routes of an application and the tables beside this file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen
from litestar.routes import BaseRoute

from opencode_a2a_server.adapters.inbound.a2a.card.document import VERSIONS
from opencode_a2a_server.adapters.inbound.a2a.card.security import Security
from opencode_a2a_server.adapters.inbound.a2a.routes import every_operation

from . import methods, paths, security
from .paths import A2A, EVENTS, JSON, Operation
from .schemas import REF, Make, Schema, Schemas

Described = dict[str, Any]

_REFUSALS: Final[Mapping[int, str]] = {
    400: "The request breaks the contract, or the state of things does not allow it.",
    401: "Credentials are missing or unknown.",
    403: "The origin or host that the request names is not allowed, or the credentials do not include this.",
    404: "There is no such thing, or it is another's.",
    409: "It was answered otherwise already.",
    413: "The body is larger than the operator allows.",
    429: "Too much, or too often; the same request may succeed later.",
    500: "Our own fault.",
    503: "Not now; the same request may succeed later.",
}
_ALWAYS: Final = (403, 500)
_BEHIND_THE_GUARD: Final = (401, 429, 503)

_RETRY_AFTER: Final[Mapping[str, Schema]] = {"Retry-After": {"type": "string", "pattern": "^[0-9]+$"}}
_REFUSAL_HEADERS: Final[Mapping[int, Mapping[str, Schema]]] = {
    401: {"WWW-Authenticate": {"type": "string"}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


@frozen
class Service:
    """What the document is about."""

    title: str
    version: str
    description: str
    url: str
    protocol_versions: Sequence[str]
    switched_on: Collection[str] = ()
    """What is served of that which need not be, such as `methods.PUSH`."""
    security: Security = field(factory=Security)
    """How callers say who they are, as the card has it."""


def document(service: Service, routes: Sequence[BaseRoute]) -> Described:
    """
    Describe what is served.

    Raises:
        LookupError: A route stands in none of the tables.

    """
    return _Document(service)(routes)


@frozen
class _Document:
    service: Service
    schemas: Schemas = field(factory=Schemas, init=False)

    def __call__(self, routes: Sequence[BaseRoute]) -> Described:
        described: Described = {}
        for method, path in sorted(set(every_operation(routes)), key=lambda found: (found[1], found[0])):
            if (operation := self._operation(method, path)) is not None:
                described.setdefault(path, {})[method.lower()] = operation
        service = self.service
        return {
            "openapi": "3.1.0",
            "info": {"title": service.title, "version": service.version, "description": service.description},
            "servers": [{"url": service.url}],
            "security": security.requirements(service.security),
            "tags": [{"name": name} for name in ("json-rpc", "tasks", "push notifications", "service")],
            "paths": described,
            "components": {
                "schemas": dict(sorted(self.schemas.named.items())),
                "securitySchemes": security.schemes(service.security),
            },
        }

    def _operation(self, method: str, path: str) -> Described | None:
        if (method, path) == paths.RPC:
            return self._rpc()
        if (method, path) in paths.REFUSED:
            return None
        operation = paths.DESCRIBED.get((method, path))
        if operation is None:
            raise LookupError(f"{method} {path} is served and not described; see {paths.__name__}")
        if operation.needs and operation.needs not in self.service.switched_on:
            return None
        return self._described(path, operation)

    def _described(self, path: str, operation: Operation) -> Described:
        told: Described = {
            "operationId": operation.id,
            "summary": operation.summary,
            "tags": [operation.tag],
            "parameters": [*_in_path(path), *self._in_query(path, operation), *_in_headers(operation)],
            "responses": self._responses(operation),
        }
        if operation.body is not None:
            schema = operation.body(self.schemas)
            content = {media_type: {"schema": schema} for media_type in (JSON, A2A)}
            told["requestBody"] = {"required": operation.body_needed, "content": content}
        if operation.public:
            told["security"] = []
        return told

    def _in_query(self, path: str, operation: Operation) -> Iterator[Described]:
        if operation.query is None:
            return
        for name, schema in self.schemas.query(operation.query).items():
            if name not in ("tenant", "taskId") and f"{{{name}}}" not in path:
                yield {"name": name, "in": "query", "schema": schema}

    def _responses(self, operation: Operation) -> Described:
        told = self._told(operation.answer, operation.media_type, old=operation.version == "0.3")
        if operation.tagged:
            tag = {"ETag": {"schema": {"type": "string"}, "required": True}}
            told = {**told, "headers": tag}
        responses: Described = {"200": told}
        if operation.tagged:
            responses["304"] = {"description": "The caller has it already."}
        statuses = {*_ALWAYS, *operation.refusals, *(() if operation.public else _BEHIND_THE_GUARD)}
        for status in sorted(statuses):
            responses[str(status)] = self._refusal(status, old=operation.version == "0.3")
        return responses

    def _told(self, make: Make, media_type: str, *, old: bool) -> Described:
        schema = make(self.schemas)
        if media_type != EVENTS:
            return {"description": "What was asked for.", "content": {media_type: {"schema": schema}}}
        failed = self._rpc_error() if old else self._status()
        return {"description": _STREAM, "content": {EVENTS: {"schema": _event({"anyOf": [schema, failed]})}}}

    def _refusal(self, status: int, *, old: bool) -> Described:
        schema, media_type = (self._rpc_error(), JSON) if old else (self._status(), A2A)
        headers = _REFUSAL_HEADERS.get(status, {})
        return {
            "description": _REFUSALS[status],
            "content": {media_type: {"schema": schema}},
            **({"headers": {name: {"schema": one} for name, one in headers.items()}} if headers else {}),
        }

    def _status(self) -> Schema:
        error = {
            "type": "object",
            "properties": {
                "code": {"type": "integer"},
                "status": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "array", "items": self._detail()},
            },
            "required": ["code", "status", "message", "details"],
        }
        return self.schemas.component(
            "Refusal", {"type": "object", "properties": {"error": error}, "required": ["error"]}
        )

    def _detail(self) -> Schema:
        detail = {"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"]}
        return self.schemas.component("Detail", detail)

    # JSON-RPC

    def _rpc(self) -> Described:
        described = list(methods.served(self.service.protocol_versions, self.service.switched_on))
        calls = {method.name: self._call(method) for method in described}
        results = [method.result(self.schemas) for method in described if not method.streams]
        body = {
            "oneOf": list(calls.values()),
            "discriminator": {"propertyName": "method", "mapping": {name: one["$ref"] for name, one in calls.items()}},
        }
        whole = {"anyOf": [self._result(results), self._error()]}
        updates = [method.result(self.schemas) for method in described if method.streams]
        stream = {"anyOf": [self._result(updates), self._error()]}
        return {
            "operationId": "call",
            "summary": "Call a method by JSON-RPC 2.0",
            "description": _RPC,
            "tags": ["json-rpc"],
            "parameters": list(_service_parameters(streams=True)),
            "requestBody": {
                "required": True,
                "content": {media_type: {"schema": self.schemas.component("Call", body)} for media_type in (JSON, A2A)},
            },
            "responses": {
                "200": {
                    "description": _RPC_ANSWER,
                    "content": {JSON: {"schema": whole}, EVENTS: {"schema": _event(stream)}},
                },
                "204": {"description": "The call had no id: nobody expects an answer."},
                "401": self._refusal(401, old=False),
                "403": self._refusal(403, old=False),
                "429": self._refusal(429, old=False),
                "413": {"description": _REFUSALS[413], "content": {JSON: {"schema": self._error()}}},
            },
        }

    def _call(self, method: methods.Method) -> Schema:
        params = method.params(self.schemas)
        call: Schema = {
            "type": "object",
            "title": method.name,
            "description": method.summary,
            "properties": {
                "jsonrpc": {"const": "2.0"},
                "id": {"type": ["string", "number", "null"]},
                "method": {"const": method.name},
                "params": params,
            },
            "required": ["jsonrpc", "method", *(["params"] if self._wants(params) else [])],
        }
        return self.schemas.component(method.component, call)

    def _wants(self, params: Schema) -> bool:
        """Say whether anything has to be given."""
        named = self.schemas.named[params["$ref"].removeprefix(REF)] if "$ref" in params else params
        return "required" in named

    def _result(self, results: Sequence[Schema]) -> Schema:
        distinct = list({str(result): result for result in results}.values())
        return {
            "type": "object",
            "properties": {
                "jsonrpc": {"const": "2.0"},
                "id": {"type": ["string", "number", "null"]},
                "result": {"anyOf": distinct},
            },
            "required": ["jsonrpc", "id", "result"],
        }

    def _error(self) -> Schema:
        error = {
            "type": "object",
            "properties": {
                "jsonrpc": {"const": "2.0"},
                "id": {"type": ["string", "number", "null"]},
                "error": self._rpc_error(),
            },
            "required": ["jsonrpc", "id", "error"],
        }
        return self.schemas.component("RpcRefusal", error)

    def _rpc_error(self) -> Schema:
        error = {
            "type": "object",
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "data": {"anyOf": [{"type": "array", "items": self._detail()}, _FLAT]},
            },
            "required": ["code", "message", "data"],
        }
        return self.schemas.component("RpcError", error)


_FLAT: Final[Schema] = {
    "type": "object",
    "description": "What extension methods tell to clients of 0.3 of what went wrong.",
    "properties": {"type": {"type": "string"}, "detail": {"type": "string"}},
    "required": ["type", "detail"],
}
_STREAM: Final = (
    "Server-Sent Events. The data of each is one response; `id` is where to resume with `Last-Event-ID`. An event named "
    "`error` ends a stream whose task goes on."
)
_RPC: Final = (
    "The method's name says which protocol version is meant. A call without an `id` is done and not answered; batches "
    "are refused."
)
_RPC_ANSWER: Final = "A result or an error; for a method that streams, Server-Sent Events with one of them in each."


def _event(data: Schema) -> Schema:
    """Describe one event of a stream: what a media type's schema is about if that is a sequence."""
    return {
        "type": "object",
        "properties": {
            "data": {"type": "string", "contentMediaType": JSON, "contentSchema": data},
            "id": {"type": "string"},
            "event": {"enum": ["message", "error"]},
            "retry": {"type": "integer"},
        },
        "required": ["data"],
    }


def _in_path(path: str) -> Iterator[Described]:
    for piece in path.split("{")[1:]:
        name = piece.partition("}")[0]
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_headers(operation: Operation) -> Iterator[Described]:
    if operation.version:
        yield from _service_parameters(operation.version, streams=operation.streams)


def _service_parameters(version: str = "", *, streams: bool) -> Iterator[Described]:
    """Give what A2A 1.0, 3.2.6 calls so; a version's patch number is taken and does not count."""
    accepted = "|".join(re.escape(one) for one in ([version] if version else VERSIONS))
    yield _header("A2A-Version", {"type": "string", "pattern": f"^(({accepted})(\\.[0-9]+)?)?$"})
    yield _header("A2A-Extensions", {"type": "string"})
    if streams:
        yield _header("Last-Event-ID", {"type": "string"})


def _header(name: str, schema: Schema) -> Described:
    return {"name": name, "in": "header", "required": False, "schema": schema}
