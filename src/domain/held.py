"""What is told too early: of messages before it is known whose they are, and of blocks that belong behind what was missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from attrs import define, field

from .events import ContentSeen, FilesChanged, PartRemoved, StepFinished, TextDelta, TextSeen, TextUnderway, ToolSeen
from .ids import MessageId, PartId, SessionId

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


_MOST_BEHIND = 50_000


@define
class Behind:
    """What is told of blocks that come behind what was missed, in the order it was told."""

    _kept: list[PartTelling] = field(factory=list, init=False)
    _parts: set[PartId] = field(factory=set, init=False)

    def __contains__(self, part: PartId) -> bool:
        return part in self._parts

    def keep(self, telling: PartTelling) -> bool:
        """Keep one; False if that is too much: then nothing is kept any more, and snapshots have to tell."""
        self._kept.append(telling)
        self._parts.add(telling.part)
        if len(self._kept) > _MOST_BEHIND:
            self.take_all()
            return False
        return True

    def take(self, part: PartId) -> Sequence[PartTelling]:
        """Give what was kept of one part."""
        if part not in self._parts:
            return ()
        taken = [telling for telling in self._kept if telling.part == part]
        self.drop(lambda telling: telling.part == part)
        return taken

    def take_all(self) -> Sequence[PartTelling]:
        """Give all that was kept."""
        kept, self._kept = self._kept, []
        self._parts.clear()
        return kept

    def drop(self, unwanted: Callable[[PartTelling], bool]) -> None:
        """Forget what does not count any more."""
        self._kept = [telling for telling in self._kept if not unwanted(telling)]
        self._parts = {telling.part for telling in self._kept}

    def abandon(self, session: SessionId) -> None:
        """Forget the texts that a session had not finished: it is going to say them again."""
        whole = {telling.part for telling in self._kept if isinstance(telling, TextSeen) and telling.closed}
        unfinished = set(self.texts()) - whole
        self.drop(lambda telling: telling.session == session and telling.part in unfinished)

    def texts(self) -> Iterator[PartId]:
        """Name the parts of which text is kept."""
        yield from (telling.part for telling in self._kept if isinstance(telling, TextSeen | TextDelta | TextUnderway))
