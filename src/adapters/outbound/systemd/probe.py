"""Whether an instance is ready, asked as its clients ask: with credentials."""

from __future__ import annotations

import httpx

from opencode_a2a_server.domain.instance import Instance

_SECONDS = 10.0
_TOLD = 1000
"""How much of an answer is passed on."""


def complaint(instance: Instance, admin_url: str, token: str, password: str) -> str:
    """Give what is wrong with one of its halves, or nothing. What is secret is never in it."""
    # trust_env: a proxy of the administrator's is not for loopback addresses.
    with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
        return (
            _of_opencode(client, instance, password)
            or _of_service(client, instance, token)
            or _of_readiness(client, admin_url)
        )


def _of_opencode(client: httpx.Client, instance: Instance, password: str) -> str:
    try:
        answer = client.get(f"{instance.upstream_url}/global/health", auth=("opencode", password))
    except httpx.HTTPError as error:
        return f"OpenCode does not answer at {instance.upstream_url} ({type(error).__name__} {error})"
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return "OpenCode does not take its password: another one may listen there"
    if answer.status_code != httpx.codes.OK or "json" not in answer.headers.get("content-type", ""):
        return f"OpenCode answers with status {answer.status_code}"
    return ""


def _of_service(client: httpx.Client, instance: Instance, token: str) -> str:
    headers = {"authorization": f"Bearer {token}", "a2a-version": "1.0"}
    try:
        for path in ("/.well-known/agent-card.json", "/tasks?pageSize=1"):
            answer = client.get(instance.url + path, headers=headers)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                return "the service does not take its token: another one may listen there"
            if answer.status_code != httpx.codes.OK:
                return f"the service answers {path} with status {answer.status_code}"
    except httpx.HTTPError as error:
        return f"the service does not answer at {instance.url} ({type(error).__name__} {error})"
    return ""


def _of_readiness(client: httpx.Client, url: str) -> str:
    """Ask the service whether it has OpenCode and its store: what answers can be without either."""
    try:
        answer = client.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return f"the service does not say at {url} whether it is ready ({type(error).__name__} {error})"
    return "" if answer.status_code == httpx.codes.OK else f"the service is not ready: {answer.text[:_TOLD]}"
