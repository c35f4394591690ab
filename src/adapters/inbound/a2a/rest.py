"""
HTTP+JSON (A2A 1.0, 11).

A path parameter of Litestar is a whole segment, so `/tasks/{id}:cancel` is one route with `/tasks/{id}`, and the verb
is read from behind the colon.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen
from litestar import delete, get, post
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from opencode_a2a_server.domain.errors import InvalidRequest

from .card.served import Form
from .drain import Drain
from .encode import to_json
from .errors import MethodNotFound
from .operations import Operations
from .parameters import AnyRequest, Call, check_media_type, read_body, read_call
from .reply import A2A_JSON, Content, Reply
from .requests import (
    SendRequest,
    TaskRequest,
    check_no_tenant,
    read_cancel,
    read_get,
    read_json,
    read_list_query,
    read_send,
    read_subscribe,
)
from .routes import VERBS
from .sse import Envelope, EventStream, Feed

VERBS_OF_GET: Final = {VERBS: ("", "subscribe")}
VERBS_OF_POST: Final = {VERBS: ("cancel", "subscribe")}

_ENVELOPE: Final = Envelope(error=lambda fault: to_json(fault.status))


@frozen
class Rest:
    """The routes."""

    operations: Operations
    drain: Drain
    keep_alive: float

    @property
    def routes(self) -> list[HTTPRouteHandler]:
        """All of them."""
        configs = "/tasks/{task:str}/pushNotificationConfigs"
        return [
            post("/message:send")(self.send),
            post("/message:stream")(self.stream),
            get("/tasks")(self.list_tasks),
            get("/tasks/{ref:str}", opt=VERBS_OF_GET)(self.get_or_follow),
            post("/tasks/{ref:str}", opt=VERBS_OF_POST)(self.cancel_or_follow),
            get(configs)(self.list_push),
            post(configs)(self.create_push),
            get(configs + "/{config:str}")(self.get_push),
            delete(configs + "/{config:str}", status_code=200)(self.delete_push),
            get("/extendedAgentCard")(self.extended_card),
        ]

    async def send(self, request: AnyRequest) -> Reply:
        """`POST /message:send`."""
        call = self._call(request)
        return self._content(call, await self.operations.send(call, self._sent(await _body(request))))

    async def stream(self, request: AnyRequest) -> Reply:
        """`POST /message:stream`."""
        call = self._call(request)
        return self._stream(call, await self.operations.stream(call, self._sent(await _body(request))))

    async def get_or_follow(self, request: AnyRequest, ref: FromPath[str]) -> Reply:
        """`GET /tasks/{id}` and, since the proto says GET where the text says POST, `GET /tasks/{id}:subscribe`."""
        task_id, colon, verb = ref.rpartition(":")
        if colon:
            return await self._follow(request, task_id, verb)
        call = self._call(request)
        asked = {"id": verb, **_history_length(request)}
        return self._content(call, await self.operations.get(call, self._wanted(asked)))

    async def cancel_or_follow(self, request: AnyRequest, ref: FromPath[str]) -> Reply:
        """`POST /tasks/{id}:cancel` and `POST /tasks/{id}:subscribe`."""
        task_id, colon, verb = ref.rpartition(":")
        if not colon:
            raise MethodNotAllowedException
        if verb != "cancel":
            return await self._follow(request, task_id, verb)
        call = self._call(request)
        asked = {**await optional_body(request), "id": task_id}
        return self._content(call, await self.operations.cancel(call, read_cancel(asked)))

    async def list_tasks(self, request: AnyRequest) -> Reply:
        """`GET /tasks`."""
        call = self._call(request)
        return self._content(
            call, await self.operations.list(call, read_list_query(request.query_params.multi_items()))
        )

    async def create_push(self, request: AnyRequest, task: FromPath[str]) -> Reply:
        """`POST /tasks/{id}/pushNotificationConfigs`."""
        call, push = self._call(request), self.operations.push
        return self._content(call, await push.create(call, {**await optional_body(request), "taskId": task}))

    async def list_push(self, request: AnyRequest, task: FromPath[str]) -> Reply:
        """`GET /tasks/{id}/pushNotificationConfigs`."""
        call, push = self._call(request), self.operations.push
        return self._content(call, await push.list(call, {**dict(request.query_params.multi_items()), "taskId": task}))

    async def get_push(self, request: AnyRequest, task: FromPath[str], config: FromPath[str]) -> Reply:
        """`GET /tasks/{id}/pushNotificationConfigs/{config}`."""
        call, push = self._call(request), self.operations.push
        return self._content(call, await push.get(call, {"taskId": task, "id": config}))

    async def delete_push(self, request: AnyRequest, task: FromPath[str], config: FromPath[str]) -> Reply:
        """`DELETE /tasks/{id}/pushNotificationConfigs/{config}`."""
        call, push = self._call(request), self.operations.push
        return self._content(call, await push.delete(call, {"taskId": task, "id": config}))

    async def extended_card(self, request: AnyRequest) -> Reply:
        """`GET /extendedAgentCard`."""
        cards, headers = self.operations.cards, request.headers
        call = evolve(self._call(request, of_card=True), url=cards.at.of(request.scope))
        card = self.operations.extended_card(call, self._form)
        return card.reply(
            headers.get("if-none-match"), headers.get("if-modified-since"), self._media_type, call.headers
        )

    async def _follow(self, request: AnyRequest, task_id: str, verb: str) -> Reply:
        if verb == "cancel":
            raise MethodNotAllowedException
        if verb != "subscribe":
            raise MethodNotFound(f"a task has no {verb[:64]!r} here")
        call = self._call(request)
        return self._stream(call, await self.operations.subscribe(call, read_subscribe({"id": task_id})))

    # What another version says differently

    @property
    def _envelope(self) -> Envelope:
        return _ENVELOPE

    @property
    def _form(self) -> Form:
        return Form.V1

    @property
    def _media_type(self) -> bytes:
        return A2A_JSON

    def _call(self, request: AnyRequest, *, of_card: bool = False) -> Call:
        if b"tenant" in request.scope["query_string"]:
            check_no_tenant(request.query_params.get("tenant", ""))
        return read_call(request, self.operations.negotiation, of_card=of_card)

    def _sent(self, body: object) -> SendRequest:
        return read_send(body)

    def _wanted(self, asked: Mapping[str, Any]) -> TaskRequest:
        return read_get(asked)

    def _content(self, call: Call, body: bytes) -> Content:
        return Content(body, self._media_type, headers=call.headers)

    def _stream(self, call: Call, feed: Feed) -> Reply:
        return EventStream(feed, self._envelope, self.drain, self.keep_alive, call.headers)


async def _body(request: AnyRequest) -> object:
    check_media_type(request)
    return read_json(await read_body(request))


async def optional_body(request: AnyRequest) -> Mapping[str, Any]:
    """
    Read a body that may be absent.

    Raises:
        ContentTypeNotSupported, MalformedJson, InvalidRequest: It is no JSON object.

    """
    body = await read_body(request)
    if not body:
        return {}
    read = await _body(request)
    if not isinstance(read, dict):
        raise InvalidRequest("the body must be an object")
    return read


def _history_length(request: AnyRequest) -> Mapping[str, Any]:
    """Give the query's `historyLength` (A2A 1.0, 11.5), by either name that ProtoJSON has for it; the last one counts."""
    query = request.query_params
    given = [*query.getall("history_length", []), *query.getall("historyLength", [])]
    return {"historyLength": given[-1]} if given else {}
