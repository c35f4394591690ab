"""Keep principals within their quotas: turns at once, tokens and cost a day."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from attrs import define, field

from opencode_a2a_server.app.ports.access import Reaches, unbounded
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.holds import Holds
from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.ports.ledger import Entry, Ledger
from opencode_a2a_server.app.ports.tasks import BEGIN, Wanted
from opencode_a2a_server.app.ports.works import Works
from opencode_a2a_server.domain.access import Quota
from opencode_a2a_server.domain.errors import JournalUnavailable, RateLimited
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.usage import Usage

_log = logging.getLogger(__name__)

_DAY = 86_400
_KEPT_DAYS = 40
_SOON = 5.0
"""After which a turn may have ended."""
_AT_WORK = (TaskState.SUBMITTED, TaskState.WORKING)


@define(eq=False)
class KeepQuotas:
    """
    Refuse a new turn of who has as many as it may, or has used up its day; charge what each turn used.

    A turn under way is not ended: a day may end above its quota by what the last turns used. Only principals with quotas
    cost anything.

    Raises:
        RateLimited: Not now; when again is said.

    """

    ledger: Ledger
    journal: Journal
    clock: Clock
    reach_of: Reaches = unbounded
    shared: Holds | None = None
    """What one has alone over all processes, where others have turns of the same principals."""
    works: Works | None = None
    """What is under way without a task, over all processes."""
    _begun: Counter[Principal] = field(factory=Counter, init=False)
    """Turns that are let in, and not begun yet."""
    _working: Counter[Principal] = field(factory=Counter, init=False)
    """Work here that is no task's: each counts as a turn."""

    async def check(self, principal: Principal) -> None:
        """Refuse who has used up the day."""
        quota = self.reach_of(principal).quota
        if quota.tokens is None and quota.cost is None:
            return
        day = self._day()
        tokens, cost = await self.ledger.add(_entries(principal, day, 0, 0.0))
        wait = day + _DAY - self.clock.now()
        if quota.tokens is not None and tokens >= quota.tokens:
            raise RateLimited(f"the {quota.tokens} tokens of this day (UTC) are used up; tomorrow again", wait)
        if quota.cost is not None and cost >= quota.cost:
            raise RateLimited(
                f"the cost of {quota.cost:g} that this day (UTC) may have is reached; tomorrow again", wait
            )

    @asynccontextmanager
    async def admitted(self, principal: Principal, here: Callable[[], int]) -> AsyncIterator[None]:
        """Let one turn begin in the body; of processes that would let in the last one at the same time, one does."""
        await self.check(principal)
        if self.shared is None or self.reach_of(principal).quota.turns is None:
            with self.beginning(principal, here, 0):
                yield
            return
        async with self.shared.alone(json.dumps(["turns", principal])):
            with self.beginning(principal, here, await self._known(principal)):
                yield

    async def _known(self, principal: Principal) -> int:
        """Count the turns of a principal that the store knows of, whoever runs them."""
        pages = [await self.journal.page(principal, Wanted(state=state), 1, BEGIN) for state in _AT_WORK]
        works = () if self.works is None else await self.works.of(principal)
        return sum(page.total for page in pages) + len(works)

    @contextmanager
    def working(self, principal: Principal) -> Iterator[None]:
        """Count work of a principal's that is no task's, as long as the body runs."""
        self._working[principal] += 1
        try:
            yield
        finally:
            self._working[principal] -= 1
            if not self._working[principal]:
                del self._working[principal]

    def charges(self, principal: Principal) -> bool:
        """Say whether it matters what a principal uses."""
        quota = self.reach_of(principal).quota
        return quota != Quota(quota.requests, quota.turns)

    @contextmanager
    def beginning(self, principal: Principal, here: Callable[[], int], known: int) -> Iterator[None]:
        """Let one turn begin in the body, if so many `here`, or as many as are `known` of, leave room for it."""
        most = self.reach_of(principal).quota.turns
        if most is not None and max(here() + self._begun[principal] + self._working[principal], known) >= most:
            raise RateLimited(f"{most} turns at once are allowed; wait for the end of one, or cancel it", _SOON)
        self._begun[principal] += 1
        try:
            yield
        finally:
            self._begun[principal] -= 1
            if not self._begun[principal]:
                del self._begun[principal]

    async def charge(self, principal: Principal, before: Usage | None, after: Usage | None) -> None:
        """Charge what was used between two counts of a task's; a store that cannot be used loses it, and that is said."""
        if after is None or not self.charges(principal):
            return
        since = before or Usage()
        tokens, cost = after.total_tokens - since.total_tokens, after.cost - since.cost
        if tokens <= 0 and cost <= 0:
            return
        try:
            await self.ledger.add(_entries(principal, self._day(), max(0, tokens), max(0.0, cost)))
        except JournalUnavailable as error:
            _log.error("%d tokens and a cost of %g of %s are not charged: %s", tokens, cost, principal, error)

    async def forget(self) -> None:
        """Forget days that are long over."""
        await self.ledger.forget(self._day() - _KEPT_DAYS * _DAY)

    def _day(self) -> int:
        return int(self.clock.now() // _DAY) * _DAY


def _entries(principal: Principal, day: int, tokens: float, cost: float) -> Sequence[Entry]:
    return (Entry(principal, "tokens", day, tokens), Entry(principal, "cost", day, cost))
