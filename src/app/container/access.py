"""Access: who may ask for what, and how often."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from dependency_injector import providers

from opencode_a2a_server.adapters.inbound.a2a import rpc
from opencode_a2a_server.adapters.inbound.a2a.auth import BearerTokens, Callers
from opencode_a2a_server.adapters.inbound.a2a.card.security import Provider, Security
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE
from opencode_a2a_server.adapters.inbound.a2a.proxies import Proxies
from opencode_a2a_server.adapters.outbound.access.live import LiveCredentials
from opencode_a2a_server.adapters.outbound.access.reading import RegistryUnusable, read_registry
from opencode_a2a_server.adapters.outbound.access.registry import Registry
from opencode_a2a_server.adapters.outbound.access.static import read_static
from opencode_a2a_server.adapters.outbound.access.trust import ALGORITHMS, Trust
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.ports.access import Credentials
from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.settings import AuthSettings, Settings, SettingsError, listed
from opencode_a2a_server.app.usecases.limit_requests import LimitAttempts, LimitRequests
from opencode_a2a_server.domain.access import READ, WRITE, Capability, is_scope

from .given import Given
from .methods import Methods

OPERATIONS = (*rpc.METHODS, *(method.name for method in TABLE))
"""What scopes can name."""

_CAPABILITIES = tuple(capability.value for capability in Capability)


def _known(settings: Settings, credentials: LiveCredentials, clock: SystemClock) -> tuple[Credentials, ...]:
    """Give all that know callers: those that need nobody else first."""
    tokens = () if settings.auth.bearer_token is None else (settings.auth.bearer_token,)
    known = (BearerTokens.of(tokens), credentials)
    trust = _trust(settings.auth)
    if trust is None:
        return known

    from opencode_a2a_server.adapters.outbound.access.oidc import OidcTokens

    return (*known, OidcTokens.of(trust, clock))


def _schemes(settings: Settings) -> tuple[str, ...]:
    """Give the schemes by which anybody can say who it is."""
    return ("Bearer", "Basic") if settings.auth.credentials or settings.auth.static else ("Bearer",)


class Access(Methods):
    """Who asks, and whether it asked too often."""

    limit_requests = providers.Singleton(
        LimitRequests,
        clock=Given.clock,
        seconds=Given.settings.provided.limits.seconds,
        most=providers.Callable(
            lambda on, most: most if on else 0,
            Given.settings.provided.limits.enabled,
            Given.settings.provided.limits.requests,
        ),
        reach_of=Given.credentials.provided.reach,
    )
    limit_attempts = providers.Singleton(
        LimitAttempts,
        clock=Given.clock,
        audit=Given.audit,
        seconds=Given.settings.provided.limits.seconds,
        most=Given.settings.provided.limits.failures,
    )
    authenticate = providers.Singleton(
        Callers,
        credentials=providers.Singleton(_known, Given.settings, Given.credentials, Given.clock),
        schemes=providers.Callable(_schemes, Given.settings),
        attempts=limit_attempts,
        requests=limit_requests,
        proxies=providers.Singleton(Proxies.at, Given.settings.provided.server.proxies),
    )


def credentials_of(settings: Settings, clock: SystemClock, audit: Audit) -> LiveCredentials:
    """
    Read the credentials that the settings hold or name.

    Raises:
        SettingsError: They cannot be used.

    """
    path = None if settings.auth.credentials is None else Path(settings.auth.credentials)
    return LiveCredentials.open(_fixed(settings), path, OPERATIONS, clock, audit)


def security_of(settings: Settings) -> Security:
    """Give what the cards say of how to be let in."""
    auth, trust = settings.auth, _trust(settings.auth)
    provider = None
    if trust is not None:
        scopes = listed(auth.oauth_scopes)
        provider = Provider(trust.metadata, auth.authorization_url or "", auth.token_url or "", scopes)
    configured = bool(auth.credentials or auth.static)
    return Security(tokens=configured or auth.bearer_token is not None, passwords=configured, provider=provider)


def problems_of_access(settings: Settings) -> Iterator[str]:
    """Say why nobody could be let in with these settings, or the wrong ones would be."""
    if not settings.auth.anybody:
        yield (
            "A2A_BEARER_TOKEN: required; give a long random string, or A2A_BEARER_TOKEN_FILE, or name a file of "
            "credentials by A2A_CREDENTIALS_FILE, or a provider by A2A_OIDC_ISSUER"
        )
    try:
        _fixed(settings)
    except SettingsError as error:
        yield from error.problems
    for name in listed(settings.auth.algorithms):
        if name not in ALGORITHMS:
            yield f"A2A_OIDC_ALGORITHMS: {name} is not taken; there are {', '.join(ALGORITHMS)}"
    for theirs, ours in settings.auth.scopes.items():
        if ours not in _CAPABILITIES and not is_scope(ours, OPERATIONS):
            near = difflib.get_close_matches(ours, [*_CAPABILITIES, READ, WRITE, *OPERATIONS], 1, 0)[0]
            yield f"A2A_OIDC_SCOPE_MAP: {theirs}={ours} names no operation or capability; did you mean {near}?"
    try:
        if settings.auth.credentials is not None:
            read_registry(Path(settings.auth.credentials), OPERATIONS)
    except RegistryUnusable as unusable:
        yield from (f"A2A_CREDENTIALS_FILE: {problem}" for problem in unusable.problems)


def _fixed(settings: Settings) -> Registry:
    """
    Read what credentials the settings themselves hold, besides the bearer token.

    Raises:
        SettingsError: They cannot be used.

    """
    try:
        return Registry() if settings.auth.static is None else read_static(settings.auth.static)
    except RegistryUnusable as unusable:
        raise SettingsError([f"A2A_STATIC_AUTH_CREDENTIALS: {problem}" for problem in unusable.problems]) from unusable


def _trust(auth: AuthSettings) -> Trust | None:
    if auth.issuer is None:
        return None
    return Trust(
        auth.issuer,
        listed(auth.audience),
        listed(auth.algorithms),
        auth.skew,
        auth.jwks_url or "",
        auth.metadata_url or "",
        auth.principal_claim,
        auth.scope_claim,
        auth.scopes,
    )
