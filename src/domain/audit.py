"""What is kept of who did what: one record for each act."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from .ids import Principal
from .message import Json


@frozen
class Record:
    """
    Who did what to what, how, and what came of it.

    `principal` is None where the service acted itself; `channel` says by which way. `subject` names what it was about:
    `task`, `context`, `session`, `request` as far as there are any. `at` is in seconds since the epoch, UTC.
    """

    at: float
    action: str
    principal: Principal | None = None
    channel: str = ""
    subject: Mapping[str, str] = field(factory=dict)
    outcome: str = ""
    details: Mapping[str, Json] = field(factory=dict)
