"""Where the service is reached: its port, its URL, its card."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography import x509

from opencode_a2a_server.app.cli.trust import UNTRUSTED_HINT, authorities, untrusted
from opencode_a2a_server.app.settings import Settings

from .finding import Finding, fail, ok, warn

_SECONDS: Final = 4.0
_CARD: Final = "/.well-known/agent-card.json"
_SOON: Final = timedelta(days=14)


class _NoCard(Exception):
    """There is no agent card; why."""


async def certificate(settings: Settings) -> Sequence[Finding]:
    """Look how long the certificate is good that is served with."""
    path = settings.server.certificate
    if path is None:
        return [ok("certificate", "there is none: TLS is not served here")]
    return [_goodness(path)]


def _goodness(path: str) -> Finding:
    try:
        found = x509.load_pem_x509_certificates(Path(path).read_bytes())[0]
    except (OSError, ValueError) as error:
        return fail("certificate", f"{path} cannot be read: {error}", "correct A2A_TLS_CERT_FILE")
    now, end = datetime.now(UTC), found.not_valid_after_utc
    if not found.not_valid_before_utc <= now < end:
        says = f"{path} is good from {found.not_valid_before_utc:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC only"
        return fail("certificate", says, "renew it, and restart the service")
    if end - now < _SOON:
        says = f"{path} is good until {end:%Y-%m-%d %H:%M} UTC only"
        return warn("certificate", says, "renew it, and restart the service")
    return ok("certificate", f"{path} is good until {end:%Y-%m-%d}")


async def service(settings: Settings) -> Sequence[Finding]:
    """Look whether the port is free or the service's own, and whether clients get where the card sends them."""
    if not settings.server.port:
        return [ok("port", "the system chooses one")]
    if not _listening(settings):
        return [_free(settings), ok("card", "not looked at: the service does not run")]
    here = _here(settings)
    async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False, verify=_its_own(settings)) as http:
        try:
            await _card(http, here)
        except _NoCard as reason:
            says = f"something else than this service listens on {here}: {reason}"
            return [fail("port", says, "end it, or give another A2A_PORT")]
        ours = await _ours(http, here, settings)
    async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False, verify=authorities(settings)) as http:
        return [ours, await _reached(http, settings)]


def _its_own(settings: Settings) -> ssl.SSLContext:
    """Trust the service's own certificate and no other, whatever name it is called by here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority's
    if settings.server.certificate:
        with contextlib.suppress(OSError, ssl.SSLError):  # told by another finding
            context.load_verify_locations(cafile=settings.server.certificate)
    return context


def _here(settings: Settings) -> str:
    host = settings.server.host
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - looked at, not bound
    scheme = "https" if settings.server.certificate else "http"
    return f"{scheme}://{f'[{reachable}]' if ':' in reachable else reachable}:{settings.server.port}"


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


async def _card(http: httpx.AsyncClient, url: str) -> Mapping[str, Any]:
    """
    Get the card.

    Raises:
        _NoCard: There is none.

    """
    try:
        told = (await http.get(url + _CARD)).json()
    except (httpx.HTTPError, ValueError) as error:
        raise _NoCard(str(error) or type(error).__name__) from error
    if not isinstance(told, dict) or "supportedInterfaces" not in told:
        raise _NoCard("it has no agent card")
    return told


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
    try:
        card = await _card(http, public)
    except _NoCard as reason:
        says = f"the agent card cannot be read at {public}, where clients look for it: {reason}"
        if untrusted(str(reason)):
            return fail("card", says, UNTRUSTED_HINT)
        return fail("card", says, "correct A2A_PUBLIC_URL, or the proxy, name or firewall in between")
    elsewhere = [url for url in _urls(card) if not url.startswith(public)]
    if elsewhere:
        says = f"the card at {public} sends clients to {', '.join(sorted(set(elsewhere)))}"
        return warn("card", says, "restart the service, or correct A2A_PUBLIC_URL; another service may answer there")
    return ok("card", f"{public}{_CARD} is there and right")


def _urls(card: Mapping[str, Any]) -> list[str]:
    return [str(one["url"]) for one in card["supportedInterfaces"] if one.get("protocolBinding") != "GRPC"]
