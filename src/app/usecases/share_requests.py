"""Let the limit of requests hold over all processes: what each counts is added up in the ledger, every second."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Self

from attrs import define, field

from opencode_a2a_server.app.ports.ledger import Entry, Ledger
from opencode_a2a_server.app.usecases.limit_requests import LimitRequests
from opencode_a2a_server.domain.errors import JournalUnavailable

_log = logging.getLogger(__name__)

_PERIOD: Final = 1.0
_MEASURE: Final = "requests"


@define(eq=False)
class ShareRequests:
    """
    A job of its own, and a context manager while which it runs; a request never waits for it.

    So over several processes a limit holds to within what they take in a second.
    """

    limit: LimitRequests
    ledger: Ledger
    _job: asyncio.Task[None] | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        self._job = asyncio.get_running_loop().create_task(self._run(), name="requests of all processes")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self.limit.clock.sleep(_PERIOD)
            try:
                await self()
            except JournalUnavailable as error:
                _log.warning("requests are counted by each process for itself for now: %s", error)

    async def __call__(self) -> None:
        """Add up once."""
        accounts = self.limit.take_touched()
        now, seconds = self.limit.clock.now(), self.limit.seconds
        windows = {account: window for account in accounts if (window := self.limit.windows.find(account)) is not None}
        for window in windows.values():
            window.slide(now, seconds)
        entries = [
            Entry(account, _MEASURE, int(window.span * seconds), window.now - window.told)
            for account, window in windows.items()
        ]
        if not entries:
            return
        counted = {account: (window.span, window.now) for account, window in windows.items()}
        try:
            totals = await self.ledger.add(entries)
        except JournalUnavailable:
            self.limit.touched |= accounts
            raise
        for (account, window), total in zip(windows.items(), totals, strict=True):
            span, mine = counted[account]
            if window.span == span:  # else it slid meanwhile
                window.told, window.elsewhere = mine, max(0, round(total) - mine)


__all__ = ["ShareRequests"]
