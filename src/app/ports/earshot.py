"""What a listener of the runtime knows of texts that are being told, and may say to others who listen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from attrs import frozen

from opencode_a2a_server.domain.events import TextKind
from opencode_a2a_server.domain.ids import PartId


@frozen
class Mark:
    """How far a text is: so many characters, with an event that all who listen hear under the same name."""

    part: PartId
    kind: TextKind
    length: int
    event: str


class Earshot(Protocol):
    """
    Texts in the midst of being told, as one process hears them.

    Who has heard one from its beginning can go on with it, whoever ran its turn before. Who came later has to be told
    once how far it is.
    """

    async def unplaced(self) -> Sequence[PartId]:
        """Wait until there are texts of which it is not known how far they are; names some of them."""
        ...

    def marks(self, parts: Iterable[PartId]) -> Sequence[Mark]:
        """Say how far these are, as far as it is known."""
        ...

    def place(self, mark: Mark) -> None:
        """Take how far a text is; a mark that does not fit what was heard, or is not needed, changes nothing."""
        ...
