"""Whom sessions belong to, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Ownership


@define(eq=False)
class FakeOwners:
    """The port `Owners`. `broken` is raised by whatever is asked."""

    clock: Clock
    held: dict[SessionId, Ownership] = field(factory=dict)
    broken: Exception | None = None

    async def claim(self, wanted: Ownership) -> bool:
        """See `Owners.claim`."""
        self._check(wanted.session_id, wanted.principal)
        become = wanted.over(self.held.get(wanted.session_id), self.clock.now())
        if become is not None:
            self.held[wanted.session_id] = become
        return become is not None

    async def begin(self, session_id: SessionId, principal: Principal) -> None:
        """See `Owners.begin`."""
        self._check(session_id, principal)
        self.held[session_id] = Ownership(session_id, principal)

    async def release(self, session_id: SessionId, principal: Principal) -> None:
        """See `Owners.release`."""
        self._check()
        held = self.held.get(session_id)
        if held is not None and held.principal == principal and held.until is not None:
            del self.held[session_id]

    async def page(self, after: SessionId, most: int) -> Sequence[Ownership]:
        """See `Owners.page`."""
        self._check()
        return [self.held[one] for one in sorted(self.held) if one > after][:most]

    async def forget(self, held: Ownership) -> None:
        """See `Owners.forget`."""
        self._check()
        if self.held.get(held.session_id) == held:
            del self.held[held.session_id]

    async def of(self, sessions: Sequence[SessionId]) -> Mapping[SessionId, Ownership]:
        """See `Owners.of`."""
        self._check()
        now = self.clock.now()
        found = {one: self.held[one] for one in sessions if one in self.held}
        return {one: held for one, held in found.items() if held.stands(now)}

    def _check(self, *names: str) -> None:
        if self.broken is not None:
            raise self.broken
        if any(not name.isprintable() for name in names):
            raise InvalidRequest("an identifier cannot be kept")
