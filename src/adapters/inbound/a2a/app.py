"""The application: routes, who may use them, and one shape for whatever goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from anyio import to_thread
from attrs import define, field, frozen
from litestar import Litestar, Response, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import Guard, Scope

from opencode_a2a_server.app.usecases.audit_access import AuditAccess

from . import jwks
from . import rpc as v1_0
from .auth import Authenticate
from .card.contracts import Documents
from .card.served import Cards
from .drain import Drain
from .encode import V1_0, to_json
from .errors import Fault, MethodNotFound
from .front import Front, Manners, refusal
from .methods.table import dispatched, served
from .openapi.document import Service, document
from .openapi.methods import EXTENDED_CARD, PUSH
from .operations import Operations
from .parameters import AnyRequest
from .reply import Content, Reply
from .rest import Rest
from .routes import methods_of
from .rpc import Rpc
from .v03 import methods as v0_3
from .v03.rest import PREFIX, RestV03
from .v03.shape import JSON as JSON_V03
from .watch import Watch, note_refusal
from .watched import Payloads, Watched

_log = logging.getLogger(__name__)

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]

METHODS: Final = {"1.0": v1_0.METHODS, "0.3": v0_3.METHODS}
"""What each protocol version calls its JSON-RPC methods."""

_PUBLIC: Final = {"public": True}
_MANNERS: Final = Manners()


def create_app(  # noqa: PLR0913 - the seams of the application, each by its name
    operations: Operations,
    *,
    authenticate: Authenticate,
    drain: Drain,
    keep_alive: float = 3.0,
    body_limit: int = 1 << 20,
    lifespan: Sequence[Lifespan] = (),
    manners: Manners = _MANNERS,
    keys: Mapping[str, Any] = jwks.NO_KEYS,
    watch: Watch | None = None,
    payloads: Payloads | None = None,
) -> Litestar:
    """
    Build the application.

    Args:
        operations: What is served, in which protocol versions, and the cards that say so.
        authenticate: Who is asking. All routes need it, except those of the public card and the keys.
        drain: Ends the streams when the service is about to end.
        keep_alive: Seconds of silence after which a stream sends a comment. The Python SDK's clients give up after 5.
        body_limit: Bytes that a request's body may have.
        lifespan: What lives as long as the application does.
        manners: How HTTP is spoken, to browsers above all.
        keys: The JSON Web Key Set of what the service signs with.
        watch: Who hears of requests, to measure and to trace them.
        payloads: How much of what is said is logged; nothing if this is None.

    """
    app = Litestar(
        [*_spoken(operations, drain, keep_alive), *_told(operations, keys)],
        guards=[_guard(authenticate)],
        exception_handlers={Exception: _tell},
        after_exception=[_record(operations.services.record)],
        request_max_body_size=body_limit,
        lifespan=list(lifespan),
        openapi_config=None,
        logging_config=None,
    )
    # Around all that Litestar does, its own refusals included, which its middleware does not see.
    app.asgi_handler = Front(app, app.asgi_handler, manners, operations.cards.info.public_url)
    if watch is not None:
        app.asgi_handler = Watched(app.asgi_handler, watch, payloads)
    return app


def _spoken(operations: Operations, drain: Drain, keep_alive: float) -> Sequence[HTTPRouteHandler]:
    """Give the routes of the protocol, in each version and binding that is served."""
    rests, versions = {"1.0": Rest, "0.3": RestV03}, operations.cards.versions
    rpc = Rpc(
        operations,
        drain,
        keep_alive,
        {version: METHODS[version] for version in versions},
        dispatched(JSON_V03 if "0.3" in versions else V1_0),
        v0_3.REFUSED_IN_STREAMS,
    )
    rest = (handler for version in versions for handler in rests[version](operations, drain, keep_alive).routes)
    return post("/")(rpc.__call__), *rest


def _told(operations: Operations, keys: Mapping[str, Any]) -> Sequence[HTTPRouteHandler]:
    """Give the routes that tell of the service itself."""
    about = _About(operations.cards)
    return (
        get(["/.well-known/agent-card.json", "/.well-known/agent.json"], opt=_PUBLIC)(about.card_reply),
        get(jwks.PATH, opt=_PUBLIC)(jwks.Jwks.of(keys).reply),
        get("/health")(about.health),
        get("/extensions/{name:str}/v1")(Documents(operations.cards.info.extensions).reply),
        get("/openapi.json")(Described(_service(operations)).reply),
    )


def _service(operations: Operations) -> Service:
    """Say what the OpenAPI document is about."""
    card, services = operations.cards.info, operations.services
    switched_on = {method.name for method in served(services.methods)} | ({PUSH} if services.push else set())
    switched_on |= {EXTENDED_CARD} if card.extended else set()
    versions = tuple(operations.cards.versions)
    return Service(card.title, card.version, card.description, card.public_url, versions, switched_on, card.security)


@frozen
class _About:
    """What the service says of itself."""

    cards: Cards

    async def card_reply(self, request: AnyRequest) -> Reply:
        """`GET /.well-known/agent-card.json` and, as it was called up to 0.2, `GET /.well-known/agent.json`."""
        headers, cards = request.headers, self.cards
        card = cards.public(cards.at.of(request.scope))
        return card.reply(headers.get("if-none-match"), headers.get("if-modified-since"))

    async def health(self) -> Reply:
        """`GET /health`: the process answers; of anything behind it this says nothing."""
        told: Mapping[str, Any] = {
            "status": "ok",
            "version": self.cards.info.version,
            "protocol_versions": self.cards.versions,
        }
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


def peer_of(scope: Scope) -> str:
    """Give the address a request came from, empty if the server does not say."""
    return (scope.get("client") or ("", 0))[0]


def _guard(authenticate: Authenticate) -> Guard:
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        scope = connection.scope
        if not handler.opt.get("public"):
            scope["auth"] = await authenticate(scope["headers"], peer_of(scope))

    return guard


def _record(record: AuditAccess) -> Callable[[Exception, Scope], Awaitable[None]]:
    async def refused(error: Exception, scope: Scope) -> None:
        await record.refused(scope.get("auth"), error, f"{scope.get('method', '')} {scope['path']}")

    return refused


def _tell(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Tell an error, whoever refuses: a use case, a codec or Litestar."""
    scope = request.scope
    if isinstance(error, NotFoundException):
        error = _nothing_at(scope["path"], request.app) or error
    fault = Fault.of(error)
    if fault.internal:
        _log.error("%s %s broke", scope.get("method"), scope.get("path"), exc_info=error)
    note_refusal(fault)
    told = refusal(scope["path"], fault)
    headers = {name.decode(): value.decode() for name, value in told.head(scope)}
    if isinstance(error, MethodNotAllowedException):
        headers["allow"] = ", ".join(methods_of(request.app, scope["path"]))
    return Response(told.body, status_code=told.status, media_type=told.media_type.decode(), headers=headers)


def _nothing_at(path: str, app: Litestar) -> MethodNotFound | None:
    """Say why there is nothing at a path that would be one of a tenant (A2A 1.0, 11.3), or of a version."""
    tenant, _, rest = path.lstrip("/").partition("/")
    if f"/{tenant}" == PREFIX:
        return MethodNotFound("there is nothing at this path of protocol 0.3, or that version is turned off")
    if rest and methods_of(app, f"/{rest}"):
        return MethodNotFound("this agent serves no tenants, its card names none; leave the first part of the path out")
    return None
