"""What principals use, in a table of the same database, or in memory."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field, frozen
from sqlalchemy import bindparam, delete
from sqlalchemy.dialects import sqlite

from opencode_a2a_server.app.ports.ledger import Entry

from .reads import Changing
from .statements import Statement
from .tables import LEDGER

_COLUMNS = ("account", "measure", "span", "amount")
_ADDED = sqlite.insert(LEDGER)
_ADD = Statement.of(
    _ADDED.on_conflict_do_update(
        index_elements=_COLUMNS[:3], set_={"amount": LEDGER.c.amount + _ADDED.excluded.amount}
    ).returning(LEDGER.c.amount),
    *_COLUMNS,
)
_FORGET = Statement.of(delete(LEDGER).where(LEDGER.c.span < bindparam("before")))


@frozen
class StoredLedger:
    """The port `Ledger`, in a table."""

    _storage: Changing

    async def add(self, entries: Sequence[Entry]) -> Sequence[float]:
        """See `Ledger.add`."""
        async with self._storage.changing() as link:
            rows = [
                await link.run(
                    _ADD,
                    {"account": one.account, "measure": one.measure, "span": one.span, "amount": float(one.amount)},
                )
                for one in entries
            ]
        return [float(amount) for ((amount,),) in rows]

    async def forget(self, before: int) -> None:
        """See `Ledger.forget`."""
        async with self._storage.changing() as link:
            await link.run(_FORGET, {"before": before})


@define(eq=False)
class MemoryLedger:
    """The port `Ledger`, forgotten at the end."""

    _amounts: dict[tuple[str, str, int], float] = field(factory=dict, init=False)

    async def add(self, entries: Sequence[Entry]) -> Sequence[float]:
        """See `Ledger.add`."""
        totals = []
        for one in entries:
            key = (one.account, one.measure, one.span)
            self._amounts[key] = self._amounts.get(key, 0.0) + one.amount
            totals.append(self._amounts[key])
        return totals

    async def forget(self, before: int) -> None:
        """See `Ledger.forget`."""
        self._amounts = {key: amount for key, amount in self._amounts.items() if key[2] >= before}
