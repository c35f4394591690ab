"""`opencode-a2a-server call`: say something to an agent, and see what it does."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import rich_click as click
from attrs import evolve

from .asking import client_settings
from .exits import Leave, leave
from .live import INTERRUPTED, TERMINAL, Live

if TYPE_CHECKING:
    from opencode_a2a_server.app.settings import Settings

    from .calling import CallFailed, Credentials, Order

agent_token_option = click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False),
    help="File with the token. Default: A2A_CLIENT_BEARER_TOKEN, or its _FILE, or A2A_CLIENT_BASIC_AUTH.",
)

ca_file_option = click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    help="File with certificates of authorities to trust, besides those all clients know. Default: A2A_CLIENT_CA_FILE.",
)
binding_option = click.option(
    "--binding",
    type=click.Choice(["jsonrpc", "http+json", "grpc"]),
    help="Speak this one only. Default: what the card prefers of A2A_CLIENT_SUPPORTED_TRANSPORTS.",
)


def called_with(settings: Settings, *, ca_file: str | None = None, binding: str | None = None) -> Settings:
    """Let options take precedence over settings."""
    client = settings.client
    return evolve(
        settings,
        client=evolve(
            client,
            authorities=ca_file or client.authorities,
            transports=binding.upper() if binding else client.transports,
        ),
    )


@click.command()
@click.argument("url")
@click.argument("text")
@click.option("--task", "--task-id", default="", metavar="ID", help="Go on with a task: answer what it waits for.")
@click.option("--context", "--context-id", default="", metavar="ID", help="Begin a task in a context there is.")
@click.option("--wait/--no-wait", default=True, help="Wait for the end, or only until there is a task.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), help="Seconds to wait. Default: as long as it takes."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "jsonl"]),
    default="text",
    show_default=True,
    help="json: the task or message that came of it. jsonl: a line for each event, as it comes.",
)
@binding_option
@ca_file_option
@agent_token_option
def call(  # noqa: PLR0913 - one for each option
    *,
    url: str,
    text: str,
    task: str,
    context: str,
    wait: bool,
    timeout: float | None,
    output: str,
    binding: str | None,
    ca_file: str | None,
    token_file: str | None,
) -> None:
    """
    Say TEXT to the agent at URL, and show what it does while it does it.

    URL is the agent's, or its card's. TEXT may be - for what is on standard input. Any A2A agent is spoken to, of 1.0
    and 0.3, over JSON-RPC, HTTP+JSON or gRPC (with the extra grpc). Credentials are taken from the environment or a file,
    and given to no other server than that of URL; for gRPC that is any port of its host, with TLS if URL has it. A task
    that fails, or waits for somebody, exits with 0: that is told as its state.
    """
    from .calling import CallFailed, Credentials, Order, late

    settings = called_with(client_settings(), ca_file=ca_file, binding=binding)
    said = sys.stdin.read() if text == "-" else text
    order = Order(said, task, context, wait, timeout)
    try:
        asyncio.run(_call(url, order, Credentials.of(settings, url, token_file), settings, output))
    except CallFailed as failed:
        _leave(failed, output)
    except Leave as reason:
        _leave(CallFailed(str(reason), reason.status, "A2ACLI_ERR_USAGE"), output)
    except TimeoutError:
        _leave(late(timeout), output)


async def _call(url: str, order: Order, credentials: Credentials, settings: Settings, output: str) -> None:
    from .calling import connection, conversation, final

    live = Live(lambda text: click.echo(text, nl=False) if output == "text" else None)
    last: Mapping[str, Any] = {}
    try:
        async with asyncio.timeout(order.patience), connection(url, credentials, settings) as http:
            async for last in conversation(http, url, order, settings):
                live.show(last)
                if output == "jsonl":
                    click.echo(json.dumps(last, ensure_ascii=False))
            if output == "json":
                told = {"task": await final(http, url, live.task, settings)} if live.task else last
                click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    finally:
        if last:
            live.end()
    if live.state in INTERRUPTED:
        by = f"opencode-a2a-server call {shlex.quote(url)} --task {shlex.quote(live.task)} ANSWER"
        click.echo(f"The task waits for an answer: {by}", err=True)
    elif live.state in TERMINAL and live.state != "COMPLETED":
        click.echo(f"The task ended as {live.state}.", err=True)


def _leave(failed: CallFailed, output: str) -> NoReturn:
    if output != "text":
        click.echo(json.dumps(failed.told, ensure_ascii=False))
        sys.exit(failed.status)
    leave("\n".join(filter(None, (str(failed), failed.hint))), failed.status)
