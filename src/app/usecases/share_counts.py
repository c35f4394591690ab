"""Let limits hold over all processes: what each counts is added up in the ledger, every second."""

from __future__ import annotations

import logging
from typing import Final, Self

from attrs import define, field

from opencode_a2a_server.app.ports.ledger import Entry, Ledger
from opencode_a2a_server.app.usecases.beside import Beside
from opencode_a2a_server.app.usecases.limit_requests import LimitAttempts, LimitRequests
from opencode_a2a_server.domain.errors import JournalUnavailable

_log = logging.getLogger(__name__)

_PERIOD: Final = 1.0
_AT_ONCE: Final = 200
"""Accounts that are added up in one transaction: attempts may come from many addresses."""
REQUESTS: Final = "requests"
ATTEMPTS: Final = "attempts"
"""Requests from an address that were nobody's."""


@define(eq=False)
class ShareCounts:
    """
    A job of its own, and a context manager while which it runs; a request never waits for it.

    So over several processes a limit holds to within what they take in a second.
    """

    measure: str
    limit: LimitRequests | LimitAttempts
    ledger: Ledger
    _beside: Beside = field(factory=Beside, init=False)

    async def __aenter__(self) -> Self:
        self._beside.begin(self._run(), f"{self.measure} of all processes")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._beside.end()

    async def _run(self) -> None:
        while True:
            await self.limit.clock.sleep(_PERIOD)
            try:
                await self()
            except JournalUnavailable as error:
                _log.warning("%s are counted by each process for itself for now: %s", self.measure, error)

    async def __call__(self) -> None:
        """Add up once."""
        accounts = self.limit.windows.take_touched(_AT_ONCE)
        now, seconds = self.limit.clock.now(), self.limit.seconds
        # In order, since another process that adds to the same rows in another one would be in a deadlock with this.
        found = ((account, self.limit.windows.find(account)) for account in sorted(accounts))
        windows = {account: window for account, window in found if window is not None}
        for window in windows.values():
            window.slide(now, seconds)
        entries = [
            Entry(account, self.measure, int(window.span * seconds), window.now - window.told)
            for account, window in windows.items()
        ]
        if not entries:
            return
        counted = {account: (window.span, window.now) for account, window in windows.items()}
        try:
            totals = await self.ledger.add(entries)
        except JournalUnavailable:
            self.limit.windows.touched |= windows.keys()
            raise
        for (account, window), total in zip(windows.items(), totals, strict=True):
            span, mine = counted[account]
            if window.span == span:  # else it slid meanwhile
                window.told, window.elsewhere = mine, max(0, round(total) - mine)
