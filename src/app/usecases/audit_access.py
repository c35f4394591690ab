"""What the audit is told of who did what besides answering: denials, cancels, and what is dangerous."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from attrs import frozen

from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.access import Caller
from opencode_a2a_server.domain.audit import Record
from opencode_a2a_server.domain.errors import Forbidden, Refusal
from opencode_a2a_server.domain.ids import Principal

DONE = "done"


@frozen
class AuditAccess:
    """Records; where nothing is to be recorded it does nothing."""

    audit: Audit | None = None
    clock: Clock | None = None

    async def refused(self, caller: Caller | None, error: Exception, operation: str) -> None:
        """Record that somebody who is known may not do something; other errors are none of the audit's."""
        if isinstance(error, Forbidden) and caller is not None:
            details = {"credential": caller.credential, "message": str(error)}
            await self._record("denied", caller.principal, {"operation": operation}, type(error).__name__, details)

    @asynccontextmanager
    async def doing(self, principal: Principal, action: str, subject: Mapping[str, str]) -> AsyncIterator[None]:
        """Record that somebody did what the body does, or tried to; a denial is recorded as such already."""
        outcome = "failed"
        try:
            yield
            outcome = DONE
        except Refusal as refusal:
            outcome = "" if isinstance(refusal, Forbidden) else type(refusal).__name__
            raise
        finally:
            if outcome:
                await self._record(action, principal, subject, outcome, {})

    async def _record(
        self, action: str, principal: Principal, subject: Mapping[str, str], outcome: str, details: Mapping[str, str]
    ) -> None:
        if self.audit is not None and self.clock is not None:
            record = Record(self.clock.now(), action, principal, "method", subject, outcome, details)
            await self.audit.record(record)
