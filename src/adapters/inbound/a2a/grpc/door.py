"""
The door: what every call comes through, whichever service it is for.

Who asks and in which protocol version is looked at before the request is read; the SDK's handler looks at neither.
Whatever is refused behind it, before the first message of a stream or after, is told in one way.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Final, TypeAlias
from urllib.parse import unquote

import anyio
import grpc
from attrs import field, frozen
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from opencode_a2a_server.adapters.inbound.a2a.auth import Authenticate
from opencode_a2a_server.adapters.inbound.a2a.drain import Drain
from opencode_a2a_server.adapters.inbound.a2a.errors import Fault
from opencode_a2a_server.adapters.inbound.a2a.operations import Operations
from opencode_a2a_server.adapters.inbound.a2a.parameters import Call, call_of, check_version, first
from opencode_a2a_server.adapters.inbound.a2a.proxies import RawHeaders
from opencode_a2a_server.adapters.inbound.a2a.watch import Watch, named, note_refusal
from opencode_a2a_server.domain.errors import Draining, InvalidRequest

from .status import Context, refuse
from .streams import Cut

_log = logging.getLogger(__name__)

Responses: TypeAlias = AsyncGenerator[bytes]

_CARD_METHODS: Final = frozenset({"GetExtendedAgentCard", "GetAgentCard"})
"""The methods that give a card, in either version: there a client learns which extensions are required."""

_GRACE: Final = 1.0
"""Seconds for a reader to take what is on its way to it when the service ends."""


class Service(ABC):
    """A gRPC service of one protocol version."""

    version: str
    descriptor: ServiceDescriptor
    operations: Operations

    @abstractmethod
    async def answer(self, name: str, call: Call, request: Message, context: Context) -> Message:
        """Answer a call of a method which gives one message."""

    @abstractmethod
    def stream(self, name: str, call: Call, request: Message) -> Responses:
        """Answer a call of a method which streams, with encoded messages."""


@frozen
class Door:
    """What lets calls in."""

    authenticate: Authenticate
    drain: Drain
    watch: Watch | None = None

    def handlers(self, service: Service) -> grpc.GenericRpcHandler:
        """Give what gRPC calls: every method of a service, behind the door."""
        methods = service.descriptor.methods
        handlers = {method.name: _Method(self, service, method).handler for method in methods}
        return grpc.method_handlers_generic_handler(service.descriptor.full_name, handlers)

    async def call(self, context: Context, service: Service, name: str) -> Call:
        """
        Read a call's metadata.

        Raises:
            Unauthenticated: Nobody we know asks.
            VersionNotSupported: It wants another version than the service's.
            ExtensionSupportRequired: It names not all the extensions it must.

        """
        headers = _headers(context)
        caller = await self.authenticate(headers, _peer(context))
        version = check_version(first(headers, b"a2a-version"), (service.version,))
        return call_of(headers, caller, version, service.operations.negotiation, of_card=name in _CARD_METHODS)


@frozen
class _Method:
    """One method; gRPC gives it bytes and takes bytes."""

    door: Door
    service: Service
    method: MethodDescriptor
    _request: type[Message] = field(init=False)

    @_request.default
    def _read_as(self) -> type[Message]:
        return GetMessageClass(self.method.input_type)

    @property
    def handler(self) -> grpc.RpcMethodHandler[bytes, bytes]:
        watched = self.door.watch is not None
        if self.method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self.watched_stream if watched else self.stream)
        return grpc.unary_unary_rpc_method_handler(self.watched_answer if watched else self.answer)

    async def watched_answer(self, sent: bytes, context: Context) -> bytes:
        """Answer with one message, watched."""
        with self._watching(context):
            return await self.answer(sent, context)

    async def watched_stream(self, sent: bytes, context: Context) -> None:
        """Answer with a stream, watched."""
        with self._watching(context):
            await self.stream(sent, context)

    def _watching(self, context: Context) -> AbstractContextManager[object]:
        watch = self.door.watch
        return nullcontext() if watch is None else watch.request(_headers(context), "grpc", named(self.method.name))

    async def answer(self, sent: bytes, context: Context) -> bytes:
        """Answer with one message."""
        call = None
        try:
            call = await self._let_in(context)
            answer = await self.service.answer(self.method.name, call, self._read(sent), context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - gRPC has a shape for every error
            await self._refuse(context, call, error)
        return answer.SerializeToString()

    async def stream(self, sent: bytes, context: Context) -> None:
        """Answer with a stream."""
        call = None
        try:
            call = await self._let_in(context)
            responses = self.service.stream(self.method.name, call, self._read(sent))
            async with aclosing(responses):
                await self._tell(responses, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader must not take it for the end
            await self._refuse(context, call, error)

    async def _tell(self, responses: Responses, context: Context) -> None:
        """Send what comes; when the service ends, a reader has a moment to take what is on its way."""
        with anyio.CancelScope() as scope, self.door.drain.telling(lambda: _hurry(scope)):
            async for response in responses:
                await context.write(response)
        if scope.cancelled_caught:
            raise Draining("the service is about to stop; the task goes on: follow it again in a moment")

    async def _let_in(self, context: Context) -> Call:
        """Let a caller in, and say which extensions were activated (A2A 1.0, 4.6)."""
        call = await self.door.call(context, self.service, self.method.name)
        if call.headers:
            await context.send_initial_metadata([(name.decode(), value.decode()) for name, value in call.headers])
        return call

    def _read(self, sent: bytes) -> Message:
        try:
            return self._request.FromString(sent)
        except DecodeError as broken:
            raise InvalidRequest(f"the request is no {self.method.input_type.name}") from broken

    async def _refuse(self, context: Context, call: Call | None, error: Exception) -> None:
        record = self.service.operations.services.record
        await record.refused(None if call is None else call.caller, error, self.method.full_name)
        fault = Fault.of(error.error, cursor=error.cursor) if isinstance(error, Cut) else Fault.of(error)
        note_refusal(fault)
        if fault.internal:
            _log.error("%s broke", self.method.full_name, exc_info=error)
        await refuse(context, fault)


def _hurry(scope: anyio.CancelScope) -> None:
    scope.deadline = anyio.current_time() + _GRACE


def _peer(context: Context) -> str:
    """Give the address a call came from: gRPC says `ipv4:127.0.0.1:4711`, an IPv6 one percent-encoded in brackets."""
    _, _, address = context.peer().partition(":")
    return unquote(address.rpartition(":")[0]).strip("[]")


def _headers(context: Context) -> RawHeaders:
    """Give the metadata as HTTP's headers are; gRPC has its names in lower case."""
    metadata = context.invocation_metadata() or ()
    return [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in metadata]
