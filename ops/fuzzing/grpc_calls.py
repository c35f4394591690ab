"""Calls over gRPC, each with something wrong: in its bytes, its metadata or its method."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc
from attrs import define, field, frozen
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message_factory import GetMessageClass

from opencode_a2a_server.adapters.inbound.a2a.grpc import v03, v1
from ops.fuzzing.calls import ALICE, BOB, RIGHT
from ops.fuzzing.judging import ALICES, SECRETS
from ops.fuzzing.mutation import Chance, spoil, spoil_bytes

_METHODS: Final[Mapping[str, MethodDescriptor]] = {
    f"/{service.full_name}/{method.name}": method
    for service in (v1.V1.descriptor, v03.V03.descriptor)
    for method in service.methods
}
_PARAMS: Final = [params for _, params in RIGHT]
_BROKEN: Final = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)


@frozen
class GrpcCall:
    """One call as it comes from the network."""

    number: int
    path: str
    metadata: tuple[tuple[str, str | bytes], ...]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        """Show it."""
        metadata = [[name, value if isinstance(value, str) else value.hex()] for name, value in self.metadata]
        return {
            "number": self.number,
            "path": self.path,
            "metadata": metadata,
            "body": b64encode(self.body).decode(),
        }


def made(seed: int, number: int) -> GrpcCall:
    """Make the call of a number."""
    chance = Chance.of(seed, number, "grpc")
    path = chance.one_of(list(_METHODS))
    body = _body(chance, _METHODS[path])
    if chance.happens(0.4):
        body = spoil_bytes(chance, body)
    if chance.happens(0.05):
        path += chance.one_of(("x", "/", "/x", " "))
    return GrpcCall(number, path, tuple(_metadata(chance)), body[:100_000])


def _body(chance: Chance, method: MethodDescriptor) -> bytes:
    """Write what is right for this method, or for some other, as this one would have it as far as that goes."""
    own = [params for name, params in RIGHT if name == method.name]
    params: Any = chance.one_of(own if own and chance.happens(0.8) else _PARAMS)
    request = GetMessageClass(method.input_type)()
    try:
        ParseDict(spoil(chance, params) if chance.happens(0.5) else params, request, ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, OverflowError, RecursionError, SystemError):
        request.Clear()
    return request.SerializeToString()


def _metadata(chance: Chance) -> Iterator[tuple[str, str | bytes]]:
    if chance.happens(0.95):
        yield "authorization", (ALICE if chance.happens(0.5) else BOB).decode()
    elif chance.happens(0.5):
        yield "authorization", chance.one_of(("Bearer nobody", "Basic ====", "", "x" * 2000))
    if chance.happens(0.3):
        yield "a2a-version", chance.one_of(("1.0", "0.3", "9", "", "1.0.0.0", "1" * 3000))
    if chance.happens(0.1):
        yield "a2a-extensions", chance.one_of(("urn:none", ",,,", "a," * 1000))
    if chance.happens(0.05):
        yield "x-forwarded-for", chance.one_of(("1.2.3.4", "unknown", "[::1", "," * 100))
    if chance.happens(0.05):
        yield "odd-bin", chance.some_bytes()
    if chance.happens(0.05):
        yield "traceparent", chance.one_of(("00-0-0-0", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"))


@define(eq=False)
class GrpcLine:
    """A connection to a service's port."""

    port: int
    _channel: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}")

    async def close(self) -> None:
        """Hang up."""
        await self._channel.close()

    async def ask(self, call: GrpcCall, fill: Any, patience: float) -> tuple[str, list[str]]:
        """Call; gives the status, and what was wrong."""
        metadata = tuple((name, value) for name, value in call.metadata)
        method = _METHODS.get(call.path)
        streams = method is not None and method.server_streaming
        multi = self._channel.unary_stream if streams else self._channel.unary_unary
        begun = multi(call.path)(fill(call.body), metadata=metadata, timeout=patience)
        try:
            answer = await (begun.read() if streams else begun)
            begun.cancel()
        except grpc.aio.AioRpcError as refused:
            return _judge_refusal(call, refused)
        except asyncio.CancelledError:
            return "CANCELLED", ["the call was cut"]
        told = answer if isinstance(answer, bytes) else b""
        return "OK", list(_judge(call, told))


def _judge(call: GrpcCall, told: bytes) -> Iterator[str]:
    if SECRETS[0] in told:
        yield "a secret was told"
    if ("authorization", ALICE.decode()) not in call.metadata and any(own in told for own in ALICES):
        yield "somebody else was told what is Alice's"


def _judge_refusal(call: GrpcCall, refused: grpc.aio.AioRpcError) -> tuple[str, list[str]]:
    code, details = refused.code(), refused.details() or ""
    reasons = list(_judge(call, details.encode()))
    if code in _BROKEN:
        reasons.append(f"{code.name}: {details}")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        reasons.append("it was not answered")
    if not details:
        reasons.append(f"{code.name} without a word")
    return code.name, reasons
