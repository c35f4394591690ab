"""What does the work."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from opencode_a2a_server.domain.session import ModelChoice, PromptOptions

from .values import Secret, http_url, not_negative, positive, setting


@frozen
class OpenCodeSettings:
    """The OpenCode that does the work."""

    url: str = setting("OPENCODE_BASE_URL", "Where `opencode serve` listens.", "http://127.0.0.1:4096", check=http_url)
    directory: str | None = setting(
        "OPENCODE_DIRECTORY",
        "The workspace: sessions work in it, or below it where a message says so. Default: the directory OpenCode was "
        "started in.",
        None,
        "OPENCODE_WORKSPACE_ROOT",
    )
    username: str = setting("OPENCODE_AUTH_USERNAME", "User name of OpenCode's own authentication.", "opencode")
    password: Secret | None = setting(
        "OPENCODE_AUTH_PASSWORD", "Its password (OpenCode calls it OPENCODE_SERVER_PASSWORD).", None
    )
    provider_id: str | None = setting(
        "OPENCODE_PROVIDER_ID", "Model provider; goes together with OPENCODE_MODEL_ID.", None
    )
    model_id: str | None = setting("OPENCODE_MODEL_ID", "Model. Default: OpenCode's own.", None)
    agent: str | None = setting("OPENCODE_AGENT", "OpenCode's agent (build, plan, ...). Default: OpenCode's own.", None)
    system: str | None = setting("OPENCODE_SYSTEM", "System prompt added to each prompt.", None)
    variant: str | None = setting("OPENCODE_VARIANT", "Model variant, such as a reasoning effort.", None)
    timeout: float = setting(
        "OPENCODE_TIMEOUT", "Seconds one call to OpenCode may take. Turns are not calls.", 120.0, check=positive
    )
    open_directories: int = setting(
        "A2A_OPEN_DIRECTORIES",
        "Directories besides its own that OpenCode keeps open for us; those unused longest are closed. 0 is no bound.",
        8,
        check=not_negative,
    )
    directory_idle: float = setting(
        "A2A_DIRECTORY_IDLE_SECONDS",
        "Seconds without use after which OpenCode is made to close a directory; 0 is never.",
        1800.0,
        check=not_negative,
    )
    abort_timeout: float = setting(
        "A2A_CANCEL_ABORT_TIMEOUT_SECONDS",
        "Seconds for an abort to show its effect, before it is sent again.",
        5.0,
        check=positive,
    )

    @property
    def root(self) -> str | None:
        """The directory, absolute."""
        return None if self.directory is None else str(Path(self.directory).absolute())

    @property
    def local(self) -> bool:
        """Whether it runs on this machine."""
        host = urlsplit(self.url).hostname or ""
        with suppress(ValueError):
            return ip_address(host).is_loopback
        return host == "localhost"

    @property
    def options(self) -> PromptOptions:
        """What accompanies each prompt."""
        model = ModelChoice(self.provider_id, self.model_id) if self.provider_id and self.model_id else None
        return PromptOptions(model, self.agent, self.system, self.variant)


@frozen
class SessionSettings:
    """Which sessions and directories clients may use."""

    directory_override: bool = setting(
        "A2A_ALLOW_DIRECTORY_OVERRIDE",
        "Whether a message may choose a directory inside the workspace (OPENCODE_DIRECTORY); false leaves the "
        "workspace itself.",
        default=True,
    )
    claimable: bool = setting(
        "A2A_ALLOW_SESSION_CLAIMS",
        "Whether a session that was begun in OpenCode itself, not by this service, may be used. It then belongs to who "
        "uses it first.",
        default=True,
    )
    claim_seconds: float = setting(
        "A2A_PENDING_SESSION_CLAIM_TTL_SECONDS",
        "Seconds for which a first use of such a session keeps others out, if it is never known how the use ended.",
        30.0,
        check=positive,
    )


@frozen
class RuntimeSettings:
    """Which runtime does the work."""

    runtime: str = setting(
        "A2A_RUNTIME", "`opencode`, `scripted`, or `package.module:factory` of an adapter of your own.", "opencode"
    )
    script: str | None = setting("A2A_SCRIPT", "File with what the scripted runtime plays. Default: it echoes.", None)
