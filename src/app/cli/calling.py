"""Calling any A2A agent, of 1.0 and 0.3, with the SDK's client."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from a2a.client import (
    A2ACardResolver,
    A2AClientError,
    AgentCardResolutionError,
    Client,
    ClientCallContext,
    ClientConfig,
    ClientFactory,
)
from a2a.types import (
    AgentCard,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
)
from a2a.utils.errors import A2AError
from attrs import field, frozen
from google.protobuf.json_format import MessageToDict

from opencode_a2a_server.app.settings import Settings

from .channels import GRPC, NoGrpc, have_grpc, host_of, is_here, open_channel
from .client import STREAM_HINTS, token_in
from .exits import FAILED, TIMEOUT, UNAUTHENTICATED, UNREACHABLE, USAGE, Leave
from .live import INTERRUPTED, TERMINAL, short
from .trust import UNTRUSTED_HINT, authorities, untrusted

CARD_PATH: Final = "/.well-known/agent-card.json"
_OLD_CARD_PATH: Final = "/.well-known/agent.json"
_POLL_SECONDS: Final = 2.0
_AUTH_FAILED: Final = "A2ACLI_ERR_AUTH_FAILED"
_AUTH_HINT: Final = "give credentials by A2A_CLIENT_BEARER_TOKEN, A2A_CLIENT_BEARER_TOKEN_FILE or --token-file"
_REFUSED: Final = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


class CallFailed(Leave):
    """An agent cannot be called, or refuses; `code` as the A2A command line specification names it."""

    def __init__(self, message: str, status: int = FAILED, code: str = "A2ACLI_ERR_INTERNAL", hint: str = "") -> None:
        super().__init__(message, status)
        self.code = code
        self.hint = hint

    @property
    def told(self) -> Mapping[str, Any]:
        """As JSON."""
        return {"error": {"code": self.code, "message": str(self), "hint": self.hint or None, "a2aCode": None}}


def late(seconds: float | None) -> CallFailed:
    """Say that it took too long."""
    return CallFailed(f"not done within {seconds:g} seconds; what was begun goes on", TIMEOUT, "A2ACLI_ERR_TIMEOUT")


@frozen
class Credentials:
    """What to call an agent with: the value of its `Authorization`."""

    header: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: Settings, url: str, token_file: str | None) -> Self:
        """
        Choose them; the service's own token is for the service itself.

        Raises:
            CallFailed: The file cannot be read.

        """
        client = settings.client
        if token_file is not None:
            try:
                return cls(f"Bearer {token_in(token_file)}")
            except (OSError, UnicodeDecodeError) as error:
                raise CallFailed(str(error), USAGE, "A2ACLI_ERR_USAGE") from error
        if client.bearer_token:
            return cls(f"Bearer {client.bearer_token}")
        if client.basic_auth:
            text = str(client.basic_auth)
            return cls("Basic " + (base64.b64encode(text.encode()).decode() if ":" in text else text))
        if settings.auth.bearer_token and origin(url) == origin(settings.server.url):
            return cls(f"Bearer {settings.auth.bearer_token}")
        return cls()


def origin(url: str) -> tuple[str, str, int | None]:
    """Give what two URLs of one server have in common."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, (parts.hostname or "").lower(), port or {"http": 80, "https": 443}.get(parts.scheme)


