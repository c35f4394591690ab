"""What systemd is told by a service of `Type=notify`: that it serves, that it lives, that it stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from attrs import frozen


@frozen
class Supervisor:
    """The one who started us; without `$NOTIFY_SOCKET` nobody listens, and nothing is said."""

    address: str | None
    pulse: float | None
    """Seconds between two signs of life, if they are wanted."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Supervisor:
        """Read what systemd gave us; half of what it waits for is the pulse it recommends."""
        wanted = environment.get("WATCHDOG_USEC", "")
        pulse = int(wanted) / 2_000_000 if wanted.isdigit() and int(wanted) else None
        return cls(environment.get("NOTIFY_SOCKET") or None, pulse)

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Say that we serve, and that we live for as long as the event loop turns; at the end, that we stop."""
        self.say("READY=1")
        pulse = None if self.address is None or self.pulse is None else asyncio.create_task(self._live(self.pulse))
        try:
            yield
        finally:
            if pulse is not None:
                pulse.cancel()
            self.say("STOPPING=1")

    def say(self, state: str) -> None:
        """Send one datagram; a supervisor that does not take it is no reason to stop serving."""
        if self.address is None:
            return
        address = f"\0{self.address[1:]}" if self.address[0] == "@" else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.settimeout(0)
            notify.sendto(state.encode(), address)

    async def _live(self, pulse: float) -> None:
        while True:
            self.say("WATCHDOG=1")
            await asyncio.sleep(pulse)
