"""`opencode-a2a-server config`: what is configured, and what goes into it."""

from __future__ import annotations

import sys

import rich_click as click

from opencode_a2a_server.adapters.outbound.access.hashes import PasswordHash, TokenHash, new_token


@click.group()
def config() -> None:
    """See and check how the service is configured."""


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
