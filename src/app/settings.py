"""
Settings: one frozen class per concern, read from the environment once, here and nowhere else.

The reference in docs/reference/settings.md is written from these classes. Names of opencode-a2a-server 0.2 keep their
meaning. A name that is almost one of ours stops the start: what is misspelt must not be silently without effect.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
from attrs import field, frozen
from cattrs import BaseValidationError, Converter, transform_error

from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.ports.retention import Keeping
from opencode_a2a_server.app.usecases.accept_message import ToWorking
from opencode_a2a_server.domain.interrupt import Action
from opencode_a2a_server.domain.session import ModelChoice, PromptOptions
from opencode_a2a_server.domain.turn import Limits

_T = TypeVar("_T")
_HOST = re.compile(r"(\*\.)?([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]]+):[0-9]{1,5}")


class SettingsError(Exception):
    """The settings cannot be used; each problem names the variable and what to do about it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Secret(str):
    """A string that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(****)"


class LogLevel(Enum):
    """How much is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class SharedMetadata(Enum):
    """Who is told `metadata.shared`."""

    ALWAYS = "always"
    NEGOTIATED = "negotiated"


class LogFormat(Enum):
    """How a log line looks."""

    CONSOLE = "console"
    JSON = "json"


class StoreBackend(Enum):
    """Where tasks are kept."""

    DATABASE = "database"
    MEMORY = "memory"


def _setting(name: str, doc: str, default: _T, *also: str, check: Callable[[Any], str] | None = None) -> _T:
    """Declare one setting: its variable (and other names for it), what it means, and its default."""
    made: _T = field(default=default, metadata={"names": (name, *also), "doc": doc, "check": check})
    return made


def _positive(value: float | None) -> str:
    return "" if value is None or value > 0 else "must be greater than 0"


def _not_negative(value: float) -> str:
    return "" if value >= 0 else "must not be negative"


def _no_allowance(value: Action) -> str:
    return "a question cannot be allowed: reject or ask" if value is Action.ALLOW_ONCE else ""


def _at_least_one(value: int) -> str:
    return "" if value >= 1 else "must be at least 1"


def _port(value: int) -> str:
    return "" if 0 <= value <= 65535 else "must be a port, 0 to 65535"  # noqa: PLR2004


def _http_url(value: str | None) -> str:
    return "" if not value or value.startswith(("http://", "https://")) else "must begin with http:// or https://"


def _address(value: str | None) -> str:
    return "" if not value or _ADDRESS.fullmatch(value) else "must be host:port, without http://"


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _origins(text: str) -> str:
    for one in _listed(text):
        if one != "*" and not _ORIGIN.fullmatch(one):
            return f"{one} is no origin: write scheme, host and port only, as in https://app.example, or *"
    return ""


def _hosts(text: str) -> str:
    for one in _listed(text):
        if not _HOST.fullmatch(one):
            return f"{one} is no host: write a name with or without a port, as in agent.example or *.example"
    return ""


@frozen
class ServerSettings:
    """Where the service listens."""

    host: str = _setting("A2A_HOST", "Address to listen on.", "127.0.0.1")
    port: int = _setting("A2A_PORT", "Port to listen on.", 8000, check=_port)
    public_url: str | None = _setting(
        "A2A_PUBLIC_URL",
        "The service's URL as clients reach it; goes into the agent card. Default: made of host and port.",
        None,
        check=_http_url,
    )
    max_body: int = _setting(
        "A2A_MAX_REQUEST_BODY_BYTES",
        "Largest request taken, in bytes; larger ones are answered 413.",
        1_048_576,
        check=_positive,
    )
    keep_alive: float = _setting(
        "A2A_KEEP_ALIVE_SECONDS",
        "Silence on a stream after which a comment is sent. The Python SDK's clients give up after 5 seconds.",
        3.0,
        check=_positive,
    )
    v03: bool = _setting(
        "A2A_ENABLE_V03",
        "Whether protocol 0.3 is served beside 1.0, on the same port and the same tasks.",
        default=True,
    )
    drain: float = _setting(
        "A2A_DRAIN_SECONDS",
        "After SIGTERM, time for running turns to end. What is left is taken up by the next start.",
        10.0,
        check=_positive,
    )

    @property
    def versions(self) -> tuple[str, ...]:
        """The protocol versions to serve, the preferred one first."""
        return ("1.0", "0.3") if self.v03 else ("1.0",)

    @property
    def url(self) -> str:
        """The URL clients reach the service by."""
        return (self.public_url or f"http://{_joined(self.host, self.port)}").rstrip("/")


