"""The journals that other replicas write, as long as somebody here reads them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final, Protocol
from weakref import WeakValueDictionary

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import Seq

from .log import LiveLog

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
"""From one look to the next whether a notification was missed."""


class Positions(Protocol):
    """A storage that says how far others have come."""

    async def last(self, keys: Collection[int]) -> Mapping[int, Seq]:
        """Give the last update of tasks, by their keys."""
        ...


@define(eq=False, repr=False)
class Following:
    """
    Reads after the others; `run` is its job.

    A notification says only whose journal has grown, so however many come while it reads cost one read. Without any it
    looks for itself: what is lost on the way costs a second, never an update.
    """

    _positions: Positions
    _clock: Clock
    _logs: WeakValueDictionary[int, LiveLog] = field(factory=WeakValueDictionary, init=False)
    _behind: set[int] = field(factory=set, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)

    def add(self, log: LiveLog) -> None:
        """Read after this one."""
        self._logs[log.key] = log
        self._wake.set()

    def told(self, keys: str) -> None:
        """Hear whose journals have grown; with nothing, any may have."""
        named = {int(key) for key in keys.split(",") if key} if keys else set(self._logs)
        if followed := named & set(self._logs):
            self._behind |= followed
            self._wake.set()

    async def run(self) -> None:
        """Read whatever is told, and look now and then."""
        while True:
            if not self._behind:
                await self._pause()
            try:
                if not self._behind:
                    await self._look()
                await self._read()
            except JournalUnavailable as error:
                _log.warning("what other replicas write cannot be read: %s", error)
                await self._clock.sleep(_LOOK_SECONDS)
            except Exception:  # noqa: BLE001 - whatever it was, readers must not wait for ever
                _log.exception("reading what other replicas write broke")
                await self._clock.sleep(_LOOK_SECONDS)

    async def _pause(self) -> None:
        """Wait to be told something; what was told meanwhile is not missed."""
        if self._logs:
            with suppress(TimeoutError):
                await self._clock.within(_LOOK_SECONDS, self._wake.wait())
        else:
            await self._wake.wait()
        self._wake.clear()

    async def _look(self) -> None:
        logs = dict(self._logs)
        last = await self._positions.last(logs.keys()) if logs else {}
        self._behind |= {key for key, seq in last.items() if seq > logs[key].task.seq}

    async def _read(self) -> None:
        keys, self._behind = self._behind, set()
        logs = [log for key in keys if (log := self._logs.get(key)) is not None]
        outcomes = await asyncio.gather(*(log.catch_up() for log in logs), return_exceptions=True)
        for log, outcome in zip(logs, outcomes, strict=True):
            if log.mine or log.task.state.terminal:
                self._logs.pop(log.key, None)
            if isinstance(outcome, BaseException):
                self._behind.add(log.key)
        if fault := next((outcome for outcome in outcomes if outcome is not None), None):
            raise fault
