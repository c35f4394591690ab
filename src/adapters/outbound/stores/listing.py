"""
What is asked of SQLite to list tasks: one statement for each set of filters, so that each is read off one index.

Of the bounds both are always given: "from the beginning" is a moment after all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, func, select, tuple_

from opencode_a2a_server.app.ports.tasks import Place, Wanted
from opencode_a2a_server.domain.ids import Principal

from .statements import Statement
from .tables import TALLIES, TASKS

_LONG_AGO: Final = float("-inf")


def _own(*, context: bool, state: bool) -> list[ColumnElement[bool]]:
    return [
        TASKS.c.principal == bindparam("principal"),
        *([TASKS.c.context_id == bindparam("context_id")] if context else []),
        *([TASKS.c.state == bindparam("state")] if state else []),
        TASKS.c.status_at >= bindparam("since"),
    ]


def _page(*, context: bool, state: bool) -> Statement:
    place = tuple_(TASKS.c.status_at, TASKS.c.id)
    return Statement.of(
        select(TASKS.c.status_at, TASKS.c.id)
        .where(*_own(context=context, state=state), place < tuple_(bindparam("at"), bindparam("after")))
        .order_by(TASKS.c.status_at.desc(), TASKS.c.id.desc())
        .limit(bindparam("most"))
    )


def _count(*, context: bool, state: bool) -> Statement:
    return Statement.of(select(func.count()).select_from(TASKS).where(*_own(context=context, state=state)))


def _tally(*, state: bool) -> Statement:
    wanted = [TALLIES.c.principal == bindparam("principal")]
    if state:
        wanted.append(TALLIES.c.state == bindparam("state"))
    return Statement.of(select(func.coalesce(func.sum(TALLIES.c.count), 0)).where(*wanted))


_FILTERS: Final = tuple(product((False, True), repeat=2))
_PAGES: Final = {filters: _page(context=filters[0], state=filters[1]) for filters in _FILTERS}
_COUNTS: Final = {filters: _count(context=filters[0], state=filters[1]) for filters in _FILTERS}
_TALLIES: Final = {state: _tally(state=state) for state in (False, True)}


def page(wanted: Wanted) -> Statement:
    """Give the statement for a page."""
    return _PAGES[wanted.context_id is not None, wanted.state is not None]


def total(wanted: Wanted) -> Statement:
    """Give the statement for how many there are; what is counted here is one context, or what is new."""
    state = wanted.state is not None
    if wanted.context_id is None and wanted.since is None:
        return _TALLIES[state]
    return _COUNTS[wanted.context_id is not None, state]


def values(principal: Principal, wanted: Wanted, size: int, after: Place) -> Mapping[str, Any]:
    """Give the parameters; one place more than the page has says whether another page follows."""
    return {
        "principal": principal,
        "context_id": wanted.context_id,
        "state": None if wanted.state is None else wanted.state.value,
        "since": _LONG_AGO if wanted.since is None else wanted.since,
        "at": after.at,
        "after": after.task_id,
        "most": size + 1,
    }
