"""
What is seen of requests by those who look after the service: measured, traced, and named in the log.

Each request has a name from a small table, never one that a client chose. Its ids go with whatever is logged while it is
answered, and with the jobs it begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from secrets import token_hex
from typing import Final

from attrs import define, evolve, field, frozen
from structlog.contextvars import bound_contextvars

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.meter import UNMETERED, Meter
from opencode_a2a_server.app.ports.tracer import NO_SPAN, UNTRACED, Fact, Span, Tracer, Work
from opencode_a2a_server.domain.message import Message

from .errors import Fault
from .proxies import RawHeaders

UNKNOWN: Final = "unknown"

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_OLD_NAMES: Final[Mapping[str, str]] = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/list": "ListTasks",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
    "tasks/pushNotificationConfig/set": "CreateTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/get": "GetTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/list": "ListTaskPushNotificationConfigs",
    "tasks/pushNotificationConfig/delete": "DeleteTaskPushNotificationConfig",
    "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
    "TaskSubscription": "SubscribeToTask",
    "ListTaskPushNotificationConfig": "ListTaskPushNotificationConfigs",
    "GetAgentCard": "GetExtendedAgentCard",
}
"""What 0.3 calls the operations of 1.0, over JSON-RPC and gRPC."""
_AT: Final = tuple(
    (re.compile(pattern), operation)
    for pattern, operation in (
        (r"POST /message:send", "SendMessage"),
        (r"POST /message:stream", "SendStreamingMessage"),
        (r"GET /tasks", "ListTasks"),
        (r"(GET|POST) /tasks/[^/]+:subscribe", "SubscribeToTask"),
        (r"POST /tasks/[^/]+:cancel", "CancelTask"),
        (r"GET /tasks/[^/]+", "GetTask"),
        (r"POST /tasks/[^/]+/pushNotificationConfigs", "CreateTaskPushNotificationConfig"),
        (r"GET /tasks/[^/]+/pushNotificationConfigs", "ListTaskPushNotificationConfigs"),
        (r"GET /tasks/[^/]+/pushNotificationConfigs/[^/]+", "GetTaskPushNotificationConfig"),
        (r"DELETE /tasks/[^/]+/pushNotificationConfigs/[^/]+", "DeleteTaskPushNotificationConfig"),
        (r"GET /(extendedAgentCard|card)", "GetExtendedAgentCard"),
        (r"GET /\.well-known/agent(-card)?\.json", "GetAgentCard"),
        (r"GET /health", "health"),
    )
)
"""The operations by their places over HTTP."""


@define(eq=False)
class Seen:
    """One request while it is answered."""

    request_id: str
    binding: str
    began: float
    span: Span = NO_SPAN
    operation: str = UNKNOWN
    answered: float | None = None
    """When its answer began."""
    reason: str = ""
    """Of the refusal that was told."""


_SEEN: Final[ContextVar[Seen | None]] = ContextVar("seen", default=None)


@frozen
class Watch:
    """Who hears of requests."""

    clock: Clock
    meter: Meter = field(default=UNMETERED)
    tracer: Tracer = field(default=UNTRACED)

    @contextmanager
    def request(self, headers: RawHeaders, binding: str, operation: str = UNKNOWN) -> Iterator[Seen]:
        """Watch a request, which is answered by the body."""
        request_id, trace = _named(headers)
        with self.tracer.begin(Work.REQUEST, operation, trace) as span:
            seen = Seen(request_id, binding, self.clock.monotonic(), span, operation)
            ids = {"request_id": request_id}
            if found := _TRACEPARENT.fullmatch(span.headers.get("traceparent", trace).encode("latin-1")):
                ids["trace_id"] = found[1].decode()
            token = _SEEN.set(seen)
            try:
                with bound_contextvars(**ids):
                    yield seen
            finally:
                _SEEN.reset(token)
                self._conclude(seen)

    def _conclude(self, seen: Seen) -> None:
        seen.span.tell(Fact.OPERATION, seen.operation)
        seen.span.tell(Fact.BINDING, seen.binding)
        ended = self.clock.monotonic() if seen.answered is None else seen.answered
        self.meter.request_answered(seen.operation, seen.binding, ended - seen.began)
        if seen.reason:
            self.meter.refused(seen.reason)


def note_operation(name: str) -> None:
    """Say which operation the request under way is for; only what a table has."""
    if (seen := _SEEN.get()) is not None:
        seen.operation = _OLD_NAMES.get(name, name)


def note_refusal(fault: Fault) -> None:
    """Say that the request under way is refused."""
    if (seen := _SEEN.get()) is None:
        return
    seen.reason = fault.row.reason
    seen.span.tell(Fact.REASON, fault.row.reason)
    if fault.row.http >= HTTPStatus.INTERNAL_SERVER_ERROR:
        seen.span.fail(fault.row.reason)


def traced(message: Message) -> Message:
    """Give a message with what the request under way is part of, if that is traced."""
    seen = _SEEN.get()
    trace = "" if seen is None else seen.span.headers.get("traceparent", "")
    return evolve(message, trace=trace) if trace else message


def operation_at(method: str, path: str) -> str:
    """Name the operation at a place over HTTP; that of JSON-RPC is in the body."""
    if path.startswith("/v1/"):
        path = path.removeprefix("/v1")
    place = f"{'GET' if method == 'HEAD' else method} {path.rstrip('/')}"
    return next((operation for pattern, operation in _AT if pattern.fullmatch(place)), UNKNOWN)


def named(operation: str) -> str:
    """Give the name of 1.0 for an operation of whatever version."""
    return _OLD_NAMES.get(operation, operation)


def _named(headers: RawHeaders) -> tuple[str, str]:
    """Give the ids that a request brings: its own, else a new one, and its place in a trace."""
    request_id, trace = b"", b""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value
        elif name == b"traceparent" and _TRACEPARENT.fullmatch(value):
            trace = value
    return request_id.decode() or token_hex(8), trace.decode()
