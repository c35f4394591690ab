"""Limit how often somebody may ask, and how often an address may fail to say who it is."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from attrs import define, field

from opencode_a2a_server.app.ports.access import Reaches, unbounded
from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.audit import Record
from opencode_a2a_server.domain.errors import RateLimited
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.window import Window

_ACCOUNTS = 100_000
"""Windows that are kept; beyond, the one used longest ago is forgotten."""


@define(eq=False)
class Windows:
    """A window for each account."""

    touched: set[str] = field(factory=set, init=False)
    """Whose count has changed since it was taken; only those that are kept."""
    _kept: OrderedDict[str, Window] = field(factory=OrderedDict, init=False)

    def of(self, account: str) -> Window:
        """Give one."""
        window = self._kept.get(account)
        if window is None:
            window = self._kept[account] = Window()
            if len(self._kept) > _ACCOUNTS:
                forgotten, _ = self._kept.popitem(last=False)
                self.touched.discard(forgotten)
        else:
            self._kept.move_to_end(account)
        return window

    def find(self, account: str) -> Window | None:
        """Give one if there is one."""
        return self._kept.get(account)

    def take_touched(self, most: int) -> set[str]:
        """Give whose count has changed, so many at once; the others are given the next time."""
        return {self.touched.pop() for _ in range(min(most, len(self.touched)))}


@define(eq=False)
class LimitRequests:
    """
    Refuse a request of who has made enough of them for now; one that is refused does not count.

    Raises:
        RateLimited: Later again.

    """

    clock: Clock
    seconds: float
    most: int
    reach_of: Reaches = unbounded
    """Who may make more, or fewer."""
    windows: Windows = field(factory=Windows)

    def __call__(self, principal: Principal) -> None:
        """Let one be made."""
        most = self.reach_of(principal).quota.requests or self.most
        if not most:
            return
        window, now = self.windows.of(principal), self.clock.now()
        if wait := window.wait(now, self.seconds, most):
            raise RateLimited(f"{most} requests in {self.seconds:g} seconds are allowed; wait {wait:.1f} seconds", wait)
        window.count(now, self.seconds)
        self.windows.touched.add(principal)


@define(eq=False)
class LimitAttempts:
    """
    Count the requests from an address that were nobody's, and refuse to look at more of them for now.

    The first of a window and the first that is refused are recorded, not each: a flood of them must not fill the disk.
    Addresses of IPv6 count by their network of 64 bits: who has one of them has all.
    """

    clock: Clock
    audit: Audit
    seconds: float
    most: int
    windows: Windows = field(factory=Windows)

    def wait(self, peer: str) -> float:
        """Give the seconds until an address may try again, 0 if it may now."""
        window = self.windows.find(_account(peer))
        return 0.0 if window is None else self._wait(window, self.clock.now())

    async def failed(self, peer: str, why: str) -> None:
        """Note that an address failed."""
        account, now = _account(peer), self.clock.now()
        window = self.windows.of(account)
        let = not self._wait(window, now)
        window.count(now, self.seconds)
        self.windows.touched.add(account)
        blocked = let and self._wait(window, now) > 0
        if blocked or window.now == 1:
            outcome = "blocked" if blocked else "refused"
            await self.audit.record(
                Record(now, "authentication", None, "", {"address": peer}, outcome, {"reason": why})
            )

    def _wait(self, window: Window, now: float) -> float:
        return window.wait(now, self.seconds, self.most) if self.most else 0.0

    def refusal(self, wait: float) -> RateLimited:
        """Say it."""
        return RateLimited(f"too many requests with credentials that nobody has; wait {wait:.0f} seconds", wait)


def _account(peer: str) -> str:
    """Name whose address it is, as far as addresses tell."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address) or address.ipv4_mapped is not None:
        return peer
    return str(IPv6Address(int(address) >> 64 << 64))
