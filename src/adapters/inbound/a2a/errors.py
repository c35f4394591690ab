"""
Refusals as the wire says them: one table for both bindings.

A2A 1.0, 5.4 gives the codes of the protocol's own errors, 9.5 and 11.6 the two shapes: JSON-RPC's error object with
details in `data`, and google.rpc.Status. -32050 and below are ours. An error that is no refusal says nothing of what
broke.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, Final

from attrs import evolve, field, frozen
from litestar.exceptions import HTTPException

from opencode_a2a_server.domain.errors import (
    AgentFault,
    AgentRefused,
    AgentUnreachable,
    AlreadyAnswered,
    CapabilityMissing,
    ContentTypeNotSupported,
    Draining,
    Forbidden,
    IllegalTransition,
    InterruptExpired,
    InterruptNotFound,
    InterruptTypeMismatch,
    InvalidRequest,
    IssuerUnreachable,
    JournalUnavailable,
    MethodDisabled,
    RateLimited,
    Refusal,
    SessionBusy,
    SessionNotFound,
    TaskNotCancelable,
    TaskNotFound,
    Unavailable,
    UnsupportedOperation,
)

Detail = dict[str, Any]


class MalformedJson(Refusal):
    """The body is not JSON."""


class MalformedCall(Refusal):
    """The JSON is not a JSON-RPC request."""


class MethodNotFound(Refusal):
    """No such method in the protocol that was asked for."""


class VersionNotSupported(Refusal):
    """A protocol version that is not served (A2A 1.0, 3.6.2)."""


class PushNotificationNotSupported(Refusal):
    """Push notifications are not served (A2A 1.0, 3.3.4)."""


class ExtensionSupportRequired(Refusal):
    """A required extension was not named in the header `A2A-Extensions` (A2A 1.0, 3.3.4)."""


class ExtendedCardNotConfigured(Refusal):
    """There is no extended agent card (A2A 1.0, 3.1.11)."""


class Unauthenticated(Refusal):
    """Nobody we know asks."""

    def __init__(self, message: str, schemes: Sequence[str] = ("Bearer",)) -> None:
        super().__init__(message)
        self.schemes = tuple(schemes)


class HostNotAllowed(Refusal):
    """The service is not called by this name (A2A_ALLOWED_HOSTS)."""


class OriginNotAllowed(Refusal):
    """Pages of this origin may not call (A2A_ALLOWED_ORIGINS)."""


class BodyTooLarge(Refusal):
    """The body is larger than A2A_MAX_REQUEST_BODY_BYTES."""


@frozen
class Row:
    """What one kind of error is called in JSON-RPC, HTTP and gRPC; `retry` is in seconds, 0 for no hint."""

    code: int
    http: int
    status: str
    reason: str
    retry: int = 0


_INTERNAL: Final = Row(-32603, 500, "INTERNAL", "INTERNAL_ERROR")
_FORBIDDEN: Final = Row(-32063, 403, "PERMISSION_DENIED", "AUTHORIZATION_FORBIDDEN")

TABLE: Final[Mapping[type[Exception], Row]] = {
    TaskNotFound: Row(-32001, 404, "NOT_FOUND", "TASK_NOT_FOUND"),
    TaskNotCancelable: Row(-32002, 400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"),
    PushNotificationNotSupported: Row(-32003, 400, "FAILED_PRECONDITION", "PUSH_NOTIFICATION_NOT_SUPPORTED"),
    UnsupportedOperation: Row(-32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
    ContentTypeNotSupported: Row(-32005, 400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
    AgentFault: Row(-32006, 500, "INTERNAL", "INVALID_AGENT_RESPONSE"),
    ExtendedCardNotConfigured: Row(-32007, 400, "FAILED_PRECONDITION", "EXTENDED_AGENT_CARD_NOT_CONFIGURED"),
    ExtensionSupportRequired: Row(-32008, 400, "FAILED_PRECONDITION", "EXTENSION_SUPPORT_REQUIRED"),
    VersionNotSupported: Row(-32009, 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"),
    Draining: Row(-32050, 503, "UNAVAILABLE", "SERVICE_DRAINING", retry=1),
    JournalUnavailable: Row(-32051, 503, "UNAVAILABLE", "JOURNAL_UNAVAILABLE", retry=1),
    AgentUnreachable: Row(-32052, 503, "UNAVAILABLE", "AGENT_UNREACHABLE", retry=5),
    IssuerUnreachable: Row(-32058, 503, "UNAVAILABLE", "ISSUER_UNREACHABLE", retry=5),
    Unavailable: Row(-32053, 503, "UNAVAILABLE", "UNAVAILABLE", retry=1),
    AlreadyAnswered: Row(-32055, 409, "ABORTED", "ALREADY_ANSWERED"),
    SessionNotFound: Row(-32054, 404, "NOT_FOUND", "SESSION_NOT_FOUND"),
    InterruptNotFound: Row(-32070, 404, "NOT_FOUND", "INTERRUPT_REQUEST_NOT_FOUND"),
    InterruptExpired: Row(-32071, 410, "FAILED_PRECONDITION", "INTERRUPT_REQUEST_EXPIRED"),
    InterruptTypeMismatch: Row(-32072, 400, "INVALID_ARGUMENT", "INTERRUPT_TYPE_MISMATCH"),
    Unauthenticated: Row(-32056, 401, "UNAUTHENTICATED", "UNAUTHENTICATED"),
    MethodDisabled: Row(-32062, 403, "FAILED_PRECONDITION", "METHOD_DISABLED"),
    Forbidden: _FORBIDDEN,
    CapabilityMissing: _FORBIDDEN,
    RateLimited: Row(-32057, 429, "RESOURCE_EXHAUSTED", "RATE_LIMITED", retry=1),
    SessionBusy: Row(-32064, 409, "ABORTED", "SESSION_BUSY", retry=1),
    HostNotAllowed: Row(-32060, 403, "PERMISSION_DENIED", "HOST_NOT_ALLOWED"),
    OriginNotAllowed: Row(-32061, 403, "PERMISSION_DENIED", "ORIGIN_NOT_ALLOWED"),
    BodyTooLarge: Row(-32600, 413, "INVALID_ARGUMENT", "REQUEST_BODY_TOO_LARGE"),
    MalformedJson: Row(-32700, 400, "INVALID_ARGUMENT", "JSON_PARSE_ERROR"),
    MalformedCall: Row(-32600, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
    MethodNotFound: Row(-32601, 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
    InvalidRequest: Row(-32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
    IllegalTransition: _INTERNAL,
}
"""A class that is missing takes the row of the nearest one above it."""

EXTENSION_TABLE: Final[Mapping[type[Exception], Row]] = {
    **TABLE,
    AgentUnreachable: Row(-32052, 503, "UNAVAILABLE", "UPSTREAM_UNREACHABLE", retry=5),
    AgentRefused: Row(-32065, 502, "INTERNAL", "UPSTREAM_HTTP_ERROR"),
    AgentFault: Row(-32066, 502, "INTERNAL", "UPSTREAM_PAYLOAD_ERROR"),
}
"""The same for extension methods, which name a fault of the runtime's as opencode-a2a-server 0.2 did."""

