"""`opencode-a2a-server completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

from typing import Final

import rich_click as click

_PROGRAM: Final = "opencode-a2a-server"
_VARIABLE: Final = "_OPENCODE_A2A_SERVER_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """
    Print what completes commands and options in a shell.

    bash: `eval "$(opencode-a2a-server completion bash)"` in ~/.bashrc; zsh the same in ~/.zshrc; fish:
    `opencode-a2a-server completion fish > ~/.config/fish/completions/opencode-a2a-server.fish`.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is not None:  # pragma: no branch - click has all three
        click.echo(kind(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())
