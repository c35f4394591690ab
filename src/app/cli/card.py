"""`opencode-a2a-server card`: agents' cards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from .asking import client_settings
from .call import agent_token_option, ca_file_option, called_with
from .exits import FAILED, Leave, leave
from .live import clean

if TYPE_CHECKING:
    import httpx
    from a2a.types import AgentCard

    from opencode_a2a_server.app.settings import Settings

_T = TypeVar("_T")

_output = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.group()
def card() -> None:
    """See and verify the cards of agents."""


@card.command()
@click.argument("url")
@ca_file_option
@agent_token_option
@_output
def get(url: str, ca_file: str | None, token_file: str | None, output: str) -> None:
    """Get the card of the agent at URL, which may be the card's own."""
    from google.protobuf.json_format import MessageToDict

    from .calling import fetch_card

    fetched = _asked(url, ca_file, token_file, lambda http, settings: fetch_card(http, url, settings))
    if output == "json":
        click.echo(json.dumps(MessageToDict(fetched), ensure_ascii=False, indent=2))
        return
    for label, value in _fields(fetched):
        click.echo(f"{label}: {clean(value)}")


@card.command()
@click.argument("url")
@click.option(
    "--jwks", help="URL or file of the keys that you trust. Default: where a signature says, if on URL's server."
)
@ca_file_option
@agent_token_option
@_output
def verify(url: str, jwks: str | None, ca_file: str | None, token_file: str | None, output: str) -> None:
    """
    Verify the signatures of the card of the agent at URL.

    Each signature is told; one that is right is enough, without any the exit status is 1. Keys from the agent's own
    server only prove that the card is what that server says; give --jwks to know more.
    """
    from .verifying import judge

    verdicts = _asked(url, ca_file, token_file, lambda http, settings: judge(http, url, settings, jwks))
    right = any(one.right for one in verdicts)
    if output == "json":
        told = [{"kid": one.kid, "alg": one.algorithm, "right": one.right, "says": one.says} for one in verdicts]
        click.echo(json.dumps({"verified": right, "signatures": told}, ensure_ascii=False))
    else:
        for one in verdicts:
            click.echo(f"{'right' if one.right else 'wrong'}  {one.algorithm:6}  {clean(one.kid)}  {clean(one.says)}")
    if not right:
        leave("no signature of the card is right" if verdicts else "the card is not signed", FAILED)


def _fields(fetched: AgentCard) -> list[tuple[str, str]]:
    fields = [("Name", fetched.name), ("Description", fetched.description), ("Version", fetched.version)]
    fields += [
        ("Interface", f"{one.url} {one.protocol_binding} {one.protocol_version}")
        for one in fetched.supported_interfaces
    ]
    offered = fetched.capabilities
    names = {
        "streaming": offered.streaming,
        "push notifications": offered.push_notifications,
        "extended card": offered.extended_agent_card,
    }
    fields.append(("Capabilities", ", ".join(name for name, there in names.items() if there) or "none"))
    fields += [("Extension", one.uri + (" (required)" if one.required else "")) for one in offered.extensions]
    fields += [("Skill", f"{one.id}: {one.name}") for one in fetched.skills]
    return [*fields, ("Signatures", str(len(fetched.signatures)))]


def _asked(
    url: str,
    ca_file: str | None,
    token_file: str | None,
    ask: Callable[[httpx.AsyncClient, Settings], Coroutine[Any, Any, _T]],
) -> _T:
    from .calling import Credentials, connection

    settings = called_with(client_settings(), ca_file=ca_file)

    async def work() -> _T:
        async with connection(url, Credentials.of(settings, url, token_file), settings) as http:
            return await ask(http, settings)

    try:
        return asyncio.run(work())
    except Leave as reason:
        leave(str(reason), reason.status)
