"""What commands have in common that ask a running service: where it is, who asks, and what is said if it does not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import rich_click as click

from .exits import USAGE, Leave, leave
from .serve import load

if TYPE_CHECKING:
    from opencode_a2a_server.app.settings import Settings

    from .client import Service

_T = TypeVar("_T")

url_option = click.option(
    "--url", help="Where the service listens. Default: A2A_PUBLIC_URL, else A2A_HOST and A2A_PORT."
)
token_file_option = click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False),
    help="File with the token. Default: A2A_BEARER_TOKEN, or A2A_BEARER_TOKEN_FILE.",
)


def ask_service(ask: Callable[[Service], _T], url: str | None, token_file: str | None) -> _T:
    """Ask the service, and leave with the exit status that fits if that fails."""
    service = _service(url, token_file)
    try:
        with service:
            return ask(service)
    except Leave as reason:
        leave(str(reason), reason.status)


def client_settings() -> Settings:
    """Read the settings as a client does: variables that nobody knows are named, and no reason to stop."""
    settings = load(for_a_client=True)
    for note in settings.notes:
        click.echo(f"note: {note}", err=True)
    return settings


def _service(url: str | None, token_file: str | None) -> Service:
    from .client import Service, token_in
    from .trust import NoAuthority, authorities

    settings = client_settings()
    try:
        token = token_in(token_file) if token_file is not None else settings.auth.bearer_token
        trust = authorities(settings)
    except (NoAuthority, OSError, UnicodeDecodeError) as error:
        leave(str(error), USAGE)
    if not token:
        leave("no token: give A2A_BEARER_TOKEN, A2A_BEARER_TOKEN_FILE or --token-file", USAGE)
    return Service((url or settings.server.url).rstrip("/"), token, trust=trust)