@asynccontextmanager
async def connection(url: str, credentials: Credentials, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open connections to an agent; what is on this machine is not behind a proxy."""
    if origin(url)[0] not in ("http", "https") or not origin(url)[1]:
        raise CallFailed(f"{url} is no URL of an agent: it begins with http:// or https://", USAGE, "A2ACLI_ERR_USAGE")
    headers = {} if credentials.header is None else {"authorization": credentials.header}
    timeout = httpx.Timeout(settings.client.timeout, read=None)
    trust = authorities(settings)
    async with httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=not is_here(url), verify=trust) as http:
        yield http


async def fetch_card(http: httpx.AsyncClient, url: str, settings: Settings) -> AgentCard:
    """
    Get an agent's card, by its URL or that of the agent.

    Raises:
        CallFailed: There is none, or it cannot be used.

    """
    path = urlsplit(url).path
    if path.endswith(".json"):
        base, paths = url[: url.rindex(path)], [path]
    else:
        base, paths = url, [CARD_PATH, _OLD_CARD_PATH]
    failures: list[AgentCardResolutionError] = []
    for one in paths:
        try:
            wait = {"timeout": settings.client.card_timeout}
            return await A2ACardResolver(http, base, one).get_agent_card(http_kwargs=wait)
        except AgentCardResolutionError as error:
            failures.append(error)
            if error.status_code != httpx.codes.NOT_FOUND:
                break
        except (ValueError, RecursionError) as error:  # what is no text of JSON, or none that can be read
            says = f"what {url} has for a card is none: {error}"
            raise CallFailed(says, FAILED, "A2ACLI_ERR_CARD_INVALID") from error
    raise _no_card(url, failures[0]) from failures[0]


def _no_card(url: str, failure: AgentCardResolutionError) -> CallFailed:
    if failure.status_code in _REFUSED:
        return CallFailed(f"{url} does not give its card: {failure.status_code}", UNAUTHENTICATED, _AUTH_FAILED)
    if isinstance(failure.__cause__, httpx.RequestError):
        reason = str(failure.__cause__) or type(failure.__cause__).__name__
        hint = UNTRUSTED_HINT if untrusted(reason) else ""
        return CallFailed(f"{url} cannot be reached: {reason}", UNREACHABLE, "A2ACLI_ERR_UNREACHABLE", hint)
    if failure.status_code is not None:
        says = f"there is no agent card at {url}: {failure.status_code}"
        return CallFailed(says, UNREACHABLE, "A2ACLI_ERR_CARD_NOT_FOUND")
    return CallFailed(f"what {url} has for a card is none: {failure}", FAILED, "A2ACLI_ERR_CARD_INVALID")


@frozen
class Order:
    """What is said to whom."""

    text: str
    task: str = ""
    context: str = ""
    wait: bool = True
    patience: float | None = None
    """Seconds until it is given up; None for no end."""


async def conversation(
    http: httpx.AsyncClient,
    url: str,
    order: Order,
    settings: Settings,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncIterator[Mapping[str, Any]]:
    """
    Say something, and give what comes of it until nothing more does: A2A's StreamResponses as JSON.

    Raises:
        CallFailed: The agent cannot be called, or refuses.

    """
    card = await fetch_card(http, url, settings)
    client = _client(http, url, card, settings, streaming=order.wait)
    task, state = "", ""
    try:
        try:
            with _told_errors(url, http):
                async for answer in client.send_message(_request(order), context=_context(http)):
                    told = MessageToDict(answer)
                    task, state = _standing(told, task, state)
                    yield told
        except CallFailed as lost:
            if not task or lost.status != UNREACHABLE:
                raise  # else the stream broke, and the task goes on
        while task and order.wait and state not in (*TERMINAL, *INTERRUPTED):
            await pause(_POLL_SECONDS)
            with _told_errors(url, http):
                asked = client.get_task(GetTaskRequest(id=task), context=_context(http))
                told = {"task": MessageToDict(await asked)}
            task, state = _standing(told, task, state)
            yield told
    finally:
        await client.close()


async def final(http: httpx.AsyncClient, url: str, task: str, settings: Settings) -> Mapping[str, Any]:
    """Get a task as it is now."""
    card = await fetch_card(http, url, settings)
    client = _client(http, url, card, settings, streaming=False)
    try:
        with _told_errors(url, http):
            return MessageToDict(await client.get_task(GetTaskRequest(id=task), context=_context(http)))
    finally:
        await client.close()


def _context(http: httpx.AsyncClient) -> ClientCallContext:
    """Say to gRPC what headers say to HTTP."""
    told = {name: http.headers[name] for name in ("authorization", "a2a-extensions") if name in http.headers}
    return ClientCallContext(service_parameters=told)


def _client(http: httpx.AsyncClient, url: str, card: AgentCard, settings: Settings, *, streaming: bool) -> Client:
    near = [one for one in card.supported_interfaces if near_to(url, one.protocol_binding, one.url)]
    if "authorization" in http.headers:
        if not near:
            elsewhere = ", ".join(sorted({one.url for one in card.supported_interfaces})) or "nowhere"
            says = f"the card at {url} sends to {elsewhere}; credentials for one are not given to another"
            raise CallFailed(says, hint="name that URL itself if you trust it")
        kept = AgentCard()
        kept.CopyFrom(card)
        del kept.supported_interfaces[:]
        kept.supported_interfaces.extend(near)
        card = kept
    if any(extension.uri == STREAM_HINTS for extension in card.capabilities.extensions):
        http.headers["a2a-extensions"] = STREAM_HINTS
    config = ClientConfig(
        streaming=streaming,
        httpx_client=http,
        grpc_channel_factory=lambda address: open_channel(url, address, settings),
        supported_protocol_bindings=_spoken(url, card, settings),
        use_client_preference=settings.client.own_preference,
    )
    try:
        return ClientFactory(config).create(card)
    except ValueError as error:
        raise CallFailed(f"{url} speaks nothing that is spoken here: {error}") from error


def near_to(url: str, binding: str, place: str) -> bool:
    """Whether an interface is on the server of a URL: by gRPC that is the same host, since its port must be another."""
    return host_of(place) == origin(url)[1] if binding == GRPC else origin(place) == origin(url)


def _spoken(url: str, card: AgentCard, settings: Settings) -> list[str]:
    """
    Give the bindings that can be spoken.

    Raises:
        NoGrpc: That would be gRPC alone, which is not installed.

    """
    wanted = settings.client.bindings
    if have_grpc():
        return [*wanted]
    without = [binding for binding in wanted if binding != GRPC]
    offered = {one.protocol_binding for one in card.supported_interfaces}
    if GRPC in wanted and GRPC in offered and offered.isdisjoint(without):
        raise NoGrpc(url)
    return without


def _request(order: Order) -> SendMessageRequest:
    message = Message(
        message_id=str(uuid4()),
        role=Role.ROLE_USER,
        parts=[Part(text=order.text)],
        task_id=order.task,
        context_id=order.context,
    )
    return SendMessageRequest(
        message=message, configuration=SendMessageConfiguration(return_immediately=not order.wait)
    )


def _standing(told: Mapping[str, Any], task: str, state: str) -> tuple[str, str]:
    if found := told.get("task"):
        return found["id"], short(found.get("status", {}).get("state", ""))
    if update := told.get("statusUpdate"):
        return update["taskId"], short(update.get("status", {}).get("state", ""))
    if update := told.get("artifactUpdate"):
        return update["taskId"], state
    return task, state


@contextmanager
def _told_errors(url: str, http: httpx.AsyncClient) -> Iterator[None]:
    """Make what the SDK raises ours."""
    try:
        yield
    except A2AError as error:
        raise _failed(url, error, known="authorization" in http.headers) from error


def _failed(url: str, error: A2AError, *, known: bool) -> CallFailed:
    """Say what a call came to; `known` is whether credentials were given."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code in _REFUSED:
        return _unauthenticated(url, str(cause.response.status_code), known=known)
    if code := _grpc_code(cause):
        return _refused_by_grpc(url, error, code, known=known)
    if isinstance(cause, httpx.TimeoutException):
        return CallFailed(f"{url} did not answer in time", TIMEOUT, "A2ACLI_ERR_TIMEOUT")
    if isinstance(cause, httpx.RequestError):
        reason = str(cause) or type(cause).__name__
        return CallFailed(f"{url} cannot be reached: {reason}", UNREACHABLE, "A2ACLI_ERR_UNREACHABLE")
    return _said_by_the_agent(error)


def _unauthenticated(url: str, says: str, *, known: bool) -> CallFailed:
    if not known:
        return CallFailed(f"{url} wants credentials", UNAUTHENTICATED, "A2ACLI_ERR_CREDENTIALS_MISSING", _AUTH_HINT)
    return CallFailed(f"{url} does not take the credentials: {says}", UNAUTHENTICATED, _AUTH_FAILED, _AUTH_HINT)


def _said_by_the_agent(error: A2AError) -> CallFailed:
    if isinstance(error, A2AClientError):
        return CallFailed(str(error))
    return CallFailed(str(error), code=type(error).__name__)


def _grpc_code(cause: Any) -> str:
    """Name the status a call of gRPC came to; the class itself is there only with the extra."""
    if cause is None or not type(cause).__module__.startswith("grpc"):
        return ""
    return str(cause.code().name)


def _refused_by_grpc(url: str, error: A2AError, code: str, *, known: bool) -> CallFailed:
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return _unauthenticated(url, str(error), known=known)
    if code == "UNAVAILABLE":
        hint = UNTRUSTED_HINT if untrusted(str(error)) else ""
        return CallFailed(f"{url} cannot be reached: {error}", UNREACHABLE, "A2ACLI_ERR_UNREACHABLE", hint)
    if code == "DEADLINE_EXCEEDED":
        return CallFailed(f"{url} did not answer in time", TIMEOUT, "A2ACLI_ERR_TIMEOUT")
    return _said_by_the_agent(error)
