"""
One process among those that share a database.

A replica is one life of one process: a row which it renews, and whose number is the fencing token. Whoever finds a row
that is no longer renewed deletes it, and from then on nothing that its process still wants to write is written: each
transaction looks for the row first, and locks it until it ends, so that a commit is seen by whoever deletes the row or
does not happen. Who has lost the row so drops what it was doing, and begins anew under another number.

Nobody is judged by the database's clock alone, which somebody may set, nor by what a database shows that was away itself:
whose row others see unchanged for long enough, by their own patience, is dead; and sooner, whose connection is closed.

One connection renews the row and listens. Notifications cost nothing when they get lost: all who depend on them look
for themselves now and then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.errors import JournalUnavailable

_log = logging.getLogger(__name__)

CHANNEL: Final = "a2a"
BEAT_SECONDS: Final = 1.0
LEASE_SECONDS: Final = 5.0
"""A row which was seen not to be renewed for so long may be deleted."""
GONE_SECONDS: Final = 2.5
"""The same, as the database counts it, where the connection of who renews it is closed: that of who was killed is at once."""
_RENEWING: Final = 0x0A2D
"""The class of the advisory locks by which each such connection says whose it is."""
_ANSWER_SECONDS: Final = 3.0
"""For the database to answer a beat, before the connection is taken for dead."""

_NOW: Final = "extract(epoch FROM clock_timestamp())"
_JOIN: Final = f"INSERT INTO replicas (name, seen_at) VALUES ($1, {_NOW}) RETURNING id"  # noqa: S608 - no value is in it
_BEAT: Final = (
    f"WITH own AS (UPDATE replicas SET seen_at = {_NOW} WHERE id = $1 RETURNING id), "  # noqa: S608 - no value is in it
    "others AS (SELECT id, seen_at FROM replicas WHERE id <> $1) "
    "SELECT (SELECT count(*) FROM own), (SELECT array_agg(id ORDER BY id) FROM others), "
    "(SELECT array_agg(seen_at ORDER BY id) FROM others)"
)
_BURY: Final = (
    "DELETE FROM replicas WHERE id IN (SELECT id FROM replicas "  # noqa: S608 - no value is in it
    "WHERE id <> $1 AND ((id, seen_at) IN (SELECT * FROM unnest($2::bigint[], $3::float8[])) "
    f"OR (seen_at < {_NOW} - {GONE_SECONDS} AND extract(epoch FROM pg_postmaster_start_time()) < {_NOW} - {LEASE_SECONDS} "
    f"AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = {_RENEWING} AND objid = replicas.id))) "
    "FOR UPDATE SKIP LOCKED) RETURNING name"
)
_SAY_WHOSE: Final = f"SELECT pg_try_advisory_lock({_RENEWING}, $1::bigint::int)"
_LEAVE: Final = "DELETE FROM replicas WHERE id = $1"
TELL: Final = f"SELECT pg_notify('{CHANNEL}', $1)"

UPDATES: Final = "u"
"""With keys of tasks: there are updates."""
CHANGED: Final = "r"
"""A replica has come or gone."""
RELEASED: Final = "h"
"""With a name: nobody has it alone any more."""
ASKED: Final = "a"
"""With the number of a replica: something is asked of it."""
SETTLED: Final = "o"
"""With the id of an errand: it has its outcome."""
SAID: Final = "w"
"""With a word from one replica to all; see `Talk`."""

Ear = Callable[[str], None]


@define(eq=False, repr=False)
class Replica:
    """One process's place among the others; `run` is its job."""

    name: str
    _connect: Callable[[], Awaitable[Any]]
    _reasons: Callable[[], AbstractContextManager[None]]
    """Says in words of ours what the driver complains of."""
    _clock: Clock
    id: int = field(default=0, init=False)
    """The token; 0 while there is none."""
    others: bool = field(default=True, init=False)
    """Whether anybody may listen."""
    _line: Any = field(default=None, init=False)
    _ears: defaultdict[str, list[Ear]] = field(factory=lambda: defaultdict(list), init=False)
    _forgetting: list[Callable[[], None]] = field(factory=list, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _talking: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    """A connection answers one question at a time."""
    _steady_since: float = field(default=float("-inf"), init=False)
    """Since when no beat has failed: who could not see the database must not judge who else could."""
    _watched: dict[int, tuple[float, float]] = field(factory=dict, init=False)
    """When the others last renewed their rows, as these say, and since when they have said that."""
    _looked_at: float = field(default=float("-inf"), init=False)
    _renewed_at: float = field(default=float("-inf"), init=False)
    """No later than the row was last renewed."""

    # For the rest of this package

    def listen(self, kind: str, ear: Ear) -> None:
        """Have it called with what is told of a kind, and with nothing when some of it may have been missed."""
        self._ears[kind].append(ear)

    def when_lost(self, forget: Callable[[], None]) -> None:
        """Have it called when what this process runs may be another's from now on."""
        self._forgetting.append(forget)

    def lose(self, token: int) -> None:
        """Take note that there is no row of this number."""
        if not token or token != self.id:
            return
        _log.error("replica %d was taken for dead: what it ran is left to the others", token)
        self.id = 0
        for forget in self._forgetting:
            forget()
        self._wake.set()

    def held(self) -> int:
        """
        Give the token.

        Raises:
            JournalUnavailable: There is none at the moment.

        """
        if not self.id:
            raise JournalUnavailable("this process was taken for dead and begins anew; try again in a moment")
        return self.id

    # Its life

    async def join(self) -> None:
        """Take a place; those which are no longer renewed are deleted."""
        asked_at = self._clock.monotonic()
        with self._reasons():
            await self._listen()
            self.id = await self._line.fetchval(_JOIN, self.name)
            await self._line.execute(_SAY_WHOSE, self.id)
            await self._bury({})
            await self._line.execute(TELL, CHANGED)
        self._looked_at, self._renewed_at = self._clock.monotonic(), asked_at
        _log.info("this process is replica %d", self.id)

    async def run(self) -> None:
        """Keep the place, and take another if it is lost."""
        while True:
            with suppress(TimeoutError):
                await self._clock.within(BEAT_SECONDS, self._wake.wait())
            self._wake.clear()
            try:
                await self._clock.within(_ANSWER_SECONDS, self.beat())
            except (JournalUnavailable, TimeoutError) as error:
                _log.warning("the database does not hear that this process lives: %s", str(error) or "no answer")
                self._be_unsure()
                self._hang_up()
            except Exception:  # noqa: BLE001 - whatever it was, the next beat tries again
                _log.exception("a heartbeat broke")
                self._hang_up()

    async def leave(self) -> None:
        """Give up the place; whoever hears of it takes over at once what is left."""
        token, self.id = self.id, 0
        with suppress(JournalUnavailable, TimeoutError), self._reasons():
            if token and self._line is not None and not self._line.is_closed():
                await self._line.execute(_LEAVE, token)
                await self._line.execute(TELL, CHANGED)
        self._hang_up()

    async def beat(self) -> None:
        """Renew the row, or take a new one, and delete those which are not renewed."""
        async with self._talking:
            await self._beat()

    async def be_sure(self) -> None:
        """
        Return when the row is known to be there: seen lately, so that nobody may delete it yet, or seen now.

        Raises:
            JournalUnavailable: It is not, or the database cannot be asked.

        """
        token = self.held()
        if self._clock.monotonic() - self._renewed_at < GONE_SECONDS:
            return
        try:
            await self._clock.within(_ANSWER_SECONDS, self.beat())
        except TimeoutError:
            raise JournalUnavailable("the database does not say whether this process was taken for dead") from None
        if token != self.id:
            raise JournalUnavailable("this process was taken for dead and begins anew; try again in a moment")

    async def bury(self) -> None:
        """Delete the rows of those whose connections are closed."""
        async with self._talking:
            await self._bury({})

    async def _beat(self) -> None:
        if self._line is None or self._line.is_closed():
            with self._reasons():
                await self._listen()
            self._missed()
        if not self.id:
            await self.join()
        token = self.id
        asked_at = self._clock.monotonic()
        with self._reasons():
            own, others, seen = await self._line.fetchrow(_BEAT, token)
            self.others = bool(others)
            silent = self._silent(dict(zip(others or (), seen or (), strict=True)))
            if own and self._clock.monotonic() - self._steady_since >= LEASE_SECONDS:
                await self._bury(silent)
        if own:
            self._renewed_at = asked_at
        else:
            self.lose(token)

    def _silent(self, seen: Mapping[int, float]) -> Mapping[int, float]:
        """Give those which have not renewed their rows for too long, as far as this process has looked on."""
        now = self._clock.monotonic()
        if now - self._looked_at > LEASE_SECONDS:
            self._be_unsure()
        self._looked_at = now
        before = self._watched
        self._watched = {
            other: before[other] if other in before and before[other][0] == at else (at, now)
            for other, at in seen.items()
        }
        return {other: at for other, (at, since) in self._watched.items() if now - since >= LEASE_SECONDS}

    def _be_unsure(self) -> None:
        """Judge nobody for a while: who did not see the database, or stood still, does not know who else did."""
        self._steady_since = self._clock.monotonic()
        self._watched.clear()

    async def _bury(self, silent: Mapping[int, float]) -> None:
        gone = await self._line.fetch(_BURY, self.id, list(silent), list(silent.values()))
        if gone:
            _log.warning("taken for dead: %s", ", ".join(name for (name,) in gone))
            await self._line.execute(TELL, CHANGED)
            self._tell(CHANGED, "")

    async def _listen(self) -> None:
        if self._line is None or self._line.is_closed():
            self._line = await self._connect()
            self._line.add_termination_listener(self._on_closed)
            await self._line.add_listener(CHANNEL, self._on_told)
            if self.id:
                await self._line.execute(_SAY_WHOSE, self.id)

    def _on_closed(self, line: Any) -> None:
        if line is self._line:
            self._wake.set()

    def _on_told(self, _line: Any, _process: int, _channel: str, payload: str) -> None:
        kind, _, rest = payload.partition(":")
        if kind == CHANGED:
            self._wake.set()
        self._tell(kind, rest)

    def _tell(self, kind: str, rest: str) -> None:
        for ear in self._ears[kind]:
            ear(rest)

    def _missed(self) -> None:
        for kind in tuple(self._ears):
            self._tell(kind, "")

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.terminate()
