"""Identifiers by counting."""

from __future__ import annotations

import itertools

from attrs import define, field


@define(eq=False)
class CountedIds:
    """The port `Ids`: `a-1`, `a-2`, ..."""

    prefix: str = "id"
    _numbers: itertools.count[int] = field(factory=lambda: itertools.count(1), init=False)

    def new(self) -> str:
        """See `Ids.new`."""
        return f"{self.prefix}-{next(self._numbers)}"
