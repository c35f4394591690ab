"""`opencode-a2a-server config`: what is configured, and what goes into it."""

from __future__ import annotations

import json
import sys

import rich_click as click

from opencode_a2a_server.adapters.outbound.access.hashes import PasswordHash, TokenHash, new_token

from .exits import USAGE, leave
from .serve import load


@click.group()
def config() -> None:
    """See and check how the service is configured."""


@config.command()
def check() -> None:
    """Check the settings and the files they name, without looking at anything else; exit status 2 if they are no good."""
    settings = load()

    from opencode_a2a_server.app.container import problems_of

    if problems := list(problems_of(settings)):
        leave("\n".join(problems), USAGE)
    for note in settings.notes:
        click.echo(note, err=True)
    click.echo("the settings are good")


@config.command()
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--all", "everything", is_flag=True, help="Show defaults, too.")
def show(output: str, *, everything: bool) -> None:
    """Show the settings and where each is from; what is secret is not shown."""
    from opencode_a2a_server.app.settings import shown

    rows = [row for row in shown(load()) if everything or row[2] != "default"]
    if output == "json":
        told = [{"name": name, "value": value, "origin": origin} for name, value, origin in rows]
        click.echo(json.dumps(told, indent=2))
        return
    for name, value, origin in rows:
        click.echo(f"{name}={value}  # {origin}")


@config.command("hash-token")
@click.option("--password", is_flag=True, help="Hash a password, which is asked for, instead of a token.")
@click.option("--stdin", is_flag=True, help="Read the token or password from standard input instead of making one.")
def hash_token(*, password: bool, stdin: bool) -> None:
    """Make a random token and print it with its hash, for a file of credentials. The token is shown this once."""
    given = sys.stdin.readline().rstrip("\n") if stdin else ""
    if password:
        given = given or click.prompt("Password", hide_input=True, confirmation_prompt=True)
        click.echo(f'password = "{PasswordHash.of(given.encode())}"')
        return
    token = given or new_token()
    if not given:
        click.echo(token, err=True)
    click.echo(f'token = "{TokenHash.of(token.encode())}"')
