"""
How what is kept is made small.

A body is a JSON array and so begins with a bracket; one that is pressed is a zlib stream, which begins with an `x`. So
both lie in one column, what earlier releases wrote is read as it is, and what would not become smaller stays.
"""

from __future__ import annotations

import zlib
from typing import Final

from opencode_a2a_server.domain.errors import JournalDamaged

_WORTH: Final = 320
"""Bytes from which on it is worth the time: a piece of text of 20 bytes would save nothing, one of 3000 half of it."""


def pressed(body: bytes) -> bytes:
    """Make a body small, if it is worth it."""
    if len(body) < _WORTH:
        return body
    small = zlib.compress(body, level=1)
    return small if len(small) < len(body) else body


def unpressed(kept: bytes) -> bytes:
    """
    Give a body back.

    Raises:
        JournalDamaged: It is damaged.

    """
    if kept[:1] != b"x":
        return kept
    try:
        return zlib.decompress(kept)
    except zlib.error as error:
        raise JournalDamaged(f"a row of the journal cannot be read: {error}") from error
