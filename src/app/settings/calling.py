"""How other agents are called."""

from __future__ import annotations

from attrs import frozen

from .values import Secret, listed, positive, setting

_BINDINGS = ("JSONRPC", "HTTP+JSON", "GRPC")


def _bindings(text: str) -> str:
    unknown = [one for one in listed(text) if one not in _BINDINGS]
    return f"{unknown[0]} is not spoken: write {', '.join(_BINDINGS)}" if unknown else ""


@frozen
class ClientSettings:
    """How `opencode-a2a-server call`, `card` and `selftest` call agents."""

    bearer_token: Secret | None = setting(
        "A2A_CLIENT_BEARER_TOKEN",
        "The token to call agents with. Where it is not given, this service itself is called with A2A_BEARER_TOKEN.",
        None,
    )
    basic_auth: Secret | None = setting(
        "A2A_CLIENT_BASIC_AUTH", "`user:password` to call agents with, if they take no token.", None
    )
    timeout: float = setting(
        "A2A_CLIENT_TIMEOUT_SECONDS",
        "Seconds to reach an agent, and for answers that take no work. Work is waited for as `--timeout` says.",
        30.0,
        check=positive,
    )
    card_timeout: float = setting(
        "A2A_CLIENT_CARD_FETCH_TIMEOUT_SECONDS", "Seconds for an agent's card.", 5.0, check=positive
    )
    transports: str = setting(
        "A2A_CLIENT_SUPPORTED_TRANSPORTS",
        "Bindings to speak, separated by commas, the preferred one first: JSONRPC, HTTP+JSON, and GRPC, which is left out if "
        "the extra `grpc` is not installed.",
        "JSONRPC,HTTP+JSON,GRPC",
        check=_bindings,
    )
    authorities: str | None = setting(
        "A2A_CLIENT_CA_FILE",
        "File with certificates, in PEM, of authorities that are trusted over TLS besides those that all clients know: for "
        "agents, and for this service where commands call it. `--ca-file` takes precedence.",
        None,
    )
    own_preference: bool = setting(
        "A2A_CLIENT_USE_CLIENT_PREFERENCE",
        "Whether the order above decides, not that of the agent's card.",
        default=False,
    )

    @property
    def bindings(self) -> tuple[str, ...]:
        """The bindings, the preferred one first."""
        return listed(self.transports)
