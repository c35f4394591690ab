"""
What is heard while the runtime is asked what it shows.

A recollection is made of several calls, and one may take long. What is shown belongs before what was heard since it was
asked for: a block that was missed stands before one that begins now. But a text that is being told may go on, since
what it has is neither less nor other by what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from .events import Event, TextDelta, TextUnderway
from .ids import PartId
from .turn import Turn


@define(eq=False)
class Meanwhile:
    """Parts what is heard into what is told at once and what is `kept` for later, each in its order."""

    turn: Turn
    kept: list[Event] = field(factory=list, init=False)
    _held_up: set[PartId] = field(factory=set, init=False)
    """Parts of which something is kept, so that what follows has to wait behind it."""
    _stopped: bool = field(default=False, init=False)
    """Whether everything has to wait: behind a gap, or what else may concern any part."""

    def hear(self, events: Sequence[Event]) -> list[Event]:
        """Take events; gives those which are told at once."""
        return [event for event in events if not self._keeps(event)]

    def _keeps(self, event: Event) -> bool:
        if isinstance(event, TextDelta | TextUnderway) and self._may_go_on(event.part):
            return False
        part: PartId | None = getattr(event, "part", None)
        if part is None:
            self._stopped = True
        else:
            self._held_up.add(part)
        self.kept.append(event)
        return True

    def _may_go_on(self, part: PartId) -> bool:
        return not self._stopped and part not in self._held_up and self.turn.tells(part)