@frozen
class GrpcSettings:
    """The gRPC binding."""

    port: int = _setting(
        "A2A_GRPC_PORT",
        "Port to serve gRPC on, besides HTTP; 0: none. Needs the extra: `pip install 'opencode-a2a-server[grpc]'`.",
        0,
        check=_port,
    )
    host: str | None = _setting("A2A_GRPC_HOST", "Address to listen on for gRPC. Default: A2A_HOST.", None)
    public_address: str | None = _setting(
        "A2A_GRPC_PUBLIC_ADDRESS",
        "`host:port` as clients reach gRPC; goes into the agent card. Default: the host of A2A_PUBLIC_URL, else the one "
        "listened on, and the port.",
        None,
        check=_address,
    )


@frozen
class HttpSettings:
    """How HTTP is spoken, to browsers above all."""

    allowed_origins: str = _setting(
        "A2A_ALLOWED_ORIGINS",
        "Origins, separated by commas, whose pages may call: `https://app.example`, or `*` for all. That of "
        "A2A_PUBLIC_URL always may; requests of others are refused.",
        "",
        check=_origins,
    )
    allowed_hosts: str = _setting(
        "A2A_ALLOWED_HOSTS",
        "Names, separated by commas, that the `Host` of a request may have: exact or `*.suffix`. Default: any.",
        "",
        check=_hosts,
    )
    gzip_minimum: int = _setting(
        "A2A_HTTP_GZIP_MINIMUM_SIZE",
        "Bytes from which on an answer is compressed for clients that take it. Streams never are.",
        8192,
        check=_not_negative,
    )

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins allowed."""
        return _listed(self.allowed_origins)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts allowed."""
        return _listed(self.allowed_hosts)


@frozen
class AuthSettings:
    """Who may ask."""

    bearer_token: Secret | None = _setting(
        "A2A_BEARER_TOKEN",
        "The token clients send as `Authorization: Bearer …`. Required: without it the service does not start.",
        None,
    )


