"""The command `opencode-a2a-server`: parses, prints, sets exit codes, decides nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import NoReturn

import rich_click as click
import structlog

from opencode_a2a_server.app.container import VERSION, problems_of
from opencode_a2a_server.app.container import check as check_service
from opencode_a2a_server.app.container import serve as serve_service
from opencode_a2a_server.app.settings import LogFormat, LogLevel, LogSettings, Settings, SettingsError, load_settings

from .db import db
from .interrupts import interrupts

EXIT_NOT_READY = 1
EXIT_SETTINGS = 2


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, "-v", "--version", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """
    Serve OpenCode as an A2A agent.

    Settings come from the environment; docs/reference/settings.md lists them. Without a command: serve.
    """
    if context.invoked_subcommand is None:
        context.invoke(serve)


main.add_command(db)
main.add_command(interrupts)


@main.command()
def serve() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings = _settings()
    _configure_logging(settings.log)
    for note in settings.notes:
        logging.getLogger(__name__).warning(note)
    if problems := list(problems_of(settings)):
        _refuse(problems)
    serve_service(settings, lambda: _configure_logging(settings.log))


@main.command()
def check() -> None:
    """Look at the settings, the store and OpenCode; exit status 0 if the service could work, 1 or 2 if not."""
    settings = _settings()
    _configure_logging(settings.log)
    try:
        problems = asyncio.run(check_service(settings))
    except SettingsError as error:
        _refuse(error.problems)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(EXIT_NOT_READY)
    click.echo("ready")


def _settings() -> Settings:
    try:
        return load_settings(os.environ)
    except SettingsError as error:
        _refuse(error.problems)


def _refuse(problems: list[str]) -> NoReturn:
    for problem in problems:
        click.echo(problem, err=True)
    sys.exit(EXIT_SETTINGS)


def _configure_logging(settings: LogSettings) -> None:
    """Send every log line, of ours and of libraries, to standard error in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    renderer: structlog.typing.Processor
    if settings.format is LogFormat.JSON:
        renderer = structlog.processors.JSONRenderer()
        shared.append(structlog.processors.format_exc_info)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.level.value, force=True)
    if settings.level is not LogLevel.DEBUG:
        for chatty in ("httpx", "alembic", "aiosqlite"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
