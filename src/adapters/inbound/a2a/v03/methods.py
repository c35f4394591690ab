"""The JSON-RPC methods of 0.3 (A2A 0.3, 7): those of 1.0 under other names, and with other words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from attrs import evolve

from opencode_a2a_server.adapters.inbound.a2a import rpc
from opencode_a2a_server.adapters.inbound.a2a.errors import ExtendedCardNotConfigured
from opencode_a2a_server.adapters.inbound.a2a.operations import Operations
from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.rpc import Method, Result

from .requests import NO_PUSH, sent_params, task_params
from .shape import JSON


def _renamed(method: Method, rename: Callable[[object], object]) -> Method:
    async def called(operations: Operations, call: Call, params: object) -> Result:
        return await method(operations, evolve(call, shape=JSON), rename(params))

    return called


async def _extended_card(_operations: Operations, _call: Call, _params: object) -> NoReturn:
    raise ExtendedCardNotConfigured("there is no extended agent card; the public one says everything")


async def _push(_operations: Operations, _call: Call, _params: object) -> NoReturn:
    raise NO_PUSH


METHODS: Final[Mapping[str, Method]] = {
    "message/send": _renamed(rpc.METHODS["SendMessage"], sent_params),
    "message/stream": _renamed(rpc.METHODS["SendStreamingMessage"], sent_params),
    "tasks/get": _renamed(rpc.METHODS["GetTask"], task_params),
    "tasks/cancel": _renamed(rpc.METHODS["CancelTask"], task_params),
    "tasks/resubscribe": _renamed(rpc.METHODS["SubscribeToTask"], task_params),
    "tasks/pushNotificationConfig/set": _push,
    "tasks/pushNotificationConfig/get": _push,
    "tasks/pushNotificationConfig/list": _push,
    "tasks/pushNotificationConfig/delete": _push,
    "agent/getAuthenticatedExtendedCard": _extended_card,
}
"""The methods of protocol 0.3."""

REFUSED_IN_STREAMS: Final = frozenset({"message/stream", "tasks/resubscribe"})
"""The SDKs of 0.3 take any other answer to these for a broken one, and never get to see the error."""