@frozen
class OpenCodeSettings:
    """The OpenCode that does the work."""

    url: str = _setting(
        "OPENCODE_BASE_URL", "Where `opencode serve` listens.", "http://127.0.0.1:4096", check=_http_url
    )
    directory: str | None = _setting(
        "OPENCODE_DIRECTORY",
        "The workspace: sessions work in it, or below it where a message says so. Default: the directory OpenCode was "
        "started in.",
        None,
        "OPENCODE_WORKSPACE_ROOT",
    )
    username: str = _setting("OPENCODE_AUTH_USERNAME", "User name of OpenCode's own authentication.", "opencode")
    password: Secret | None = _setting(
        "OPENCODE_AUTH_PASSWORD", "Its password (OpenCode calls it OPENCODE_SERVER_PASSWORD).", None
    )
    provider_id: str | None = _setting(
        "OPENCODE_PROVIDER_ID", "Model provider; goes together with OPENCODE_MODEL_ID.", None
    )
    model_id: str | None = _setting("OPENCODE_MODEL_ID", "Model. Default: OpenCode's own.", None)
    agent: str | None = _setting(
        "OPENCODE_AGENT", "OpenCode's agent (build, plan, ...). Default: OpenCode's own.", None
    )
    system: str | None = _setting("OPENCODE_SYSTEM", "System prompt added to each prompt.", None)
    variant: str | None = _setting("OPENCODE_VARIANT", "Model variant, such as a reasoning effort.", None)
    timeout: float = _setting(
        "OPENCODE_TIMEOUT", "Seconds one call to OpenCode may take. Turns are not calls.", 120.0, check=_positive
    )
    open_directories: int = _setting(
        "A2A_OPEN_DIRECTORIES",
        "Directories besides its own that OpenCode keeps open for us; those unused longest are closed. 0 is no bound.",
        8,
        check=_not_negative,
    )
    directory_idle: float = _setting(
        "A2A_DIRECTORY_IDLE_SECONDS",
        "Seconds without use after which OpenCode is made to close a directory; 0 is never.",
        1800.0,
        check=_not_negative,
    )
    abort_timeout: float = _setting(
        "A2A_CANCEL_ABORT_TIMEOUT_SECONDS",
        "Seconds for an abort to show its effect, before it is sent again.",
        5.0,
        check=_positive,
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

    directory_override: bool = _setting(
        "A2A_ALLOW_DIRECTORY_OVERRIDE",
        "Whether a message may choose a directory inside the workspace (OPENCODE_DIRECTORY); false leaves the "
        "workspace itself.",
        default=True,
    )
    claimable: bool = _setting(
        "A2A_ALLOW_SESSION_CLAIMS",
        "Whether a session that was begun in OpenCode itself, not by this service, may be used. It then belongs to who "
        "uses it first.",
        default=True,
    )
    claim_seconds: float = _setting(
        "A2A_PENDING_SESSION_CLAIM_TTL_SECONDS",
        "Seconds for which a first use of such a session keeps others out, if it is never known how the use ended.",
        30.0,
        check=_positive,
    )


@frozen
class TurnSettings:
    """How far one turn may go (0 means no bound), and what follows it."""

    steps: int = _setting("A2A_TURN_MAX_STEPS", "Calls of the model in one turn, sub-agents included.", 500)
    seconds: float = _setting(
        "A2A_TURN_MAX_SECONDS",
        "Length of a turn in seconds, without the time somebody's answer is awaited.",
        14_400.0,
        "OPENCODE_TIMEOUT_STREAM",
    )
    output_bytes: int = _setting("A2A_TURN_MAX_OUTPUT_BYTES", "Characters of output in one turn.", 67_108_864)
    to_working: ToWorking = _setting(
        "A2A_MESSAGES_TO_WORKING",
        "What becomes of a message to a task that works on another: reject, or queue for the task's next turn.",
        ToWorking.REJECT,
    )
    changes_bytes: int = _setting(
        "A2A_CHANGES_MAX_BYTES",
        "Bytes of the patch that a turn which changed files ends with; 0 tells no changes.",
        262_144,
        check=_not_negative,
    )
    cost: float = _setting("A2A_TURN_MAX_COST", "Cost of one task, in OpenCode's currency (US dollars).", 0.0)

    @property
    def limits(self) -> Limits:
        """The same as the domain has it."""
        return Limits(
            steps=self.steps or None,
            output_bytes=self.output_bytes or None,
            cost=self.cost or None,
            seconds=self.seconds or None,
        )


@frozen
class InterruptSettings:
    """How permissions and questions are answered when nobody does, and who may answer without being asked."""

    ttl: float = _setting(
        "A2A_INTERRUPT_REQUEST_TTL_SECONDS",
        "How long a permission or a question waits for its answer; 0 waits for ever.",
        10_800.0,
        check=_not_negative,
    )
    permission: Action = _setting(
        "A2A_INTERRUPT_PERMISSION_DEFAULT",
        "What becomes of a permission then: `reject`, `allow-once`, or `ask`, which waits on.",
        Action.REJECT,
    )
    question: Action = _setting(
        "A2A_INTERRUPT_QUESTION_DEFAULT",
        "What becomes of a question then: `reject`, or `ask`, which waits on.",
        Action.REJECT,
        check=_no_allowance,
    )
    tombstone: float = _setting(
        "A2A_INTERRUPT_REQUEST_TOMBSTONE_TTL_SECONDS",
        "How long after its end an interrupt is known by its request id alone: the same answer is the same result, "
        "another one is refused with the reason. Later there is no such interrupt.",
        600.0,
        check=_not_negative,
    )
    policy: str | None = _setting(
        "A2A_INTERRUPT_POLICY_FILE", "TOML file of rules that decide without asking anybody.", None
    )
    audit: str | None = _setting(
        "A2A_AUDIT_FILE",
        "File that who answered what is appended to, a JSON object a line. Default: the log, by the logger `audit`.",
        None,
    )


@frozen
class StoreSettings:
    """Where tasks are kept."""

    backend: StoreBackend = _setting(
        "A2A_TASK_STORE_BACKEND", "`database`, or `memory` (everything is forgotten at the end).", StoreBackend.DATABASE
    )
    url: str | None = _setting(
        "A2A_TASK_STORE_DATABASE_URL",
        "`sqlite+aiosqlite:///` and a path, or `postgresql+asyncpg://user:password@host/name` (extra `postgres`). "
        "Default: a file named after the port in $STATE_DIRECTORY, else in $XDG_STATE_HOME/opencode-a2a-server "
        "(~/.local/state/opencode-a2a-server).",
        None,
    )
    stream_hours: float = _setting(
        "A2A_RETENTION_STREAM_HOURS",
        "Hours from a task's end for which its stream can be resumed; then only the task, whole, is kept. 0 is for ever.",
        24.0,
        check=_not_negative,
    )
    days: float = _setting(
        "A2A_RETENTION_DAYS",
        "Days from a task's end for which it is kept. 0 is for ever.",
        0.0,
        check=_not_negative,
    )
    tasks: int = _setting(
        "A2A_RETENTION_TASKS",
        "Ended tasks that are kept, those which began last. 0 is no bound.",
        0,
        check=_not_negative,
    )
    size: int = _setting(
        "A2A_RETENTION_BYTES",
        "Bytes the store may use; beyond, ended tasks go, those which began first before others. 0 is no bound.",
        0,
        check=_not_negative,
    )

    @property
    def keeping(self) -> Keeping:
        """The same as rules."""
        return Keeping(self.stream_hours * 3600, self.days * 86_400, self.tasks, self.size)


@frozen
class CardSettings:
    """What the agent card says of the service."""

    title: str = _setting("A2A_TITLE", "Name of the agent.", "OpenCode A2A")
    description: str = _setting("A2A_DESCRIPTION", "What the agent is.", "OpenCode, the coding agent, over A2A")
    version: str | None = _setting("A2A_VERSION", "Version of the agent. Default: that of this package.", None)
    project: str | None = _setting("A2A_PROJECT", "Name of the project it works on.", None)
    documentation_url: str = _setting("A2A_DOCUMENTATION_URL", "Where the agent is documented.", "", check=_http_url)
    required_extensions: str = _setting(
        "A2A_REQUIRED_EXTENSIONS",
        "URIs of extensions, separated by commas, that clients must name in `A2A-Extensions`; others are refused.",
        "",
    )

    shared_metadata: SharedMetadata = _setting(
        "A2A_SHARED_METADATA",
        "Who is told `metadata.shared` in answers and streams: `always` everybody, as 0.2 did, or `negotiated`: clients "
        "that name `urn:a2a:stream-hints/v1` in `A2A-Extensions`.",
        SharedMetadata.ALWAYS,
    )

    @property
    def unasked(self) -> bool:
        """Whether clients are told metadata that they did not ask for."""
        return self.shared_metadata is SharedMetadata.ALWAYS

    @property
    def required(self) -> tuple[str, ...]:
        """The extensions that are required."""
        return _listed(self.required_extensions)

    @property
    def about(self) -> str:
        """The description, with the project if there is one."""
        return f"{self.description} (project {self.project})" if self.project else self.description


@frozen
class MethodSettings:
    """Extension methods that are dangerous: what each of these lets anybody do who may ask at all."""

    shell: bool = _setting(
        "A2A_ENABLE_SESSION_SHELL",
        "Whether `opencode.sessions.shell` runs commands in OpenCode's shell, without a permission being asked.",
        default=False,
    )
    workspaces: bool = _setting(
        "A2A_ENABLE_WORKSPACE_MUTATIONS",
        "Whether `opencode.workspaces.*` and `opencode.worktrees.*` make, reset and remove them.",
        default=False,
    )
    delete: bool = _setting(
        "A2A_ENABLE_SESSION_DELETE", "Whether `opencode.sessions.delete` deletes sessions for good.", default=False
    )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What is switched on."""
        switched = {
            Capability.SESSION_SHELL: self.shell,
            Capability.WORKSPACE_MUTATION: self.workspaces,
            Capability.SESSION_DELETE: self.delete,
        }
        return frozenset(capability for capability, on in switched.items() if on)

    @property
    def switches(self) -> Mapping[Capability, str]:
        """How each is switched on."""
        return {
            Capability.SESSION_SHELL: "A2A_ENABLE_SESSION_SHELL=true",
            Capability.WORKSPACE_MUTATION: "A2A_ENABLE_WORKSPACE_MUTATIONS=true",
            Capability.SESSION_DELETE: "A2A_ENABLE_SESSION_DELETE=true",
        }


@frozen
class PushSettings:
    """Push notifications."""

    enabled: bool = _setting(
        "A2A_PUSH_NOTIFICATIONS",
        "Whether tasks may be followed by push notifications: `true` or `false`.",
        True,  # noqa: FBT003 - the default
    )
    allowed_hosts: str = _setting(
        "A2A_PUSH_ALLOWED_HOSTS",
        "Hosts, separated by commas, that notifications may go to wherever they are and without TLS. Others must have "
        "public addresses only, and https.",
        "",
    )
    secret: Secret | None = _setting(
        "A2A_PUSH_SECRET", "Key of the signature that notifications bear. Default: they are not signed.", None
    )
    most: int = _setting(
        "A2A_PUSH_MAX_CONFIGS", "Push notification configurations a task may have.", 16, check=_at_least_one
    )
    timeout: float = _setting(
        "A2A_PUSH_TIMEOUT_SECONDS", "Seconds for one attempt to deliver a notification.", 10.0, check=_positive
    )
    bytes_most: int = _setting(
        "A2A_PUSH_MAX_BYTES",
        "Bytes of one notification; a larger one goes without its content and says so.",
        4 << 20,
        check=_at_least_one,
    )
    attempts: int = _setting(
        "A2A_PUSH_MAX_ATTEMPTS",
        "Attempts to deliver a notification, with growing pauses; after the last one its configuration stops.",
        10,
        check=_at_least_one,
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts allowed."""
        return _listed(self.allowed_hosts)


@frozen
class SigningSettings:
    """What the service signs with."""

    key: Secret | None = _setting(
        "A2A_SIGNING_KEY",
        "Private keys in PEM (P-256, P-384 or Ed25519), best as A2A_SIGNING_KEY_FILE. The first one signs push "
        "notifications; the public halves of all are served at /.well-known/jwks.json.",
        None,
    )


@frozen
class LogSettings:
    """What is logged, to standard error."""

    level: LogLevel = _setting("A2A_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR.", LogLevel.WARNING)
    format: LogFormat = _setting("A2A_LOG_FORMAT", "`console` or `json`.", LogFormat.CONSOLE)


@frozen
class RuntimeSettings:
    """Which runtime does the work."""

    runtime: str = _setting(
        "A2A_RUNTIME", "`opencode`, `scripted`, or `package.module:factory` of an adapter of your own.", "opencode"
    )
    script: str | None = _setting("A2A_SCRIPT", "File with what the scripted runtime plays. Default: it echoes.", None)


@frozen
class Settings:
    """All settings."""

    server: ServerSettings = field(factory=ServerSettings)
    grpc: GrpcSettings = field(factory=GrpcSettings)
    http: HttpSettings = field(factory=HttpSettings)
    auth: AuthSettings = field(factory=AuthSettings)
    opencode: OpenCodeSettings = field(factory=OpenCodeSettings)
    session: SessionSettings = field(factory=SessionSettings)
    turn: TurnSettings = field(factory=TurnSettings)
    interrupts: InterruptSettings = field(factory=InterruptSettings)
    store: StoreSettings = field(factory=StoreSettings)
    card: CardSettings = field(factory=CardSettings)
    methods: MethodSettings = field(factory=MethodSettings)
    push: PushSettings = field(factory=PushSettings)
    signing: SigningSettings = field(factory=SigningSettings)
    log: LogSettings = field(factory=LogSettings)
    runtime: RuntimeSettings = field(factory=RuntimeSettings)
    environment: Mapping[str, str] = field(factory=dict, repr=False)
    """The environment as it was, for runtimes which have settings of their own."""
    notes: tuple[str, ...] = ()
    """What the operator should know although it stops nothing."""

    @property
    def grpc_address(self) -> str:
        """Where gRPC is listened for; empty if it is off."""
        return _joined(self.grpc.host or self.server.host, self.grpc.port) if self.grpc.port else ""

    @property
    def grpc_public_address(self) -> str:
        """Where clients reach gRPC; empty if it is off."""
        if not self.grpc.port:
            return ""
        if self.grpc.public_address:
            return self.grpc.public_address
        host = urlsplit(self.server.public_url or "").hostname
        return _joined(host, self.grpc.port) if host else self.grpc_address

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


WITHOUT_EFFECT: Mapping[str, str] = {
    "A2A_STREAMING": "streaming is always on",
    "A2A_PROTOCOL_VERSION": "the protocol version is negotiated with each request",
    "A2A_SESSION_CACHE_TTL_SECONDS": "bindings of contexts to sessions are kept in the store",
    "A2A_SESSION_CACHE_MAXSIZE": "bindings of contexts to sessions are kept in the store",
    "A2A_LOG_PAYLOADS": "payloads are not logged",
    "A2A_LOG_BODY_LIMIT": "payloads are not logged",
    "A2A_OAUTH_AUTHORIZATION_URL": "only bearer tokens are taken",
    "A2A_OAUTH_TOKEN_URL": "only bearer tokens are taken",
    "A2A_OAUTH_METADATA_URL": "only bearer tokens are taken",
    "A2A_OAUTH_SCOPES": "only bearer tokens are taken",
}
"""Variables of opencode-a2a-server 0.2 which are taken and do nothing, each with the reason; the start says so."""

_FILE = "_FILE"
_NEAR = 0.85
"""How alike two names are if one is taken for a slip of the other; OPENCODE_* has many names which are not ours."""


def load_settings(environment: Mapping[str, str]) -> Settings:
    """
    Read the settings. Each may also be given as `<NAME>_FILE`, the path of a file that holds the value.

    Raises:
        SettingsError: With all problems at once.

    """
    problems = list(_unknown(environment))
    parts: dict[str, Any] = {}
    for name, group in _groups():
        parts[name] = _load_group(group, environment, problems)
    if problems:
        raise SettingsError(problems)
    settings = Settings(**parts, environment=dict(environment), notes=tuple(_notes(environment)))
    if problems := list(_contradictions(settings)):
        raise SettingsError(problems)
    return settings


def every_setting() -> Iterator[tuple[type, attrs.Attribute[Any]]]:
    """Give each settings class with its settings, for the reference and for completions."""
    for _, group in _groups():
        for setting in attrs.fields(attrs.resolve_types(group)):
            yield group, setting


def _groups() -> Iterator[tuple[str, type[Any]]]:
    for group in attrs.fields(attrs.resolve_types(Settings)):
        if group.type is not None and attrs.has(group.type):
            yield group.name, group.type


def _load_group(group: type[Any], environment: Mapping[str, str], problems: list[str]) -> object:
    given: dict[str, Any] = {}
    for setting in attrs.fields(attrs.resolve_types(group)):
        for name in setting.metadata["names"]:
            try:
                text = _text(name, environment)
                if text is not None:
                    given[setting.name] = _read(text, setting, name)
                    break
            except SettingsError as error:
                problems += error.problems
                break
    return group(**given)


def _text(name: str, environment: Mapping[str, str]) -> str | None:
    """Give the value of a variable or of the file it names; empty is not given."""
    path = environment.get(name + _FILE)
    if path:
        if environment.get(name):
            raise SettingsError([f"{name}: given twice, also as {name}{_FILE}; drop one"])
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError([f"{name}{_FILE}: {path} cannot be read ({error})"]) from error
    return environment.get(name, "").strip() or None


def _read(text: str, setting: attrs.Attribute[Any], name: str) -> Any:
    try:
        value = _CONVERTER.structure(text, setting.type or str)
    except (BaseValidationError, ValueError) as error:
        reason = "; ".join(transform_error(error)) if isinstance(error, BaseValidationError) else str(error)
        raise SettingsError([f"{name}: {reason}"]) from error
    check = setting.metadata["check"]
    if check is not None and (complaint := check(value)):
        raise SettingsError([f"{name}: {complaint}"])
    return value


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    known = {name for _, setting in every_setting() for name in setting.metadata["names"]}
    known |= {name + _FILE for name in known} | set(WITHOUT_EFFECT)
    for name in sorted(set(environment) - known):
        if name.startswith("A2A_"):
            nearest = difflib.get_close_matches(name, known, 1, 0)
            yield f"{name}: there is no such setting; did you mean {nearest[0]}?"
        elif name.startswith("OPENCODE_") and (near := difflib.get_close_matches(name, known, 1, _NEAR)):
            yield f"{name}: there is no such setting; did you mean {near[0]}?"


def _contradictions(settings: Settings) -> Iterator[str]:
    if bool(settings.opencode.provider_id) != bool(settings.opencode.model_id):
        yield "OPENCODE_PROVIDER_ID and OPENCODE_MODEL_ID go together: give both or none"
    url = settings.store.url
    if url is not None and not url.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://", "postgresql://")):
        yield (
            "A2A_TASK_STORE_DATABASE_URL: must begin with sqlite+aiosqlite:/// and name a file, or with "
            "postgresql+asyncpg:// and name a database"
        )
    if settings.grpc.port and settings.grpc.port == settings.server.port:
        yield "A2A_GRPC_PORT: must differ from A2A_PORT, which HTTP is served on"
    token = settings.auth.bearer_token
    if token is not None and any(ord(character) < 0x21 or ord(character) > 0x7E for character in token):  # noqa: PLR2004
        yield "A2A_BEARER_TOKEN: must be printable ASCII without spaces, or no client could send it"


def _notes(environment: Mapping[str, str]) -> Iterator[str]:
    for name, reason in WITHOUT_EFFECT.items():
        if environment.get(name):
            yield f"{name} has no effect: {reason}"


def _read_whole(text: object, _: type) -> int:
    try:
        return int(str(text))
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def _read_number(text: object, _: type) -> float:
    try:
        return float(str(text))
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _read_switch(text: object, _: type) -> bool:
    switches = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    try:
        return switches[str(text).lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def _read_choice(text: object, choices: type[Enum]) -> Enum:
    for choice in choices:
        if str(text).lower() == str(choice.value).lower():
            return choice
    raise ValueError(f"{text!r} is none of {', '.join(str(choice.value) for choice in choices)}")


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(bool, _read_switch)
    converter.register_structure_hook(int, _read_whole)
    converter.register_structure_hook(float, _read_number)
    converter.register_structure_hook(Secret, lambda text, _: Secret(text))
    converter.register_structure_hook_func(
        lambda wanted: isinstance(wanted, type) and issubclass(wanted, Enum), _read_choice
    )
    return converter


_CONVERTER = _make_converter()
