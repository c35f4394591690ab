"""Where the service is reached: its port, its URL, its card."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from opencode_a2a_server.app.settings import Settings

from .finding import Finding, fail, ok, warn

_SECONDS: Final = 4.0
_CARD: Final = "/.well-known/agent-card.json"


async def service(settings: Settings) -> Sequence[Finding]:
    """Look whether the port is free or the service's own, and whether clients get where the card sends them."""
    if not settings.server.port:
        return [ok("port", "the system chooses one")]
    here = _here(settings)
    async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as http:
        if not _listening(settings):
            return [_free(settings), ok("card", "not looked at: the service does not run")]
        card = await _card(http, here)
        if card is None:
            says = f"something else than this service listens on {here}"
            return [fail("port", says, "end it, or give another A2A_PORT")]
        return [await _ours(http, here, settings), await _reached(http, settings)]


def _here(settings: Settings) -> str:
    host = settings.server.host
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - looked at, not bound
    return (
        f"http://[{reachable}]:{settings.server.port}"
        if ":" in reachable
        else f"http://{reachable}:{settings.server.port}"
    )


def _listening(settings: Settings) -> bool:
    host = httpx.URL(_here(settings)).host
    with contextlib.suppress(OSError), socket.create_connection((host, settings.server.port), timeout=1):
        return True
    return False


def _free(settings: Settings) -> Finding:
    host, port = settings.server.host, settings.server.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return fail("port", f"{host}:{port} cannot be listened on: {error}", "give another A2A_HOST or A2A_PORT")
    return ok("port", f"{host}:{port} is free")


async def _card(http: httpx.AsyncClient, url: str) -> Mapping[str, Any] | None:
    try:
        told = (await http.get(url + _CARD)).json()
    except (httpx.HTTPError, ValueError):
        return None
    return told if isinstance(told, dict) and "supportedInterfaces" in told else None


async def _ours(http: httpx.AsyncClient, url: str, settings: Settings) -> Finding:
    token = settings.auth.bearer_token
    if not token:
        return ok("port", f"an A2A service listens on {url}")
    call = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {"pageSize": 1}}
    headers = {"authorization": f"Bearer {token}", "a2a-version": "1.0"}
    answer = await http.post(url, json=call, headers=headers)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        says = f"the A2A service on {url} does not take the token of these settings"
        return fail("port", says, "if it is this one, restart it with these settings; else give another A2A_PORT")
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return fail("port", f"the service on {url} answers {answer.status_code}", "look at its log")
    return ok("port", f"the service runs on {url} and takes the token")


async def _reached(http: httpx.AsyncClient, settings: Settings) -> Finding:
    public = settings.server.url
    card = await _card(http, public)
    if card is None:
        says = f"the agent card cannot be read at {public}, where clients look for it"
        return fail("card", says, "correct A2A_PUBLIC_URL, or the proxy, name or firewall in between")
    elsewhere = [url for url in _urls(card) if not url.startswith(public)]
    if elsewhere:
        says = f"the card at {public} sends clients to {', '.join(sorted(set(elsewhere)))}"
        return warn("card", says, "restart the service, or correct A2A_PUBLIC_URL; another service may answer there")
    return ok("card", f"{public}{_CARD} is there and right")


def _urls(card: Mapping[str, Any]) -> list[str]:
    return [str(one["url"]) for one in card["supportedInterfaces"] if one.get("protocolBinding") != "GRPC"]
