"""
The command `opencode-a2a-server`: parses, prints, sets exit codes, decides nothing.

Commands are imported when they are called, and import what is heavy when they run: help, version and completion must
not wait for a web server and a database.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Final

import rich_click as click

COMMANDS: Final[Mapping[str, str]] = {
    "serve": ".serve:serve",
    "up": ".up:up",
    "check": ".serve:check",
    "doctor": ".doctor:doctor",
    "call": ".call:call",
    "card": ".card:card",
    "selftest": ".selftest:selftest",
    "tasks": ".tasks:tasks",
    "explain": ".explain:explain",
    "sessions": ".sessions:sessions",
    "interrupts": ".interrupts:interrupts",
    "db": ".db:db",
    "config": ".config:config",
    "deploy": ".deploy:deploy",
    "audit": ".audit:audit",
    "completion": ".completion:completion",
}
"""Where each command is, in the order in which help lists them."""


class Commands(click.RichGroup):
    """A group whose commands are imported when they are called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own
        """Name them in our order, not in the alphabet's."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's own
        """Import one."""
        return _command(cmd_name) if cmd_name in COMMANDS else None


def _command(name: str) -> click.Command:
    module, _, attribute = COMMANDS[name].partition(":")
    command: click.Command = getattr(import_module(module, __package__), attribute)
    return command


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(None, "-v", "--version", package_name="opencode-a2a-server", message="%(prog)s %(version)s")
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    help="TOML file of settings; the environment wins over it. Default: A2A_CONFIG_FILE.",
)
@click.pass_context
def main(context: click.Context, config: str | None) -> None:
    """
    Serve OpenCode as an A2A agent, look after it, and call agents.

    Settings come from the environment and one file; docs/reference/settings.md lists them. Without a command: serve.
    """
    if config is not None:
        os.environ["A2A_CONFIG_FILE"] = config
    if context.invoked_subcommand is None:
        context.invoke(_command("serve"))
