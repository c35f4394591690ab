"""Whom the service knows by tokens and passwords of their own, and what each may touch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from secrets import token_bytes

from anyio import CapacityLimiter, to_thread
from attrs import define, field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.access import UNBOUNDED, Caller, Capability, Reach
from opencode_a2a_server.domain.ids import Principal

from .hashes import PasswordHash, TokenHash

_PASSWORDS_AT_ONCE = 2
"""Each costs a processor a tenth of a second and 16 MiB; others wait."""
_REMEMBERED = 1024
_NOBODY = PasswordHash.unfitting()
"""What the password of a user who does not exist is held against: it takes as long."""


@frozen
class Credential:
    """What somebody comes with."""

    caller: Caller
    secret: TokenHash | PasswordHash
    user: str = ""
    """The name that goes with a password."""
    expires: float | None = None
    """Seconds since the epoch, UTC."""

    def good(self, now: float) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires


@frozen
class Rule:
    """What the principals of a name may touch; the name may be a pattern."""

    name: str
    reach: Reach


@frozen
class Registry:
    """All that is known, as one file said it at one time."""

    credentials: tuple[Credential, ...] = ()
    rules: tuple[Rule, ...] = ()

    def joined(self, other: Registry) -> Registry:
        """Give both in one."""
        return Registry(self.credentials + other.credentials, self.rules + other.rules)

    @property
    def principals(self) -> frozenset[Principal]:
        """Who has credentials."""
        return frozenset(credential.caller.principal for credential in self.credentials)


@define(eq=False)
class Roll:
    """
    A registry to look callers up in; how it is looked up in is made once.

    A password that was right is remembered by its digest with a key of this object's, so that a client which sends it
    with each request is not made to wait each time.
    """

    registry: Registry
    clock: Clock
    _tokens: Mapping[bytes, Credential] = field(init=False)
    _users: Mapping[str, Sequence[Credential]] = field(init=False)
    _right: OrderedDict[bytes, Credential] = field(factory=OrderedDict, init=False)
    _key: bytes = field(factory=lambda: token_bytes(32), init=False)
    _at_once: CapacityLimiter | None = field(default=None, init=False)

    @_tokens.default
    def _by_digest(self) -> Mapping[bytes, Credential]:
        return {one.secret.digest: one for one in self.registry.credentials if isinstance(one.secret, TokenHash)}

    @_users.default
    def _by_user(self) -> Mapping[str, Sequence[Credential]]:
        users: dict[str, list[Credential]] = {}
        for one in self.registry.credentials:
            if isinstance(one.secret, PasswordHash):
                users.setdefault(one.user, []).append(one)
        return users

    async def bearer(self, token: bytes) -> Caller | None:
        """See `Credentials`. A digest says nothing of the token, so looking for it gives nothing away."""
        found = self._tokens.get(sha256(token).digest())
        return found.caller if found is not None and found.good(self.clock.now()) else None

    async def basic(self, user: str, password: bytes) -> Caller | None:
        """See `Credentials`."""
        now = self.clock.now()
        digest = sha256(self._key + sha256(user.encode()).digest() + password).digest()
        known = self._right.get(digest)
        if known is None:
            known = await self._compare(user, password, now)
            if known is None:
                return None
            self._right[digest] = known
            if len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)
        return known.caller if known.good(now) else None

    async def _compare(self, user: str, password: bytes, now: float) -> Credential | None:
        candidates = [one for one in self._users.get(user, ()) if one.good(now)]
        hashes = [one.secret for one in candidates if isinstance(one.secret, PasswordHash)] or [_NOBODY]
        if self._at_once is None:
            self._at_once = CapacityLimiter(_PASSWORDS_AT_ONCE)
        right = await to_thread.run_sync(_which, hashes, password, limiter=self._at_once)
        return candidates[right] if candidates and right is not None else None

    def reach(self, principal: Principal) -> Reach:
        """Say what a principal may touch: the rule of its name, else the first whose pattern its name fits."""
        rules = self.registry.rules
        exact = (rule.reach for rule in rules if rule.name == principal)
        fitting = (rule.reach for rule in rules if fnmatchcase(principal, rule.name))
        return next(exact, None) or next(fitting, UNBOUNDED)

    def may(self, principal: Principal, capability: Capability) -> bool:
        """
        Say whether any credential of a principal includes a capability.

        A principal without credentials here is known by others, who have said what its token is good for.
        """
        grants = [one.caller.grant for one in self.registry.credentials if one.caller.principal == principal]
        return not grants or any(capability in grant.capabilities for grant in grants)


def _which(hashes: Iterable[PasswordHash], password: bytes) -> int | None:
    return next((number for number, known in enumerate(hashes) if known.fits(password)), None)
