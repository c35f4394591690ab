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
from litestar.params import FromPath

from opencode_a2a_server.adapters.inbound.a2a.card.served import Form
from opencode_a2a_server.adapters.inbound.a2a.encode import to_json
from opencode_a2a_server.adapters.inbound.a2a.parameters import AnyRequest, Call, read_call
from opencode_a2a_server.adapters.inbound.a2a.reply import JSON as MEDIA_TYPE
from opencode_a2a_server.adapters.inbound.a2a.reply import Reply
from opencode_a2a_server.adapters.inbound.a2a.requests import SendRequest, TaskRequest, read_get
from opencode_a2a_server.adapters.inbound.a2a.rest import VERBS_OF_GET, VERBS_OF_POST, Rest, optional_body
from opencode_a2a_server.adapters.inbound.a2a.sse import Envelope
from opencode_a2a_server.domain.errors import UnsupportedOperation

from .push import PushV03, config_proto
from .requests import read_send_0_3, task_params
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
            get(configs)(self.list_push),
            post(configs)(self.create_push),
            get(configs + "/{config:str}")(self.get_push),
            delete(configs + "/{config:str}", status_code=200)(self.delete_push),
            get(f"{PREFIX}/card")(self.extended_card),
        ]

    async def list_tasks(self, request: AnyRequest) -> NoReturn:
        """`GET /v1/tasks`: the text of 0.3 names it and gives it no shape; 1.0 has one."""
        self._call(request)
        raise UnsupportedOperation("tasks are listed by protocol 1.0: GET /tasks, or ListTasks")

    async def create_push(self, request: AnyRequest, task: FromPath[str]) -> Reply:
        """`POST /v1/tasks/{id}/pushNotificationConfigs`."""
        call, push = self._call(request), self._push
        return self._content(call, to_json(await push.create(call, task, await optional_body(request))))

    async def list_push(self, request: AnyRequest, task: FromPath[str]) -> Reply:
        """`GET /v1/tasks/{id}/pushNotificationConfigs`; there is one page always."""
        call, push = self._call(request), self._push
        told = {"configs": await push.list(call, task), "nextPageToken": ""}
        return self._content(call, to_json(told))

    async def get_push(self, request: AnyRequest, task: FromPath[str], config: FromPath[str]) -> Reply:
        """`GET /v1/tasks/{id}/pushNotificationConfigs/{config}`."""
        call, push = self._call(request), self._push
        return self._content(call, to_json(await push.get(call, task, config)))

    async def delete_push(self, request: AnyRequest, task: FromPath[str], config: FromPath[str]) -> Reply:
        """`DELETE /v1/tasks/{id}/pushNotificationConfigs/{config}`, which the text of 0.3 and its SDKs have."""
        call, push = self._call(request), self._push
        await push.delete(call, task, config)
        return self._content(call, b"{}")

    @property
    def _push(self) -> PushV03:
        return PushV03(self.operations.push.services, config_proto)

    @property
    def _envelope(self) -> Envelope:
        return _ENVELOPE

    @property
    def _form(self) -> Form:
        return Form.V03_HTTP

    @property
    def _media_type(self) -> bytes:
        return MEDIA_TYPE

    def _call(self, request: AnyRequest, *, of_card: bool = False) -> Call:
        call = read_call(request, self.operations.negotiation, (VERSION,), of_card=of_card)
        return evolve(call, shape=PROTO)

    def _sent(self, body: object) -> SendRequest:
        return read_send_0_3(body)

    def _wanted(self, asked: Mapping[str, Any]) -> TaskRequest:
        return read_get(task_params(asked))
