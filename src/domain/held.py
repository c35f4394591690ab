"""What is told of messages before it is known whose they are: kept, until somebody says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from attrs import define, field

from .events import ContentSeen, FilesChanged, PartRemoved, StepFinished, TextDelta, TextSeen, TextUnderway, ToolSeen
from .ids import MessageId, PartId

PartTelling: TypeAlias = (
    TextSeen | TextDelta | TextUnderway | ToolSeen | ContentSeen | PartRemoved | FilesChanged | StepFinished
)

_ENOUGH = 4096
"""Events kept for one message; beyond, snapshots have to tell."""


@define
class Held:
    """All that is kept, of each message in the order it was told."""

    _kept: dict[MessageId, list[PartTelling]] = field(factory=dict, init=False)

    @property
    def any(self) -> bool:
        """Whether anything is kept."""
        return bool(self._kept)

    def keep(self, telling: PartTelling, message: MessageId) -> None:
        """Keep what is said of a message, unless that is too much already."""
        kept = self._kept.setdefault(message, [])
        if len(kept) <= _ENOUGH:
            kept.append(telling)

    def drop(self, message: MessageId) -> None:
        """Forget what was said of a message."""
        self._kept.pop(message, None)

    def take(self, message: MessageId) -> tuple[Sequence[PartTelling], bool]:
        """Give what was kept of a message, and whether that is all there was to keep."""
        kept = self._kept.pop(message, [])
        return kept, len(kept) <= _ENOUGH

    def take_part(self, message: MessageId, part: PartId) -> Sequence[PartTelling]:
        """Give what was kept of one part, if all of its message was."""
        kept = self._kept.get(message, [])
        if len(kept) > _ENOUGH or all(telling.part != part for telling in kept):
            return ()
        self._kept[message] = [telling for telling in kept if telling.part != part]
        return [telling for telling in kept if telling.part == part]

    def texts(self) -> Iterator[PartId]:
        """Name the parts of which text is kept."""
        for kept in self._kept.values():
            yield from (telling.part for telling in kept if isinstance(telling, TextSeen | TextDelta))
