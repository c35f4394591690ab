"""OpenCode: whether it answers, to whom, and whether its clock goes like ours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from opencode_a2a_server.app.container import probe
from opencode_a2a_server.app.settings import OpenCodeSettings, Settings

from .finding import Finding, fail, ok, warn

_SECONDS: Final = 4.0
_SLOW: Final = 1.0
_SKEW: Final = 30.0
_BORN: Final = 1_735_689_600
"""The first of January 2025: who thinks it is earlier has no clock."""


async def runtime(settings: Settings) -> Sequence[Finding]:
    """Look whether the runtime answers as it should."""
    name = settings.runtime.runtime
    begun = time.monotonic()
    readiness = await probe(settings)
    seconds = time.monotonic() - begun
    if not readiness.ready:
        return [fail("upstream", f"{name} is not ready", readiness.remedy)]
    says = f"{name} {readiness.version} answers within {seconds * 1000:.0f} ms"
    if seconds > _SLOW:
        return [warn("upstream", says, "it is slow: look at its machine, and what else it does")]
    return [ok("upstream", says)]


async def exposure(settings: Settings) -> Sequence[Finding]:
    """Look who else may use OpenCode."""
    if settings.runtime.runtime != "opencode":
        return []
    open_to_all = await _answers_anybody(settings.opencode.url)
    if open_to_all is None:
        return [ok("exposure", "not looked at: OpenCode does not answer")]
    return [exposed(settings.opencode, open_to_all=open_to_all)]


def exposed(opencode: OpenCodeSettings, *, open_to_all: bool) -> Finding:
    """Judge who may use an OpenCode that asks for a password, or does not."""
    remedy = "start it with OPENCODE_SERVER_PASSWORD, and give OPENCODE_AUTH_PASSWORD"
    if open_to_all and not opencode.local:
        return fail("exposure", f"OpenCode at {opencode.url} takes orders of anybody on the network", remedy)
    if open_to_all:
        return warn("exposure", "OpenCode takes orders of every user of this machine", remedy)
    if not opencode.local and not opencode.url.startswith("https:"):
        says = f"its password, and all that is said, goes to {opencode.url} unencrypted"
        return warn("exposure", says, "let OpenCode listen on loopback beside the service, or put TLS in between")
    return ok("exposure", "OpenCode asks others for a password")


async def _answers_anybody(url: str) -> bool | None:
    """Say whether it answers who has no password; None if it does not answer."""
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as http:
            answer = await http.get(f"{url.rstrip('/')}/path")
    except httpx.HTTPError:
        return None
    return answer.is_success


async def clock(settings: Settings) -> Sequence[Finding]:
    """Look whether the clock can be right."""
    remedy = "set it, and let it be kept (chrony, systemd-timesyncd): tokens, signatures and deadlines depend on it"
    if time.time() < _BORN:
        return [fail("clock", "the clock of this machine is years behind", remedy)]
    theirs = await _time_at(settings)
    if theirs is None:
        return [ok("clock", "nothing to compare it with")]
    skew = abs(time.time() - theirs)
    if skew > _SKEW:
        return [warn("clock", f"it differs by {skew:.0f} seconds from that of OpenCode's machine", remedy)]
    return [ok("clock", "it agrees with that of OpenCode's machine")]


async def _time_at(settings: Settings) -> float | None:
    if settings.runtime.runtime != "opencode":
        return None
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as http:
            answer = await http.get(f"{settings.opencode.url.rstrip('/')}/path")
        return parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (httpx.HTTPError, KeyError, ValueError):
        return None
