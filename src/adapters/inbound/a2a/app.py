"""The application: routes, who may use them, and one shape for whatever goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from anyio import to_thread
from attrs import define, field, frozen
from litestar import Litestar, Response, post, route
from litestar.connection import ASGIConnection
from litestar.enums import HttpMethod
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from . import rpc as v1_0
from .auth import Authenticate
from .card import VERSIONS, Card, CardInfo
from .drain import Drain
from .encode import V1_0, to_json
from .errors import Fault
from .methods.table import dispatched
from .openapi.document import Service, document
from .openapi.methods import PUSH
from .operations import Operations, Services
from .parameters import AnyRequest
from .reply import A2A_JSON, JSON, Content, Reply
from .rest import Rest
from .routes import methods_of
from .rpc import Rpc
from .v03 import methods as v0_3
from .v03.rest import PREFIX, RestV03
from .v03.shape import JSON as JSON_V03

_log = logging.getLogger(__name__)

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]

METHODS: Final = {"1.0": v1_0.METHODS, "0.3": v0_3.METHODS}
"""What each protocol version calls its JSON-RPC methods."""

_PUBLIC: Final = {"public": True}
_LOOKING: Final = (HttpMethod.GET, HttpMethod.HEAD)


def create_app(  # noqa: PLR0913 - the seams of the application, each by its name
    services: Services,
    *,
    card: CardInfo,
    authenticate: Authenticate,
    drain: Drain,
    keep_alive: float = 3.0,
    body_limit: int = 1 << 20,
    lifespan: Sequence[Lifespan] = (),
    versions: Sequence[str] = VERSIONS,
) -> Litestar:
    """
    Build the application.

    Args:
        services: The use cases.
        card: What the operator decides of the agent card.
        authenticate: Who is asking. All routes need it, except the card's.
        drain: Ends the streams when the service is about to end.
        keep_alive: Seconds of silence after which a stream sends a comment. The Python SDK's clients give up after 5.
        body_limit: Bytes that a request's body may have.
        lifespan: What lives as long as the application does.
        versions: The protocol versions to serve.

    """
    operations = Operations(services)
    rests = {"1.0": Rest, "0.3": RestV03}
    rpc = Rpc(
        operations,
        drain,
        keep_alive,
        {version: METHODS[version] for version in versions},
        dispatched(JSON_V03 if "0.3" in versions else V1_0),
        v0_3.REFUSED_IN_STREAMS,
    )
    about = _About(Card.of(card, versions), card.version, tuple(versions))
    service = Service(
        card.title, card.version, card.description, card.public_url, tuple(versions), {PUSH} if services.push else set()
    )
    return Litestar(
        [
            post("/")(rpc.__call__),
            *(handler for version in versions for handler in rests[version](operations, drain, keep_alive).routes),
            route(["/.well-known/agent-card.json", "/.well-known/agent.json"], http_method=_LOOKING, opt=_PUBLIC)(
                about.card_reply
            ),
            route("/health", http_method=_LOOKING)(about.health),
            route("/openapi.json", http_method=_LOOKING)(Described(service).reply),
        ],
        guards=[_guard(authenticate)],
        exception_handlers={Exception: _tell},
        request_max_body_size=body_limit,
        lifespan=list(lifespan),
        openapi_config=None,
        logging_config=None,
    )


@frozen
class _About:
    """What the service says of itself."""

    card: Card
    version: str
    protocol_versions: Sequence[str]

    async def card_reply(self, request: AnyRequest) -> Reply:
        """`GET /.well-known/agent-card.json` and, as it was called up to 0.2, `GET /.well-known/agent.json`."""
        headers = request.headers
        return self.card.reply(headers.get("if-none-match"), headers.get("if-modified-since"))

    async def health(self) -> Reply:
        """`GET /health`: the process answers; of anything behind it this says nothing."""
        told: Mapping[str, Any] = {"status": "ok", "version": self.version, "protocol_versions": self.protocol_versions}
        return Content(to_json(told))


@define
class Described:
    """The OpenAPI document; made when it is first asked for, since few ever do."""

    service: Service
    _reply: Content | None = field(default=None, init=False)

    async def reply(self, request: AnyRequest) -> Reply:
        """`GET /openapi.json`."""
        if self._reply is None:
            made = await to_thread.run_sync(document, self.service, request.app.routes)
            self._reply = Content(to_json(made))
        return self._reply


def _guard(authenticate: Authenticate) -> Guard:
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        scope = connection.scope
        if not (handler.opt.get("public") or scope.get("method") == HttpMethod.OPTIONS):
            scope["auth"] = authenticate(scope["headers"])

    return guard


def _tell(request: AnyRequest, error: Exception) -> Response[bytes]:
    """
    Answer with google.rpc.Status (A2A 1.0, 11.6), whoever refuses: a use case, a codec or Litestar.

    Clients of 0.3 look for the members of JSON-RPC's error object.
    """
    fault = Fault.of(error)
    if fault.internal:
        _log.error("%s %s broke", request.scope.get("method"), request.scope.get("path"), exc_info=error)
    headers = {name.decode(): value.decode() for name, value in fault.headers}
    if isinstance(error, MethodNotAllowedException):
        headers["allow"] = ", ".join(methods_of(request.app, request.scope["path"]))
    old = request.scope["path"].startswith(f"{PREFIX}/")
    body, media_type = (fault.rpc, JSON) if old else (fault.status, A2A_JSON)
    return Response(to_json(body), status_code=fault.row.http, media_type=media_type.decode(), headers=headers)
