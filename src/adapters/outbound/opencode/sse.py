"""
Bytes of an event stream to the data of its events, sans-IO.

What the specification (WHATWG HTML, 9.2.6) says, on bytes: lines end with LF, CR or CRLF and with nothing else, so
that U+2028 or U+0085 in a text are just text. OpenCode sends one line of data per event and nothing more; that is the
fast path, the rest is correct.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

LARGEST_FRAME = 16 * 1024 * 1024
"""Bytes of one event, unless the parser is told otherwise."""

_BOM = b"\xef\xbb\xbf"
_FAST = b"data: "


@define(eq=False)
class SseParser:
    """
    One stream being read. Feed it whatever comes, it gives the data of each event that is whole.

    An event larger than `largest` is dropped whole and never kept. Who reads `dropped` after each `feed` and finds it
    grown knows that something is missing before, between or after the events just given.
    """

    largest: int = LARGEST_FRAME
    dropped: int = field(default=0, init=False)
    """Events dropped so far."""

    _tail: list[bytes] = field(factory=list, init=False)
    """Pieces of an event that is not whole, without a line end that may be half of its blank line."""
    _tail_size: int = field(default=0, init=False)
    _line_ended: bool = field(default=False, init=False)
    _oversized: bool = field(default=False, init=False)
    _after_cr: bool = field(default=False, init=False)
    _start: bytes | None = field(default=b"", init=False)
    """The first bytes, until it is clear whether they are a byte order mark; then None."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take more bytes."""
        if self._start is not None:
            chunk = self._skip_mark(chunk)
        if self._after_cr or b"\r" in chunk:
            chunk = self._plain(chunk)
        if not chunk:
            return []
        if self._line_ended:
            chunk = b"\n" + chunk
        first, *others = chunk.split(b"\n\n")
        if not others:
            self._keep(first)
            return []
        last = others.pop()
        data: list[bytes] = []
        self._read(self._finish(first), data)
        for event in others:
            self._read(event, data)
        self._keep(last)
        return data

    def _skip_mark(self, chunk: bytes) -> bytes:
        chunk = (self._start or b"") + chunk
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            self._start = chunk
            return b""
        self._start = None
        return chunk.removeprefix(_BOM)

    def _plain(self, chunk: bytes) -> bytes:
        """Make all line ends LF; a CR at the end of the last chunk was told as one, its LF comes only now."""
        if not chunk:
            return chunk
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, piece: bytes) -> None:
        self._line_ended = piece.endswith(b"\n")
        if self._line_ended:
            piece = piece[:-1]
        if not piece or self._oversized:
            return
        self._tail_size += len(piece)
        if self._tail_size > self.largest:
            self._oversized = True
            self.dropped += 1
            self._tail.clear()
        else:
            self._tail.append(piece)

    def _finish(self, end: bytes) -> bytes:
        """Give the event which ends here; nothing if it has become too large."""
        whole = b"" if self._oversized else b"".join([*self._tail, end]) if self._tail else end
        self._tail.clear()
        self._tail_size = 0
        self._oversized = False
        return whole

    def _read(self, event: bytes, data: list[bytes]) -> None:
        if len(event) > self.largest:
            self.dropped += 1
        elif event.startswith(_FAST) and b"\n" not in event:
            data.append(event[6:])
        else:
            values = [value for name, _, value in _fields(event) if name == b"data"]
            if values:
                data.append(b"\n".join(value.removeprefix(b" ") for value in values))


def _fields(event: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    return (line.partition(b":") for line in event.split(b"\n"))
