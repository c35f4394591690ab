"""The JSON-RPC methods of 0.3 (A2A 0.3, 7): those of 1.0 under other names, and with other words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve

from opencode_a2a_server.adapters.inbound.a2a import rpc
from opencode_a2a_server.adapters.inbound.a2a.card.served import Form
from opencode_a2a_server.adapters.inbound.a2a.encode import to_json
from opencode_a2a_server.adapters.inbound.a2a.operations import Operations
from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.rpc import Method, Result

from .push import CONFIG_ID, PushV03, config_json, object_in, text_in
from .requests import send_params, task_params
from .shape import JSON


def _renamed(method: Method, rename: Callable[[object], object]) -> Method:
    async def called(operations: Operations, call: Call, params: object) -> Result:
        return await method(operations, evolve(call, shape=JSON), rename(params))

    return called


async def _extended_card(operations: Operations, call: Call, _params: object) -> Result:
    return operations.extended_card(call, Form.V03).body


def _push(operations: Operations) -> PushV03:
    return PushV03(operations.push.services, config_json)


async def _set_push(operations: Operations, call: Call, params: object) -> Result:
    push, asked = _push(operations), object_in(params)
    return to_json(await push.create(call, text_in(asked, "taskId"), asked, "taskId"))


async def _get_push(operations: Operations, call: Call, params: object) -> Result:
    push, asked = _push(operations), object_in(params)
    return to_json(await push.get(call, text_in(asked, "id"), text_in(asked, CONFIG_ID)))


async def _list_push(operations: Operations, call: Call, params: object) -> Result:
    push, asked = _push(operations), object_in(params)
    return to_json(await push.list(call, text_in(asked, "id")))


async def _delete_push(operations: Operations, call: Call, params: object) -> Result:
    push, asked = _push(operations), object_in(params)
    await push.delete(call, text_in(asked, "id"), text_in(asked, CONFIG_ID))
    return b"null"


METHODS: Final[Mapping[str, Method]] = {
    "message/send": _renamed(rpc.METHODS["SendMessage"], send_params),
    "message/stream": _renamed(rpc.METHODS["SendStreamingMessage"], send_params),
    "tasks/get": _renamed(rpc.METHODS["GetTask"], task_params),
    "tasks/cancel": _renamed(rpc.METHODS["CancelTask"], task_params),
    "tasks/resubscribe": _renamed(rpc.METHODS["SubscribeToTask"], task_params),
    "tasks/pushNotificationConfig/set": _set_push,
    "tasks/pushNotificationConfig/get": _get_push,
    "tasks/pushNotificationConfig/list": _list_push,
    "tasks/pushNotificationConfig/delete": _delete_push,
    "agent/getAuthenticatedExtendedCard": _extended_card,
}
"""The methods of protocol 0.3."""

REFUSED_IN_STREAMS: Final = frozenset({"message/stream", "tasks/resubscribe"})
"""The SDKs of 0.3 take any other answer to these for a broken one, and never get to see the error."""
