"""Why a store cannot be opened: found out at the start, and the start's end. And why it writes no longer."""

from __future__ import annotations

from opencode_a2a_server.domain.errors import JournalUnavailable


class StoreUnusable(Exception):
    """The store cannot be opened as it is; the message says what to do about it."""


class SchemaUnknown(StoreUnusable):
    """The database was made by a newer release, or by another program."""


class Fenced(JournalUnavailable):
    """Others have taken this process for dead: what it wanted to write is theirs to say."""
