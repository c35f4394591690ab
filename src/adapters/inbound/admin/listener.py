"""
The listener for whoever looks after the service: `/livez`, `/readyz` and `/metrics`, without the clients' credentials.

It runs in the loop that does the work: `/livez` answering at all is what it says. It is never on the port that clients
use, so that what is told here is told to nobody else.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, TypeAlias

from aiohttp import web
from attrs import frozen

from opencode_a2a_server.app.usecases.check_readiness import CheckReadiness

Exposed: TypeAlias = tuple[bytes, str]
"""The metrics, and their media type."""
Expose: TypeAlias = Callable[[str], Exposed]
"""Gives the metrics to who accepts such media types."""

_GRACE: Final = 1.0
"""Seconds for who is being answered when the service ends."""
_NOT_KEPT: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class PortTaken(Exception):
    """The address cannot be listened on."""


@frozen
class Admin:
    """What is answered."""

    ready: CheckReadiness
    expose: Expose

    @property
    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/livez", self.livez),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
        ]

    async def livez(self, _request: web.Request) -> web.Response:
        """`GET /livez`: the loop turns. One that answers not should be restarted."""
        return _json({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.Response:
        """`GET /readyz`: whether new work can be done, and of what hinders it what to do about it."""
        checked = self.ready()
        told = {
            "status": "ready" if checked.ready else "not ready",
            "checks": {
                name: {"status": "ok"} if not trouble else {"status": "failed", "reason": trouble}
                for name, trouble in checked.troubles.items()
            },
        }
        return _json(told, HTTPStatus.OK if checked.ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, request: web.Request) -> web.Response:
        """`GET /metrics`."""
        body, media_type = self.expose(request.headers.get("accept", ""))
        return web.Response(body=body, headers={"content-type": media_type, **_NOT_KEPT})


def _json(told: object, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(text=json.dumps(told), status=status, content_type="application/json", headers=_NOT_KEPT)


@asynccontextmanager
async def serving(admin: Admin, host: str, port: int) -> AsyncIterator[int]:
    """
    Listen for as long as the body runs; gives the port.

    Raises:
        PortTaken: The address cannot be listened on.

    """
    app = web.Application()
    app.add_routes(admin.routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise PortTaken(f"{host} port {port} cannot be listened on ({error})") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
