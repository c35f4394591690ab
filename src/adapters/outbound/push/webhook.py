"""
Notifications as HTTP requests (A2A 1.0, 4.3.3).

Requests go straight to the transport: it follows no redirect, keeps no cookie and asks no proxy. The address is put
into the url and the host's name into the TLS handshake, so that the address which was checked is the one that is
called and its certificate must be the host's. No connection is kept: it would be found by its address, and serve
another host of the same address unchecked.
"""

from __future__ import annotations

import hmac
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from http import HTTPStatus
from typing import Final, TypeAlias

import httpx
from attrs import define, field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.notifier import Undelivered
from opencode_a2a_server.app.ports.tracer import UNTRACED, Fact, Tracer, Work
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.push import PushConfig, Words

from .guard import Forbidden, Guard, Target

_CONNECTIONS: Final = 100
"""As many as are used at once, if `PushPace.at_once` is left as it is."""
_MEDIA_TYPES: Final[Mapping[Words, str]] = {Words.V1_0: "application/a2a+json", Words.V0_3: "application/json"}
"""The latter is what the SDKs of 0.3 post; web frameworks read nothing else as JSON unless told to."""
_TOKEN: Final = "x-a2a-notification-jwt"  # noqa: S105 - a header's name
"""Bears the token where `Authorization` is taken by what the receiver asked for."""

Sign: TypeAlias = Callable[[str, bytes], str]
"""Gives the token of a notification, by its name and its body."""


@frozen
class Proof:
    """What shows a receiver that a notification is from here."""

    secret: str | None = field(default=None, repr=False)
    """Shared with all receivers: the key of an HMAC."""
    sign: Sign | None = None
    """Signs with a key of our own."""


@define(eq=False)
class Webhook:
    """The port `Notifier`."""

    guard: Guard
    clock: Clock
    transport: httpx.AsyncBaseTransport
    patience: float = 10.0
    """Seconds to look a host up, to connect, to send or to be answered."""
    proof: Proof = field(factory=Proof)
    tracer: Tracer = UNTRACED

    @classmethod
    @asynccontextmanager
    async def open(  # noqa: PLR0913 - what it is made of, each by its name
        cls,
        guard: Guard,
        clock: Clock,
        *,
        patience: float = 10.0,
        proof: Proof | None = None,
        verify: ssl.SSLContext | None = None,
        tracer: Tracer = UNTRACED,
    ) -> AsyncIterator[Webhook]:
        """Open one for as long as the body runs."""
        transport = httpx.AsyncHTTPTransport(
            verify=verify or ssl.create_default_context(),
            trust_env=False,
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=0),
        )
        async with transport:
            yield cls(guard, clock, transport, patience, proof or Proof(), tracer)

    async def check(self, config: PushConfig) -> None:
        """
        Refuse a url that is not called.

        A host that cannot be found now is taken: it may be there when there is something to tell.

        Raises:
            InvalidRequest: It is not called.

        """
        target = self.guard.target(config.url)
        try:
            await self.clock.within(self.patience, self.guard.addresses(target))
        except Forbidden as error:
            raise InvalidRequest(str(error), "url") from error
        except (Undelivered, TimeoutError):
            return

    async def deliver(self, config: PushConfig, name: str, body: bytes) -> None:
        """
        Post a notification.

        Raises:
            Undelivered: It was answered otherwise than with 2xx, or not at all.

        """
        try:
            target = self.guard.target(config.url)
        except InvalidRequest as refused:  # the operator may have shortened the list of allowed hosts
            raise Undelivered(str(refused), final=True) from refused
        addresses = await self.guard.addresses(target)
        headers = {"host": target.url.netloc.decode("ascii"), **self._headers(config, name, body)}
        status = await self._post_to_any(target, addresses, headers, body)
        if not HTTPStatus(200) <= status < HTTPStatus(300):
            too_large = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise Undelivered(f"the receiver answered {status}", final=status == HTTPStatus.GONE, too_large=too_large)

    async def _post_to_any(self, target: Target, addresses: Sequence[str], headers: dict[str, str], body: bytes) -> int:
        """Post to the first address that can be reached; gives the status."""
        reason: Exception | None = None
        for address in addresses:
            try:
                return await self._post(target, address, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                reason = error
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise Undelivered(f"{type(error).__name__}: {error}") from error
        raise Undelivered(f"{target.host} cannot be reached: {reason}") from reason

    async def _post(self, target: Target, address: str, headers: dict[str, str], body: bytes) -> int:
        """Post to one address. The answer's body is not read: nothing in it is wanted."""
        request = httpx.Request(
            "POST",
            target.url.copy_with(host=address, fragment=None),
            headers=headers,
            content=body,
            extensions={
                "sni_hostname": target.host.strip("[]"),
                "timeout": httpx.Timeout(self.patience).as_dict(),
            },
        )
        with self.tracer.begin(Work.CALL, "POST") as span:
            request.headers.update(span.headers)
            response = await self.transport.handle_async_request(request)
            await response.aclose()
            span.tell(Fact.STATUS, response.status_code)
        return response.status_code

    def _headers(self, config: PushConfig, name: str, body: bytes) -> dict[str, str]:
        headers = {
            "content-type": _MEDIA_TYPES[config.words],
            "user-agent": "opencode-a2a-server",
            "a2a-version": config.words.value,
            "x-a2a-notification-id": name,
        }
        if config.token:
            headers["x-a2a-notification-token"] = config.token
        if config.credentials:
            headers["authorization"] = f"{config.scheme} {config.credentials}"
        if self.proof.sign is not None:
            token = self.proof.sign(name, body)
            headers |= {_TOKEN: token} if config.credentials else {"authorization": f"Bearer {token}"}
        if self.proof.secret:
            headers["x-a2a-signature"] = signature(self.proof.secret, int(self.clock.now()), body)
        return headers


def signature(secret: str, at: int, body: bytes) -> str:
    """Sign a body together with the time: who keeps an old notification cannot send it again as a new one."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, sha256).hexdigest()
    return f"t={at},v1={digest}"
