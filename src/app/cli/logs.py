"""How log lines look."""

from __future__ import annotations

import logging
import sys

import structlog

from opencode_a2a_server.app.settings import LogFormat, LogLevel, LogSettings


def configure_logging(settings: LogSettings) -> None:
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
