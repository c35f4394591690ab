"""Who may ask, and for what; what the service signs with."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from opencode_a2a_server.app.ports.capabilities import Capability

from .values import Secret, http_url, listed, not_negative, pairs_of, positive, setting


@frozen
class AuthSettings:
    """Who may ask."""

    bearer_token: Secret | None = setting(
        "A2A_BEARER_TOKEN",
        "The token clients send as `Authorization: Bearer …`. It is good for everything that is switched on. This, or "
        "one of the others here, is required: without any the service does not start.",
        None,
    )
    credentials: str | None = setting(
        "A2A_CREDENTIALS_FILE",
        "TOML or JSON file of principals with their credentials, rights and limits; it is looked at every second, and on "
        "SIGHUP.",
        None,
    )
    static: Secret | None = setting(
        "A2A_STATIC_AUTH_CREDENTIALS",
        "JSON array of credentials as opencode-a2a 1.4 has it, secrets in plain text.",
        None,
    )

    issuer: str | None = setting(
        "A2A_OIDC_ISSUER",
        "OpenID provider whose access tokens (JWT) are taken; its keys are found by its metadata.",
        None,
        check=http_url,
    )
    audience: str = setting(
        "A2A_OIDC_AUDIENCE",
        "Audiences, separated by commas, one of which a token must be for. Goes with the issuer.",
        "",
    )
    algorithms: str = setting(
        "A2A_OIDC_ALGORITHMS",
        "Algorithms of signatures, separated by commas, that are taken: RS256, RS384, RS512, PS256, PS384, PS512, ES256, "
        "ES384, ES512, EdDSA.",
        "RS256,PS256,ES256,EdDSA",
    )
    jwks_url: str | None = setting(
        "A2A_OIDC_JWKS_URL", "Where the provider's keys are. Default: as its metadata says.", None, check=http_url
    )
    principal_claim: str = setting("A2A_OIDC_PRINCIPAL_CLAIM", "Claim that names the principal.", "sub")
    scope_claim: str = setting(
        "A2A_OIDC_SCOPE_CLAIM", "Claim that has the token's scopes, as a text or a list.", "scope"
    )
    scope_map: str = setting(
        "A2A_OIDC_SCOPE_MAP",
        "What the token's scopes are good for, as `agent.read=read,agent.send=SendMessage,agent.shell=session_shell`: a "
        "scope (see how-to/secure.md) or a capability. Default: each token is good for all that needs no capability.",
        "",
        check=pairs_of,
    )
    skew: float = setting(
        "A2A_OIDC_CLOCK_SKEW_SECONDS", "By how much the provider's clock may differ.", 30.0, check=not_negative
    )
    authorization_url: str | None = setting(
        "A2A_OAUTH_AUTHORIZATION_URL", "Where users allow clients; goes into the card.", None, check=http_url
    )
    token_url: str | None = setting(
        "A2A_OAUTH_TOKEN_URL", "Where clients get tokens; goes into the card.", None, check=http_url
    )
    metadata_url: str | None = setting(
        "A2A_OAUTH_METADATA_URL",
        "Where the provider's metadata is; goes into the card. Default: issuer and /.well-known/openid-configuration.",
        None,
        check=http_url,
    )
    oauth_scopes: str = setting(
        "A2A_OAUTH_SCOPES", "Scopes, separated by commas, that clients ask for; go into the card.", ""
    )

    @property
    def scopes(self) -> Mapping[str, str]:
        """What the token's scopes are here."""
        pairs = (pair.partition("=") for pair in listed(self.scope_map))
        return {theirs.strip(): ours.strip() for theirs, _, ours in pairs}

    @property
    def anybody(self) -> bool:
        """Whether anybody may ask."""
        return bool(self.bearer_token or self.credentials or self.static or self.issuer)


@frozen
class LimitSettings:
    """How much one principal may ask for; the credentials file can say otherwise for each."""

    enabled: bool = setting(
        "A2A_RATE_LIMIT_ENABLED",
        "Whether requests are limited. With one bearer token for everybody they share the limit.",
        default=False,
    )
    seconds: float = setting(
        "A2A_RATE_LIMIT_WINDOW_SECONDS", "Length of the window that requests are counted in.", 60.0, check=positive
    )
    requests: int = setting(
        "A2A_RATE_LIMIT_MAX_REQUESTS",
        "Requests one principal may make within the window; 0 is no bound.",
        120,
        check=not_negative,
    )
    failures: int = setting(
        "A2A_RATE_LIMIT_MAX_FAILURES",
        "Requests within the window that may come from one address with credentials nobody has. Beyond, passwords from "
        "there are not looked at, and others are answered 429. 0 is no bound.",
        60,
        check=not_negative,
    )


@frozen
class MethodSettings:
    """Extension methods that are dangerous: what each of these lets anybody do who may ask at all."""

    shell: bool = setting(
        "A2A_ENABLE_SESSION_SHELL",
        "Whether `opencode.sessions.shell` runs commands in OpenCode's shell, without a permission being asked.",
        default=False,
    )
    workspaces: bool = setting(
        "A2A_ENABLE_WORKSPACE_MUTATIONS",
        "Whether `opencode.workspaces.*` and `opencode.worktrees.*` make, reset and remove them.",
        default=False,
    )
    delete: bool = setting(
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
class SigningSettings:
    """What the service signs with."""

    key: Secret | None = setting(
        "A2A_SIGNING_KEY",
        "Private keys in PEM (P-256, P-384 or Ed25519), best as A2A_SIGNING_KEY_FILE. The first one signs push "
        "notifications, each one the agent cards; the public halves of all are served at /.well-known/jwks.json.",
        None,
    )
