"""What replicas ask of each other: rows in the database they share, and a word to who is to look at them."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from attrs import define, field, frozen

from opencode_a2a_server.app.ports.errands import Done, Due, Errand
from opencode_a2a_server.domain import errors
from opencode_a2a_server.domain.errors import JournalDamaged, JournalUnavailable, Refusal, Unavailable
from opencode_a2a_server.domain.ids import Seq

from .codec import dump_errand, load_errand
from .reads import Asked
from .replica import ASKED, CHANGED, SETTLED, TELL, Replica
from .writer import Writer

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
"""From one look to the next if nobody tells anything."""
_BEGIN_SECONDS: Final = 20.0
"""For somebody to begin an errand: longer than it takes to take over what a dead replica ran."""
_KEPT_SECONDS: Final = 3600.0

_NOW: Final = "extract(epoch FROM clock_timestamp())"
_ASK: Final = f"INSERT INTO errands (id, task_id, body, asked_at) VALUES ($1, $2, $3, {_NOW})"  # noqa: S608
_OWNER: Final = "SELECT owner FROM tasks WHERE id = $1"
_OUTCOME: Final = "SELECT outcome, begun_by FROM errands WHERE id = $1"
_WITHDRAW: Final = "DELETE FROM errands WHERE id = $1 AND begun_by IS NULL RETURNING id"
_TAKE: Final = """
WITH due AS (
  SELECT errands.id, errands.begun_by FROM errands JOIN tasks ON tasks.id = errands.task_id
  WHERE tasks.owner = $1 AND outcome IS NULL AND (begun_by IS DISTINCT FROM $1 OR errands.id <> ALL($2::text[]))
  FOR UPDATE OF errands
)
UPDATE errands SET begun_by = $1 FROM due WHERE errands.id = due.id
RETURNING errands.asked_at, errands.id, errands.body, due.begun_by
"""
_FORGET: Final = f"DELETE FROM errands WHERE asked_at < {_NOW} - {_KEPT_SECONDS}"  # noqa: S608


@frozen
class NoErrands:
    """The port `Errands` for a store that is this process's alone: it runs every task itself."""

    async def ask(self, errand: Errand) -> Done:
        """Refuse: there is nobody to ask."""
        raise JournalUnavailable(f"nobody runs task {errand.task_id}; try again in a moment")

    async def came(self) -> None:
        """Wait for ever."""
        await asyncio.get_running_loop().create_future()

    async def take(self) -> Sequence[Due]:
        """Give none."""
        return ()

    def settle(self, due: Due, outcome: Done | Refusal) -> None:
        """There are none."""


class Fencing(Asked, Protocol):
    """One that can also be changed, by who is not taken for dead."""

    def fenced(self) -> AbstractAsyncContextManager[Any]:
        """Lend the one that writes."""
        ...


@define(eq=False, repr=False)
class SharedErrands:
    """The port `Errands` over a database."""

    _storage: Fencing
    _writer: Writer
    _replica: Replica
    _waiting: WeakValueDictionary[str, asyncio.Event] = field(factory=WeakValueDictionary, init=False)
    _came: asyncio.Event = field(factory=asyncio.Event, init=False)
    _handed_out: OrderedDict[str, float] = field(factory=OrderedDict, init=False)
    """
    Errands that are under way here, and since when, until their outcomes are written.

    Who takes some may not hear that the database has them as taken: those it has, and these do not, are taken again.
    """

    def __attrs_post_init__(self) -> None:
        self._replica.listen(SETTLED, self._on_settled)
        self._replica.listen(ASKED, self._on_asked)
        self._replica.listen(CHANGED, lambda _: self._came.set())

    async def ask(self, errand: Errand) -> Done:
        """See `Errands.ask`. Who stops waiting leaves it to be done all the same."""
        name = secrets.token_hex(16)
        told = self._waiting[name] = asyncio.Event()
        async with self._storage.asking() as connection:
            await connection.execute(_ASK, name, errand.task_id, dump_errand(errand))
            owner = await connection.fetchval(_OWNER, errand.task_id)
            await connection.execute(TELL, f"{ASKED}:{owner or ''}")
        clock = self._writer.clock
        give_up = clock.monotonic() + _BEGIN_SECONDS
        while (done := await self._outcome(name, told)) is None:
            if clock.monotonic() > give_up and await self._withdrawn(name):
                raise JournalUnavailable(f"the replica that runs task {errand.task_id} does not answer; try again")
        return done

    async def came(self) -> None:
        """See `Errands.came`."""
        while not self._came.is_set():
            with suppress(TimeoutError):
                await self._writer.clock.within(_LOOK_SECONDS, self._came.wait())
            if self._replica.others:
                break
        self._came.clear()

    async def take(self) -> Sequence[Due]:
        """See `Errands.take`."""
        token = self._replica.held()
        async with self._storage.fenced() as connection:
            await connection.execute(_FORGET)
            rows = sorted(await connection.fetch(_TAKE, token, list(self._handed_out)))
        return list(self._hand_out(rows))

    def _hand_out(self, rows: Sequence[Any]) -> Iterator[Due]:
        """Give them; one of a release that says what this one does not understand is refused, and holds up no other."""
        now = self._writer.clock.monotonic()
        while self._handed_out and now - next(iter(self._handed_out.values())) > _KEPT_SECONDS:
            self._handed_out.popitem(last=False)  # and forgotten by now
        for _, name, body, begun_by in rows:
            try:
                errand = load_errand(body)
            except JournalDamaged as damaged:
                self._writer.settle_errand(name, _dump(Unavailable(f"another release runs the task: {damaged}")))
            else:
                self._handed_out[name] = now
                yield Due(name, errand, begun_by is not None)

    def settle(self, due: Due, outcome: Done | Refusal) -> None:
        """See `Errands.settle`."""
        self._writer.settle_errand(due.id, _dump(outcome))

    async def _outcome(self, name: str, told: asyncio.Event) -> Done | None:
        with suppress(TimeoutError):
            await self._writer.clock.within(_LOOK_SECONDS, told.wait())
        told.clear()
        try:
            async with self._storage.asking() as connection:
                row = await connection.fetchrow(_OUTCOME, name)
        except JournalUnavailable as error:
            _log.warning("what came of an errand cannot be read yet: %s", error)
            return None
        if row is None:
            raise JournalUnavailable(
                "what was asked of another replica was forgotten; look at the task, then try again"
            )
        return None if row["outcome"] is None else _load(row["outcome"])

    async def _withdrawn(self, name: str) -> bool:
        async with self._storage.asking() as connection:
            return await connection.fetchval(_WITHDRAW, name) is not None

    def _on_settled(self, name: str) -> None:
        self._handed_out.pop(name, None)
        for waiting, told in list(self._waiting.items()):
            if name in ("", waiting):
                told.set()

    def _on_asked(self, owner: str) -> None:
        if owner in ("", str(self._replica.id)):
            self._came.set()


def _dump(outcome: Done | Refusal) -> bytes:
    if isinstance(outcome, Done):
        return json.dumps({"seq": outcome.seq, "upto": outcome.upto}).encode()
    return json.dumps({"refusal": type(outcome).__name__, "message": str(outcome), **vars(outcome)}).encode()


def _load(body: bytes) -> Done:
    """
    Read an outcome.

    Raises:
        Refusal: It is one.

    """
    told = json.loads(body)
    if "refusal" not in told:
        return Done(Seq(told["seq"]), Seq(told["upto"]))
    name, message = told.pop("refusal"), told.pop("message")
    kind = getattr(errors, name, Refusal)
    refusal: Refusal = kind(message)
    vars(refusal).update(told)
    raise refusal
