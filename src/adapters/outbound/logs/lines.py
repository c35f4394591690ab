"""The lines of the log: those of ours and of libraries, in one form, to standard error, without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import IO, Final

import structlog
from attrs import frozen

from .redaction import Redaction

_CHATTY: Final = ("httpx", "alembic", "aiosqlite", "aiohttp", "asyncio", "opentelemetry")


@frozen
class Look:
    """How lines look, and which there are."""

    level: str = "WARNING"
    json: bool = False


def configure(look: Look, secrets: Iterable[str], stream: IO[str] | None = None) -> None:
    """Send every log line there, whoever writes it; what ends the program unexpectedly, too."""
    out = sys.stderr if stream is None else stream
    handler = _Handler(out)
    handler.setFormatter(_Lines(look, Redaction.of(secrets), colors=out.isatty()))
    logging.basicConfig(handlers=[handler], level=look.level, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _last_words
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.NOTSET if look.level == "DEBUG" else logging.WARNING)


class _Lines(structlog.stdlib.ProcessorFormatter):
    """Formats records; the last thing that is done to a line is to take the secrets out."""

    def __init__(self, look: Look, redaction: Redaction, *, colors: bool) -> None:
        shared: list[structlog.typing.Processor] = [
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ExtraAdder(),
        ]
        renderer: structlog.typing.Processor
        if look.json:
            shared.append(structlog.processors.format_exc_info)
            renderer = structlog.processors.JSONRenderer()
        else:
            # Not the pretty traceback: it shows variables, and breaks secrets over lines.
            renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        super().__init__(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction(super().format(record))


class _Handler(logging.StreamHandler[IO[str]]):
    """Writes lines; of one that cannot be written it says no more than where it was to be: it may hold anything."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        kind = sys.exc_info()[0]
        reason = kind.__name__ if kind is not None else "an error"
        sys.stderr.write(f"a log line of {record.pathname}:{record.lineno} cannot be written: {reason}\n")


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what ends the program: by itself Python would print it as it is."""
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("opencode_a2a_server").critical("ended by an error", exc_info=(kind, error, trace))
