"""All settings, and what follows from several of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen

from .access import AuthSettings, LimitSettings, MethodSettings, SigningSettings
from .agent import OpenCodeSettings, RuntimeSettings, SessionSettings
from .calling import ClientSettings
from .network import GrpcSettings, HttpSettings, ServerSettings
from .store import StoreBackend, StoreSettings
from .telling import CardSettings, LogSettings, PushSettings
from .turns import InterruptSettings, TurnSettings
from .values import joined


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
    log: LogSettings = field(factory=LogSettings)
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
