"""What the benchmark measures with."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from ops.benchmark.script import Script

ROOT = Path(__file__).parents[2]


def pressed(text: bytes, length: int) -> float:
    """Say what is left of a text that is compressed in pieces of a length."""
    pieces = [text[start : start + length] for start in range(0, len(text) - length + 1, length)]
    return sum(len(zlib.compress(piece, 1)) for piece in pieces) / (len(pieces) * length)


@pytest.mark.parametrize("length", [500, 3000, 16_000, 100_000])
@pytest.mark.parametrize("real", ["docs/**/*.md", "src/domain/**/*.py"])
def test_its_text_compresses_no_better_than_prose_and_code(real: str, length: int) -> None:
    told = b"".join(path.read_bytes() for path in sorted(ROOT.glob(real)))

    assert pressed(Script(n=10_000, size=20).text(10_000).encode(), length) > pressed(told, length)
