"""
How deltas and snapshots of one text block become appends.

The reader's copy only ever grows by appends, except when the runtime rewrites what it told. Whatever the order and
mix, once the runtime gave the whole text the reader has exactly that, each character once.
"""

from __future__ import annotations

from attrs import define, field, frozen


@frozen
class Append:
    """The reader adds this text; with `last` the block is whole."""

    text: str
    last: bool = False


@frozen
class Rewrite:
    """What the reader has is not how the text begins: it starts over with this one."""

    text: str
    last: bool = False


@define
class TextBlock:
    """
    One text block being told.

    `torn` means that deltas may have been missed: nothing is passed on until a snapshot, or somebody who has heard all of
    them, tells what they were, since what comes now does not follow what the reader has.
    """

    torn: bool = False
    closed: bool = False
    _pieces: list[str] = field(factory=list)
    _ahead: str = ""
    """What a snapshot told before its deltas came: they will come, and say nothing new."""

    @classmethod
    def resumed(cls, text: str, *, closed: bool) -> TextBlock:
        """Go on with a block of which the reader has `text`."""
        return cls(torn=not closed, closed=closed, pieces=[text] if text else [])

    @property
    def text(self) -> str:
        """What the reader has."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def delta(self, text: str) -> str:
        """Take more text; what comes back is what the reader adds."""
        if self.closed or self.torn:
            return ""
        if self._ahead:
            if self._ahead.startswith(text):
                self._ahead = self._ahead[len(text) :]
                return ""
            text = text.removeprefix(self._ahead)
            self._ahead = ""
        return self._tell(text)

    def catch_up(self, length: int, tail: str) -> str:
        """
        Take how far the text is: so many characters, and the last of them; what comes back is what the reader adds.

        A torn block goes on from there, if what the reader has reaches into the tail or goes beyond it.
        """
        have, start = self.text, length - len(tail)
        if self.closed or not self.torn or len(have) < start:
            return ""
        known = len(have) - start
        if have[start:length] != tail[:known]:
            return ""  # not the same text; its whole will settle it
        self.torn = False
        self._ahead = have[length:]
        return self._tell(tail[known:])

    def snapshot(self, text: str, *, closed: bool) -> Append | Rewrite | None:
        """Take the text as it stands, whole if `closed`; what comes back is what the reader must do."""
        if self.closed:
            return None
        self.closed = closed
        have = self.text
        if text.startswith(have):
            tail = text[len(have) :]
            self._ahead = "" if closed else self._ahead + tail
            self._tell(tail)
            return Append(tail, last=closed) if tail or closed else None
        if not closed:
            return None  # an older snapshot, overtaken by deltas; the whole text will settle it
        return self.rewrite(text)

    def rewrite(self, text: str, *, last: bool = True) -> Rewrite:
        """Start over with this text."""
        self._pieces, self._ahead = [], ""
        self._tell(text)
        return Rewrite(text, last=last)

    def _tell(self, text: str) -> str:
        if text:
            self._pieces.append(text)
        return text
