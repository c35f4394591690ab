"""
Lines that each hold the hash of the line before: what is changed, left out or moved among them shows.

Who can write the file can write it anew from some line on, with all hashes after it. So what must hold against the
owner of the machine has to leave it: keep the last hash elsewhere now and then, or send the lines away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

BEGIN: Final = "0" * 64
"""What the first line of all holds."""


@frozen
class Link:
    """Where a chain has come to: how many lines, and the hash of the last one."""

    seq: int = 0
    hash: str = BEGIN

    def next(self, told: Mapping[str, Any]) -> tuple[bytes, Link]:
        """Give the line that holds this, and where the chain has come to with it."""
        # ASCII, so that nothing in it ends the line for any reader, or cannot be said.
        whole = {**told, "seq": self.seq + 1, "prev": self.hash}
        line = json.dumps(whole, separators=(",", ":"), default=list).encode("ascii")
        return line + b"\n", Link.after(line)

    @classmethod
    def after(cls, line: bytes) -> Link:
        """
        Say where the chain has come to with a line.

        Raises:
            ValueError: It is no line of a chain.

        """
        try:
            read = json.loads(line)
        except RecursionError as deep:
            raise ValueError("it is too deep") from deep
        if not isinstance(read, dict) or not isinstance(read.get("seq"), int) or not isinstance(read.get("prev"), str):
            raise ValueError("it is no line of an audit")  # noqa: TRY004 - what was read is of no use, whatever its type
        return cls(read["seq"], hashlib.sha256(line.rstrip(b"\n")).hexdigest())


@frozen
class Broken:
    """The first line that does not follow from the one before."""

    file: Path
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.why}"


@frozen
class Whole:
    """All lines follow from each other."""

    lines: int
    begins: int
    """The number of the first line; more than 1 if earlier ones are in another file."""
    end: Link


def verify(files: Iterable[Path]) -> Broken | Whole:
    """
    Check files that continue each other, the oldest first.

    Raises:
        OSError: One cannot be read.

    """
    link: Link | None = None
    lines = begins = 0
    for path in files:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    after = Link.after(line)
                except ValueError as error:
                    return Broken(path, number, f"it cannot be read ({error})")
                if why := _why(line, after.seq, link):
                    return Broken(path, number, why)
                begins = begins or after.seq
                link, lines = after, lines + 1
    return Whole(lines, begins, link or Link())


def _why(line: bytes, seq: int, before: Link | None) -> str:
    if not line.endswith(b"\n"):
        return "it is not whole"
    prev = json.loads(line)["prev"]
    if before is None:
        return "" if (seq == 1) == (prev == BEGIN) else "it is the first, and says that another was before it"
    if seq != before.seq + 1:
        return f"it has the number {seq}, and should have {before.seq + 1}"
    return "" if prev == before.hash else "the line before it was changed: its hash is another"
