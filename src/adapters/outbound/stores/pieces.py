"""
Little pieces of text that several tasks say at once, side by side in a table of their own.

A row of `updates` lies among those of its task: eight texts that grow by a few words each make eight pages anew in every
transaction, twenty times what was said. Together they make one. What has gathered is put in its place before it is much,
by one statement; a piece that is in both tables is the same in both, and is read once.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from attrs import define
from sqlalchemy import func, select, union
from sqlalchemy.dialects import sqlite

from .codec import says_text
from .statements import ADD_UPDATE, Statement, add_rows, wanted
from .storage import READ_ENTRIES, Head, Row
from .tables import PIECES, UPDATES

_LITTLE: Final = 512
"""Bytes that a task may say in a transaction and still say little; more makes pages of its own all the same."""
_MUCH: Final = 64 * 1024
"""Bytes after which pieces are put in their places: who reads goes through all of them."""
_ROW: Final = 24
"""Bytes of a row besides its body, about."""

ADD_PIECE: Final = Statement.of(sqlite.insert(PIECES), "place", "at", "body")
SETTLE: Final = (
    "INSERT INTO updates (place, at, body) SELECT place, at, body FROM pieces WHERE true "  # without, it reads no ON
    "ORDER BY place ON CONFLICT (place) DO NOTHING"
)
CLEAR: Final = "DELETE FROM pieces"
GATHERED: Final = f"SELECT coalesce(sum(length(body) + {_ROW}), 0) FROM pieces"  # noqa: S608 - no value is in it

SIZES: Final = Statement.of(
    union(*(select(of.c.place, func.length(of.c.body)).where(*wanted(of)) for of in (UPDATES, PIECES)))
    .order_by("place")
    .limit(READ_ENTRIES)
)
LINES: Final = Statement.of(
    union(*(select(of.c.place, of.c.at, of.c.body).where(*wanted(of)) for of in (UPDATES, PIECES))).order_by("place")
)


@define
class Pieces:
    """Says what is written to which table, and when pieces are put in their places."""

    _gathered: int | None = None
    """Bytes, about; None before what an earlier life left is counted."""

    def write(self, rows: Sequence[Row], database: sqlite3.Connection) -> int | None:
        """Add rows within a transaction; gives what `written` is to be told when it is committed."""
        own, little = apart(rows)
        for sql, added in add_rows(ADD_UPDATE, own):
            database.execute(sql, added)
        for sql, added in add_rows(ADD_PIECE, little):
            database.execute(sql, added)
        if not little:
            return self._gathered
        if self._gathered is None:
            (gathered,) = database.execute(GATHERED).fetchone()
        else:
            gathered = self._gathered + sum(len(body) + _ROW for _, _, _, body in little)
        if gathered < _MUCH:
            return int(gathered)
        settle(database)
        return 0

    def written(self, gathered: int | None) -> None:
        """Hear that the transaction is committed."""
        self._gathered = gathered


def settle(database: sqlite3.Connection) -> None:
    """Put all pieces in their places."""
    database.execute(SETTLE)
    database.execute(CLEAR)


def apart(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """Tell the rows of tasks which have a page to themselves from those of tasks which only say a little, each in order."""
    said: defaultdict[Head, int] = defaultdict(int)
    for head, _, _, body in rows:
        said[head] += len(body) if says_text(body) else _LITTLE
    little = {head for head, size in said.items() if size < _LITTLE}
    if len(little) <= 1:  # one makes a page of its own here or there
        return rows, ()
    return [row for row in rows if row[0] not in little], [row for row in rows if row[0] in little]
