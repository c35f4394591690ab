"""
A request to OpenCode and its whole answer, over the network or over a transport of httpx's.

Over the network straight by aiohttp: to make httpx's objects of each request and each answer costs as much again, and two
calls are a third of what a short turn costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

import aiohttp
import httpx
from attrs import define, field, frozen
from httpx_aiohttp.transport import map_aiohttp_exceptions


class Answer(Protocol):
    """What an answer is looked at for; httpx's is one."""

    @property
    def status_code(self) -> int:
        """The status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, in whatever case they are asked for."""
        ...

    @property
    def content(self) -> bytes:
        """The body, as it came."""
        ...

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        ...


@frozen
class Request:
    """What is asked. `read` is how long the answer may take to go on, `patience` how long all else may take."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    patience: float
    read: float


class Exchange(Protocol):
    """A way to OpenCode."""

    async def __call__(self, request: Request) -> Answer:
        """
        Ask, and read the answer to its end.

        Raises:
            httpx.HTTPError: There is none.

        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@frozen
class OverHttpx:
    """By a transport of httpx's."""

    transport: httpx.AsyncBaseTransport

    async def __call__(self, request: Request) -> Answer:
        """Ask."""
        # Waiting for a free connection is our queue, not OpenCode's fault: no bound on it.
        timeout = {"connect": request.patience, "read": request.read, "write": request.patience, "pool": None}
        asked = httpx.Request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.content,
            extensions={"timeout": timeout},
        )
        response = await self.transport.handle_async_request(asked)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response

    async def close(self) -> None:
        """Close it."""
        await self.transport.aclose()


@frozen
class _Answer:
    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")


@define(eq=False)
class OverAiohttp:
    """By aiohttp, over so many connections at once. What goes over loopback is shown to no proxy."""

    connections: int
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    async def __call__(self, request: Request) -> Answer:
        """Ask."""
        if self._session is None:  # here, since it belongs to the loop that runs
            connector = aiohttp.TCPConnector(limit=self.connections)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        with map_aiohttp_exceptions():
            async with self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.content,
                allow_redirects=False,
                auto_decompress=False,
                timeout=_timeout(request.patience, request.read),
            ) as response:
                return _Answer(response.status, response.headers, await response.read())

    async def close(self) -> None:
        """Close them."""
        if self._session is not None:
            await self._session.close()


@lru_cache(maxsize=16)
def _timeout(patience: float, read: float) -> aiohttp.ClientTimeout:
    # Waiting for a free connection is our queue, not OpenCode's fault: no bound on it.
    return aiohttp.ClientTimeout(total=None, sock_connect=patience, sock_read=read)
