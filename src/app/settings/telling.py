"""What the service tells: in its card, by push notifications, in its log and its traces."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from .values import Secret, at_least_one, http_url, listed, not_negative, positive, setting


class SharedMetadata(Enum):
    """Who is told `metadata.shared`."""

    AUTO = "auto"
    ALWAYS = "always"
    NEGOTIATED = "negotiated"


@frozen
class CardSettings:
    """What the agent card says of the service."""

    title: str = setting("A2A_TITLE", "Name of the agent.", "OpenCode A2A")
    description: str = setting("A2A_DESCRIPTION", "What the agent is.", "OpenCode, the coding agent, over A2A")
    version: str | None = setting("A2A_VERSION", "Version of the agent. Default: that of this package.", None)
    project: str | None = setting("A2A_PROJECT", "Name of the project it works on.", None)
    documentation_url: str = setting("A2A_DOCUMENTATION_URL", "Where the agent is documented.", "", check=http_url)
    extended: bool = setting(
        "A2A_EXTENDED_CARD",
        "Whether clients who are known get the extended agent card, which says more than the public one.",
        default=True,
    )
    required_extensions: str = setting(
        "A2A_REQUIRED_EXTENSIONS",
        "URIs of extensions, separated by commas, that clients must name in `A2A-Extensions`; others are refused.",
        "",
    )

    shared_metadata: SharedMetadata = setting(
        "A2A_SHARED_METADATA",
        "Who is told `metadata.shared` in answers and streams. `auto`: clients of 0.3 all of it, as 0.2 did; those of 1.0 "
        "the usage and what describes blocks of output only if they name `urn:a2a:stream-hints/v1` in `A2A-Extensions`. "
        "`always`: everybody all of it. `negotiated`: all of it who names the extension, others nothing.",
        SharedMetadata.AUTO,
    )

    @property
    def required(self) -> tuple[str, ...]:
        """The extensions that are required."""
        return listed(self.required_extensions)

    @property
    def about(self) -> str:
        """The description, with the project if there is one."""
        return f"{self.description} (project {self.project})" if self.project else self.description


@frozen
class PushSettings:
    """Push notifications."""

    enabled: bool = setting(
        "A2A_PUSH_NOTIFICATIONS",
        "Whether tasks may be followed by push notifications: `true` or `false`.",
        True,  # noqa: FBT003 - the default
    )
    allowed_hosts: str = setting(
        "A2A_PUSH_ALLOWED_HOSTS",
        "Hosts, separated by commas, that notifications may go to wherever they are and without TLS. Others must have "
        "public addresses only, and https.",
        "",
    )
    secret: Secret | None = setting(
        "A2A_PUSH_SECRET", "Key of the signature that notifications bear. Default: they are not signed.", None
    )
    most: int = setting(
        "A2A_PUSH_MAX_CONFIGS", "Push notification configurations a task may have.", 16, check=at_least_one
    )
    timeout: float = setting(
        "A2A_PUSH_TIMEOUT_SECONDS", "Seconds for one attempt to deliver a notification.", 10.0, check=positive
    )
    bytes_most: int = setting(
        "A2A_PUSH_MAX_BYTES",
        "Bytes of one notification; a larger one goes without its content and says so.",
        4 << 20,
        check=at_least_one,
    )
    attempts: int = setting(
        "A2A_PUSH_MAX_ATTEMPTS",
        "Attempts to deliver a notification, with growing pauses; after the last one its configuration stops.",
        10,
        check=at_least_one,
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts allowed."""
        return listed(self.allowed_hosts)


class LogLevel(Enum):
    """How much is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(Enum):
    """How a log line looks."""

    CONSOLE = "console"
    JSON = "json"


@frozen
class LogSettings:
    """What is logged, to standard error."""

    level: LogLevel = setting("A2A_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR.", LogLevel.WARNING)
    format: LogFormat = setting("A2A_LOG_FORMAT", "`console` or `json`.", LogFormat.CONSOLE)
    payloads: bool = setting(
        "A2A_LOG_PAYLOADS",
        "Whether the bodies of requests and answers are logged, too, at the level DEBUG. Those of methods that bear "
        "secrets or answers are named only.",
        default=False,
    )
    body_limit: int = setting(
        "A2A_LOG_BODY_LIMIT", "Bytes of a body that are logged; 0 is the whole body.", 0, check=not_negative
    )


@frozen
class TracingSettings:
    """Traces, by OpenTelemetry."""

    wanted: bool | None = setting(
        "A2A_TRACING",
        "Whether spans are sent, to where the variables OTEL_EXPORTER_OTLP_* say. Default: if "
        "OTEL_EXPORTER_OTLP_ENDPOINT is set. Needs the extra: `pip install 'opencode-a2a-server[otel]'`.",
        None,
    )
