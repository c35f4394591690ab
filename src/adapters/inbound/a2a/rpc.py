"""
JSON-RPC on `POST /` (A2A 1.0, 9).

One table names the methods of a protocol version. Another version's table stands beside it: no method has the same
name in two of them, so the name says which version's codec reads the parameters.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeAlias

from a2a import types as a2a
from attrs import evolve, field, frozen

from opencode_a2a_server.domain.errors import InvalidRequest

from .card.served import Form
from .drain import Drain
from .encode import to_json
from .errors import Fault, MalformedCall, MethodNotFound, cause_of
from .operations import Operations
from .parameters import AnyRequest, Call, check_media_type, read_body, read_call
from .reply import EVENTS, Content, Reply
from .requests import parsed, read_cancel, read_get, read_json, read_list, read_send, read_subscribe
from .sse import Envelope, EventStream, Feed
from .watch import note_operation, note_refusal

_log = logging.getLogger(__name__)

RequestId: TypeAlias = str | int | float | None
Result: TypeAlias = bytes | Feed
Method: TypeAlias = Callable[[Operations, Call, object], Awaitable[Result]]


async def _send(operations: Operations, call: Call, params: object) -> Result:
    return await operations.send(call, read_send(params))


async def _stream(operations: Operations, call: Call, params: object) -> Result:
    return await operations.stream(call, read_send(params))


async def _get(operations: Operations, call: Call, params: object) -> Result:
    return await operations.get(call, read_get(params))


async def _cancel(operations: Operations, call: Call, params: object) -> Result:
    return await operations.cancel(call, read_cancel(params))


async def _subscribe(operations: Operations, call: Call, params: object) -> Result:
    return await operations.subscribe(call, read_subscribe(params))


async def _create_push(operations: Operations, call: Call, params: object) -> Result:
    return await operations.push.create(call, params)


async def _get_push(operations: Operations, call: Call, params: object) -> Result:
    return await operations.push.get(call, params)


async def _list_push(operations: Operations, call: Call, params: object) -> Result:
    return await operations.push.list(call, params)


async def _delete_push(operations: Operations, call: Call, params: object) -> Result:
    return await operations.push.delete(call, params)


async def _list(operations: Operations, call: Call, params: object) -> Result:
    return await operations.list(call, read_list(params))


async def _extended_card(operations: Operations, call: Call, params: object) -> Result:
    parsed({} if params is None else params, a2a.GetExtendedAgentCardRequest())
    return operations.extended_card(call, Form.V1).body


METHODS: Final[Mapping[str, Method]] = {
    "SendMessage": _send,
    "SendStreamingMessage": _stream,
    "GetTask": _get,
    "ListTasks": _list,
    "CancelTask": _cancel,
    "SubscribeToTask": _subscribe,
    "CreateTaskPushNotificationConfig": _create_push,
    "GetTaskPushNotificationConfig": _get_push,
    "ListTaskPushNotificationConfigs": _list_push,
    "DeleteTaskPushNotificationConfig": _delete_push,
    "GetExtendedAgentCard": _extended_card,
}
"""The methods of protocol 1.0."""

CARD_METHODS: Final = frozenset({"GetExtendedAgentCard", "agent/getAuthenticatedExtendedCard"})
"""The methods that give a card, in any version."""


@frozen
class RpcCall:
    """A JSON-RPC request; a notification is one to which nobody expects an answer."""

    id: RequestId = None
    method: str = ""
    params: object = None
    notification: bool = False


@frozen
class Rpc:
    """The endpoint."""

    operations: Operations
    drain: Drain
    keep_alive: float
    methods: Mapping[str, Mapping[str, Method]] = field(factory=lambda: {"1.0": METHODS})
    """The methods of each version that is served."""
    others: Mapping[str, Method] = field(factory=dict)
    """Methods which no version has: they are called the same in all of them."""
    refused_in_streams: frozenset[str] = frozenset()
    """Methods whose clients look for an error, too, in a stream."""

    async def __call__(self, request: AnyRequest) -> Reply:
        """Answer a call."""
        called = RpcCall()
        try:
            body = await _read(request)
            called = RpcCall(_id_of(body))
            called = _checked(body)
            call = self._call(request, called)
            method = self._method(called.method, call.version)
            note_operation(called.method)
            result = await method(self.operations, call, called.params)
        except Exception as error:  # noqa: BLE001 - JSON-RPC has a shape for every error
            await self.operations.services.record.refused(request.scope["auth"], cause_of(error), called.method)
            return _refusal(called, error, streamed=called.method in self.refused_in_streams)
        return self._reply(called, call, result)

    def _call(self, request: AnyRequest, called: RpcCall) -> Call:
        of_card = called.method in CARD_METHODS
        call = read_call(request, self.operations.negotiation, tuple(self.methods), of_card=of_card)
        url = self.operations.cards.at.of(request.scope) if of_card else ""
        return evolve(call, awaited=not called.notification, url=url)

    def _method(self, name: str, version: str) -> Method:
        """Find a method in the version that was asked for, in any if none was."""
        if name in self.others:
            return self.others[name]
        served = {version: self.methods[version]} if version else self.methods
        for methods in served.values():
            if name in methods:
                return methods[name]
        raise MethodNotFound(f"there is no method {name[:64]!r} in A2A {', '.join(served)}, which is served here")

    def _reply(self, called: RpcCall, call: Call, result: Result) -> Reply:
        if called.notification:
            return _NOTHING
        envelope = _envelope(called.id)
        if isinstance(result, Feed):
            return EventStream(result, envelope, self.drain, self.keep_alive, call.headers)
        return Content(envelope.wrap(result), headers=call.headers)


async def _read(request: AnyRequest) -> object:
    """
    Read the body.

    Raises:
        ContentTypeNotSupported, MalformedJson: It is no JSON.

    """
    check_media_type(request)
    return read_json(await read_body(request))


def _id_of(body: object) -> RequestId:
    """Give the id as far as there is one: an error should name what it answers."""
    found = body.get("id") if isinstance(body, dict) else None
    return found if isinstance(found, (str, int, float)) and not isinstance(found, bool) else None


def _checked(body: object) -> RpcCall:
    if isinstance(body, list):
        raise MalformedCall("batches are not supported; send one request at a time")
    if not isinstance(body, dict):
        raise MalformedCall("a JSON-RPC request is an object")
    request_id, method = body.get("id"), body.get("method")
    if request_id != _id_of(body):
        raise MalformedCall("id must be a string, a number or null")
    if body.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise MalformedCall('a JSON-RPC request has jsonrpc: "2.0" and a method')
    return RpcCall(request_id, method, body.get("params", {}), notification="id" not in body)


def _refusal(called: RpcCall, error: Exception, *, streamed: bool) -> Reply:
    """Tell an error: with HTTP's 200, since the call itself was answered, unless it never got as far as that."""
    fault = Fault.of(error)
    note_refusal(fault)
    if fault.internal:
        _log.error("%s broke", called.method or "a call", exc_info=error)
    if called.notification and not isinstance(error, _NO_CALL):
        return _NOTHING
    told = _envelope(called.id).error(fault)
    if streamed:
        return Content(b"data: " + told + b"\n\n", EVENTS, headers=fault.headers)
    too_large = fault.row.http == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.OK
    return Content(told, status=status, headers=fault.headers)


def _envelope(request_id: RequestId) -> Envelope:
    return Envelope(
        error=lambda fault: to_json({"jsonrpc": "2.0", "id": request_id, "error": fault.rpc}),
        before=b'{"jsonrpc":"2.0","id":' + to_json(request_id) + b',"result":',
        after=b"}",
    )


_NO_CALL: Final = (MethodNotFound, InvalidRequest)
"""
What is told even if the call bears no id, as of any request that is none (A2A 0.3, 6.11.2).

Most who send it have forgotten the id, and the suite that tests servers of 0.3 does.
"""

_NOTHING: Final = Content(b"", status=HTTPStatus.NO_CONTENT)
