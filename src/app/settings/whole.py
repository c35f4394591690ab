"""All settings, and what follows from several of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from attrs import asdict, field, fields, frozen, has

from .access import AuthSettings, LimitSettings, MethodSettings, SigningSettings
from .agent import OpenCodeSettings, RuntimeSettings, SessionSettings
from .calling import ClientSettings
from .network import AdminSettings, GrpcSettings, HttpSettings, ServerSettings
from .store import StoreBackend, StoreSettings
from .telling import CardSettings, LogSettings, PushSettings, TracingSettings
from .turns import InterruptSettings, TurnSettings
from .values import Secret, joined

_OTLP: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Who sets one of these wants traces."""


@frozen
class Settings:
    """All settings."""

    server: ServerSettings = field(factory=ServerSettings)
    grpc: GrpcSettings = field(factory=GrpcSettings)
    http: HttpSettings = field(factory=HttpSettings)
    auth: AuthSettings = field(factory=AuthSettings)
    limits: LimitSettings = field(factory=LimitSettings)
    opencode: OpenCodeSettings = field(factory=OpenCodeSettings)
    session: SessionSettings = field(factory=SessionSettings)
    turn: TurnSettings = field(factory=TurnSettings)
    interrupts: InterruptSettings = field(factory=InterruptSettings)
    store: StoreSettings = field(factory=StoreSettings)
    card: CardSettings = field(factory=CardSettings)
    methods: MethodSettings = field(factory=MethodSettings)
    push: PushSettings = field(factory=PushSettings)
    signing: SigningSettings = field(factory=SigningSettings)
    client: ClientSettings = field(factory=ClientSettings)
    admin: AdminSettings = field(factory=AdminSettings)
    log: LogSettings = field(factory=LogSettings)
    tracing: TracingSettings = field(factory=TracingSettings)
    runtime: RuntimeSettings = field(factory=RuntimeSettings)
    environment: Mapping[str, str] = field(factory=dict, repr=False)
    """The environment as it was, for runtimes which have settings of their own."""
    origins: Mapping[str, str] = field(factory=dict, repr=False)
    """Where what was given is from, by the variable's name."""
    notes: tuple[str, ...] = ()
    """What the operator should know although it stops nothing."""

    @property
    def grpc_address(self) -> str:
        """Where gRPC is listened for; empty if it is off."""
        return joined(self.grpc.host or self.server.host, self.grpc.port) if self.grpc.port else ""

    @property
    def grpc_public_address(self) -> str:
        """Where clients reach gRPC; empty if it is off."""
        if not self.grpc.port:
            return ""
        if self.grpc.public_address:
            return self.grpc.public_address
        host = urlsplit(self.server.public_url or "").hostname
        return joined(host, self.grpc.port) if host else self.grpc_address

    @property
    def on_postgres(self) -> bool:
        """Whether the store is a database that several processes may share."""
        return (self.database_url or "").startswith(("postgres:", "postgresql:", "postgresql+"))

    @property
    def traced(self) -> bool:
        """Whether spans are sent."""
        if self.tracing.wanted is not None:
            return self.tracing.wanted
        return any(self.environment.get(name) for name in _OTLP)

    @property
    def secrets(self) -> frozenset[str]:
        """All that no log line may have."""
        secrets = {str(value) for group in _groups(self) for value in _secrets_of(group)}
        secrets |= {part for secret in tuple(secrets) for part in _parts_of(secret)}
        urls = filter(None, (self.store.url, self.opencode.url))
        return frozenset(secrets.union(password for url in urls if (password := _password_in(url))))

    @property
    def database_url(self) -> str | None:
        """The store's URL, None to keep tasks in memory."""
        if self.store.backend is StoreBackend.MEMORY:
            return None
        if self.store.url is not None:
            return self.store.url
        home = self.environment.get("STATE_DIRECTORY", "").split(":")[0]
        state = Path(self.environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        folder = Path(home) if home else state / "opencode-a2a-server"
        return f"sqlite+aiosqlite:///{folder}/tasks-{self.server.port}.db"


def _groups(settings: Settings) -> Iterator[Any]:
    for known in fields(Settings):
        group = getattr(settings, known.name)
        if has(type(group)):
            yield group


def _secrets_of(group: Any) -> Iterator[Secret]:
    for value in asdict(group, recurse=False).values():
        if isinstance(value, Secret):
            yield value


def _parts_of(secret: str) -> Iterator[str]:
    """Give the secrets in one that is a JSON array of them, as A2A_STATIC_AUTH_CREDENTIALS is."""
    with suppress(ValueError):
        listed = json.loads(secret)
        for one in listed if isinstance(listed, list) else ():
            named = one if isinstance(one, dict) else {}
            yield from (value for key in ("token", "password") if isinstance(value := named.get(key), str))


def _password_in(url: str) -> str:
    with suppress(ValueError):
        return unquote(urlsplit(url).password or "")
    return ""
