"""Foreign errors become ours here, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from opencode_a2a_server.domain.errors import AgentFault, AgentRefused, AgentUnreachable

_QUOTED = 300
"""Characters of a foreign answer that an error of ours may quote."""


@contextmanager
def reaching(what: str) -> Iterator[None]:
    """
    Map what httpx raises while it talks to OpenCode.

    Raises:
        AgentUnreachable: No connection, no answer in time, or one that broke off; worth another try.

    """
    try:
        yield
    except httpx.TimeoutException as error:
        # The transport says of a connection that broke off that it was not made in time.
        if error.__cause__ is not None and not isinstance(error.__cause__, TimeoutError):
            raise AgentUnreachable(f"OpenCode broke the connection off ({what}: {error.__cause__})") from error
        raise AgentUnreachable(f"OpenCode did not answer in time ({what}: {type(error).__name__})") from error
    except httpx.HTTPError as error:
        raise AgentUnreachable(f"OpenCode cannot be reached ({what}: {str(error) or type(error).__name__})") from error


def check_answer(response: httpx.Response, what: str) -> None:
    """
    Refuse an answer that is none: an error status, or a page where JSON was due.

    OpenCode answers unknown paths with 200 and its web page, so the content type decides.

    Raises:
        AgentUnreachable: 502, 503, 504: something before OpenCode, or OpenCode while it starts.
        AgentRefused: Any other error status.
        AgentFault: Success, but no JSON.

    """
    status = response.status_code
    if status in (502, 503, 504):
        raise AgentUnreachable(f"OpenCode is not ready ({what}: {status})")
    if status == httpx.codes.UNAUTHORIZED:
        raise AgentRefused(
            "OpenCode asks for a password: set OPENCODE_AUTH_PASSWORD to its OPENCODE_SERVER_PASSWORD "
            "(and OPENCODE_AUTH_USERNAME if it is not opencode)",
            status,
        )
    if status == httpx.codes.METHOD_NOT_ALLOWED:
        raise AgentRefused(f"this OpenCode speaks another dialect ({what}: 405); OpenCode 1.x is needed", status)
    if status >= httpx.codes.BAD_REQUEST:
        raise AgentRefused(f"OpenCode refused ({what}: {status} {response.text[:_QUOTED]})", status)
    if status == httpx.codes.NO_CONTENT:
        return
    if not response.headers.get("content-type", "").startswith("application/json"):
        raise AgentFault(f"OpenCode answered with something else than JSON ({what}); does it know this path?")
