"""The credentials as they are now: what the file says is looked at again and again, without a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Self

from anyio import to_thread
from attrs import define, field

from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.access import Caller, Capability, Reach
from opencode_a2a_server.domain.audit import Record
from opencode_a2a_server.domain.ids import Principal

from .reading import RegistryUnusable, read_registry
from .registry import Registry, Roll

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0

Stamp = tuple[int, int, int] | None


@define(eq=False)
class LiveCredentials:
    """
    The ports `Credentials` and `Reaches`, over what never changes and a file that may; a context manager.

    The file is looked at every second, and at once when `reload` is called. From then on new requests are decided by
    what it says; streams that are open go on. A file that cannot be used changes nothing, and that is said aloud.
    """

    fixed: Registry
    path: Path | None
    operations: Collection[str]
    clock: Clock
    audit: Audit
    _roll: Roll = field(init=False)
    _stamp: Stamp = field(default=None, init=False)
    _looking: asyncio.Task[None] | None = field(default=None, init=False)
    _reading: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    @classmethod
    def open(cls, fixed: Registry, path: Path | None, operations: Collection[str], clock: Clock, audit: Audit) -> Self:
        """
        Read the file for the first time.

        Raises:
            RegistryUnusable: It cannot be used.

        """
        made = cls(fixed, path, operations, clock, audit)
        made._stamp, registry = made._read()
        made._roll = Roll(registry, clock)
        return made

    async def __aenter__(self) -> Self:
        if self.path is not None:
            self._looking = asyncio.get_running_loop().create_task(self._look(), name="credentials")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    @property
    def registry(self) -> Registry:
        """What holds now."""
        return self._roll.registry

    async def bearer(self, token: bytes) -> Caller | None:
        """See `Credentials`."""
        return await self._roll.bearer(token)

    async def basic(self, user: str, password: bytes) -> Caller | None:
        """See `Credentials`."""
        roll = self._roll
        caller = await roll.basic(user, password)
        return caller if roll is self._roll else await self._roll.basic(user, password)  # it may be revoked by now

    def reach(self, principal: Principal) -> Reach:
        """See `Reaches`."""
        return self._roll.reach(principal)

    def may(self, principal: Principal, capability: Capability) -> bool:
        """See `May`."""
        return self._roll.may(principal, capability)

    async def reload(self) -> None:
        """Read the file again, and record what came of it."""
        async with self._reading:
            try:
                self._stamp, registry = await to_thread.run_sync(self._read)
            except RegistryUnusable as unusable:
                _log.critical("the credentials stay as they were: %s", "; ".join(unusable.problems))
                await self._record("refused", problems=list(unusable.problems))
                return
            before = self._roll.registry
            self._roll = Roll(registry, self.clock)
        gone = sorted(before.principals - registry.principals)
        new = sorted(registry.principals - before.principals)
        _log.warning(
            "the credentials were read again: %d of %d principals", len(registry.credentials), len(registry.principals)
        )
        await self._record("reloaded", credentials=len(registry.credentials), added=new, removed=gone)

    def _read(self) -> tuple[Stamp, Registry]:
        if self.path is None:
            return None, self.fixed
        stamp = self._stamped()
        return stamp, self.fixed.joined(read_registry(self.path, self.operations))

    def _stamped(self) -> Stamp:
        try:
            seen = Path(self.path or "").stat()
        except OSError:
            return None
        return seen.st_mtime_ns, seen.st_size, seen.st_ino

    async def _look(self) -> None:
        while True:
            await self.clock.sleep(_LOOK_SECONDS)
            stamp = await to_thread.run_sync(self._stamped)
            if stamp != self._stamp:
                self._stamp = stamp  # a file that cannot be used is told of once
                await self.reload()

    async def _record(self, outcome: str, **details: int | Sequence[str]) -> None:
        subject = {"file": str(self.path)}
        await self.audit.record(Record(self.clock.now(), "credentials.reload", None, "", subject, outcome, {**details}))


__all__ = ["LiveCredentials"]