_HTTP: Final[Mapping[int, Row]] = {
    404: TABLE[MethodNotFound],
    405: Row(-32601, 405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"),
    415: Row(-32005, 415, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
}
"""What Litestar refuses by itself."""


@frozen
class Fault:
    """An error, ready to be told in either shape."""

    row: Row
    message: str
    details: tuple[Detail, ...] = field(default=())
    flat: Detail | None = None
    """JSON-RPC's `data` for who looks for an object there, as clients of opencode-a2a-server 0.2 do."""
    schemes: tuple[str, ...] = ()
    """What HTTP says of how to authenticate."""

    @classmethod
    def of(cls, error: Exception, table: Mapping[type[Exception], Row] = TABLE, **context: str) -> Fault:
        """Look an error up; `context` is told as the metadata of its ErrorInfo."""
        if isinstance(error, Told):
            return error.fault
        row, said = _looked_up(error, table)
        if isinstance(error, RateLimited):
            row = evolve(row, retry=max(1, ceil(error.retry_after)))
        message = "Internal error" if row is _INTERNAL else said
        schemes = error.schemes if isinstance(error, Unauthenticated) else ()
        details = _details(row, message, error, {**_kind(row, error, table), **context})
        return cls(row, message, details, schemes=schemes)

    @property
    def internal(self) -> bool:
        """Whether it is our own fault, and what broke is left unsaid."""
        return self.row is _INTERNAL

    @property
    def rpc(self) -> Detail:
        """JSON-RPC's error object (A2A 1.0, 9.5)."""
        data = list(self.details) if self.flat is None else self.flat
        return {"code": self.row.code, "message": self.message, "data": data}

    @property
    def status(self) -> Detail:
        """The body of an HTTP error (A2A 1.0, 11.6)."""
        row = self.row
        told = {"code": row.http, "status": row.status, "message": self.message, "details": list(self.details)}
        return {"error": told}

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What HTTP says of it besides the body."""
        if self.row.http == HTTPStatus.UNAUTHORIZED:
            return ((b"www-authenticate", ", ".join(map(_challenge, self.schemes or ("Bearer",))).encode()),)
        return ((b"retry-after", b"%d" % self.row.retry),) if self.row.retry else ()


class Told(Exception):
    """An error for which somebody has found the words already."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def _challenge(scheme: str) -> str:
    return scheme if scheme == "Bearer" else f'{scheme} realm="opencode-a2a-server", charset="UTF-8"'


def cause_of(error: Exception) -> Exception:
    """Give the error behind one that is told already."""
    return error.__cause__ if isinstance(error, Told) and isinstance(error.__cause__, Exception) else error


def _looked_up(error: Exception, table: Mapping[type[Exception], Row]) -> tuple[Row, str]:
    if isinstance(error, HTTPException):
        return _http_row(error.status_code), str(error.detail)
    return _row(type(error), table), str(error)


def _row(kind: type[BaseException], table: Mapping[type[Exception], Row]) -> Row:
    return next((table[base] for base in kind.__mro__ if base in table), _INTERNAL)


def _http_row(status: int) -> Row:
    if status in _HTTP:
        return _HTTP[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _INTERNAL
    return Row(-32600, status, "INVALID_ARGUMENT", "INVALID_REQUEST")


def _details(row: Row, message: str, error: Exception, context: Mapping[str, str]) -> tuple[Detail, ...]:
    details: list[Detail] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": row.reason,
            "domain": "a2a-protocol.org",
            "metadata": dict(context),
        }
    ]
    if isinstance(error, InvalidRequest) and error.field:
        violation = {"field": error.field, "description": message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    if row.retry:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{row.retry}s"})
    return tuple(details)


def _kind(row: Row, error: Exception, table: Mapping[type[Exception], Row]) -> Mapping[str, str]:
    """Name what the row's reason is too coarse for: TASK_IS_BUSY of an UNSUPPORTED_OPERATION."""
    if row is _INTERNAL or type(error) in table or not isinstance(error, Refusal):
        return {}
    return {"type": re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).upper()}
