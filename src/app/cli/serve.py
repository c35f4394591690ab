"""`opencode-a2a-server serve` and `check`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from typing import TYPE_CHECKING

import rich_click as click
from attrs import evolve

from .exits import FAILED, USAGE, leave

if TYPE_CHECKING:
    from opencode_a2a_server.app.settings import Settings


@click.command()
@click.option(
    "--workers", type=click.IntRange(1), help="Processes that serve, more than one on PostgreSQL. Default: A2A_WORKERS."
)
def serve(workers: int | None) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings = load()  # first: what is wrong with them is told at once
    if workers is not None:
        settings = evolve(settings, server=evolve(settings.server, workers=workers))

    gc.disable()  # while modules are loaded there is no garbage, and looking for it takes a tenth of the time

    from opencode_a2a_server.app.container import problems_of
    from opencode_a2a_server.app.container import serve as serve_service

    from .logs import configure_logging

    configure_logging(settings)
    for note in settings.notes:
        logging.getLogger(__name__).warning(note)
    if problems := list(problems_of(settings)):
        leave("\n".join(problems), USAGE)
    serve_service(settings, lambda: configure_logging(settings))


@click.command()
def check() -> None:
    """Look at the settings, the store and OpenCode; exit status 0 if the service could work, 1 or 2 if not."""
    settings = load()

    from opencode_a2a_server.app.container import check as check_service
    from opencode_a2a_server.app.settings import SettingsError

    from .logs import configure_logging

    configure_logging(settings)
    try:
        problems = asyncio.run(check_service(settings))
    except SettingsError as error:
        leave(str(error), USAGE)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(FAILED)
    click.echo("ready")


def load(*, for_a_client: bool = False) -> Settings:
    """Read the settings, or leave with all that is wrong with them; see `load_settings`."""
    from opencode_a2a_server.app.settings import SettingsError, load_settings

    try:
        return load_settings(os.environ, for_a_client=for_a_client)
    except SettingsError as error:
        leave(str(error), USAGE)
