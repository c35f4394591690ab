"""
HTTP+JSON of 0.3, under /v1.

Its clients speak ProtoJSON (the SDKs for Python and JavaScript do), the text of A2A 0.3 has the JSON of JSON-RPC. Both
are read, the former is answered. An error is the object which JSON-RPC has for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from attrs import evolve, frozen
from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler

from opencode_a2a_server.adapters.inbound.a2a.encode import to_json
from opencode_a2a_server.adapters.inbound.a2a.errors import ExtendedCardNotConfigured
from opencode_a2a_server.adapters.inbound.a2a.parameters import AnyRequest, Call, read_call
from opencode_a2a_server.adapters.inbound.a2a.reply import Content
from opencode_a2a_server.adapters.inbound.a2a.requests import SendRequest, TaskRequest, read_get
from opencode_a2a_server.adapters.inbound.a2a.rest import VERBS_OF_GET, VERBS_OF_POST, Rest
from opencode_a2a_server.adapters.inbound.a2a.sse import Envelope
from opencode_a2a_server.domain.errors import UnsupportedOperation

from .requests import NO_PUSH, read_send_0_3, task_params
from .shape import PROTO, VERSION

PREFIX: Final = "/v1"

_ENVELOPE: Final = Envelope(error=lambda fault: to_json(fault.rpc))


@frozen
class RestV03(Rest):
    """The routes."""

    @property
    def routes(self) -> list[HTTPRouteHandler]:
        """All of them."""
        configs = f"{PREFIX}/tasks/{{task:str}}/pushNotificationConfigs"
        return [
            post(f"{PREFIX}/message:send")(self.send),
            post(f"{PREFIX}/message:stream")(self.stream),
            get(f"{PREFIX}/tasks")(self.list_tasks),
            get(f"{PREFIX}/tasks/{{ref:str}}", opt=VERBS_OF_GET)(self.get_or_follow),
            post(f"{PREFIX}/tasks/{{ref:str}}", opt=VERBS_OF_POST)(self.cancel_or_follow),
            get([configs, configs + "/{config:str}"])(self.push),
            post(configs)(self.push),
            delete(configs + "/{config:str}", status_code=200)(self.push),
            get(f"{PREFIX}/card")(self.extended_card),
        ]

    async def list_tasks(self, request: AnyRequest) -> NoReturn:
        """`GET /v1/tasks`: the text of 0.3 names it and gives it no shape; 1.0 has one."""
        self._call(request)
        raise UnsupportedOperation("tasks are listed by protocol 1.0: GET /tasks, or ListTasks")

    async def push(self, request: AnyRequest) -> NoReturn:
        """All of push notification configuration."""
        self._call(request)
        raise NO_PUSH

    async def extended_card(self) -> NoReturn:
        """`GET /v1/card`."""
        raise ExtendedCardNotConfigured("there is no extended agent card; the public one says everything")

    @property
    def _envelope(self) -> Envelope:
        return _ENVELOPE

    def _call(self, request: AnyRequest) -> Call:
        return evolve(read_call(request, (VERSION,)), shape=PROTO)

    def _sent(self, body: object) -> SendRequest:
        return read_send_0_3(body)

    def _wanted(self, asked: Mapping[str, Any]) -> TaskRequest:
        return read_get(task_params(asked))

    def _content(self, call: Call, body: bytes) -> Content:
        return Content(body, headers=call.headers)
