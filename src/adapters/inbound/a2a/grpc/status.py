"""Refusals as gRPC tells them: a code, and google.rpc.Status in the trailing metadata (A2A 1.0, 10.6)."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import grpc
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # it has no types

from opencode_a2a_server.adapters.inbound.a2a.encode import scrubbed
from opencode_a2a_server.adapters.inbound.a2a.errors import Detail, Fault

Context = grpc.aio.ServicerContext[Any, Any]

DETAILS: Final = "grpc-status-details-bin"

_LONGEST: Final = 1000
"""Bytes of a message: it is told three times in metadata, once percent-encoded, and clients take 8 KiB of that in all."""
_KNOWN: Final = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)
"""The kinds of details; to be read by name they must have been imported."""


def status_of(fault: Fault) -> status_pb2.Status:
    """Write a fault; whatever is too long is cut."""
    code, _ = grpc.StatusCode[fault.row.status].value
    told = {"code": code, "message": fault.message, "details": list(fault.details)}
    return ParseDict(_cut(scrubbed(told)), status_pb2.Status())


async def refuse(context: Context, fault: Fault) -> NoReturn:
    """
    End a call with an error.

    Raises:
        grpc.aio.AbortError: Always; gRPC ends a call so.

    """
    status = status_of(fault)
    details = ((DETAILS, status.SerializeToString()),)
    await context.abort(grpc.StatusCode[fault.row.status], status.message, details)


def _cut(told: Any) -> Any:
    if isinstance(told, str):
        kept = told.encode()[:_LONGEST].decode(errors="ignore")
        return told if kept == told else f"{kept}…"
    if isinstance(told, dict):
        return {name: _cut(value) for name, value in told.items()}
    return [_cut(value) for value in told] if isinstance(told, list) else told


__all__ = ["DETAILS", "Context", "Detail", "refuse", "status_of"]
