"""The log of the command."""

from __future__ import annotations

from opencode_a2a_server.adapters.outbound.logs import Look, configure
from opencode_a2a_server.app.settings import LogFormat, Settings


def configure_logging(settings: Settings) -> None:
    """Send every log line, of ours and of libraries, to standard error in one form, without secrets."""
    log = settings.log
    configure(Look(log.level.value, json=log.format is LogFormat.JSON), settings.secrets)
