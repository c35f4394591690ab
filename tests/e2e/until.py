"""Waiting for something which another process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PAUSE = 0.02


def until(look: Callable[[], T], *, within: float = 30.0, what: str = "") -> T:
    """
    Look again and again until there is something to see, and return it.

    Args:
        look: What to try; a false value means not yet.
        within: The seconds after which it is an AssertionError.
        what: What the reader of a failure has been waiting for.

    """
    end = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen

        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s: {what or look}")

        time.sleep(_PAUSE)
