"""What all tests share."""

from __future__ import annotations

import os
import sys

import pytest

# What hundreds of processes load, those of the tests and those they start, is compiled once, not by each of them.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, as the service does."""
    return "asyncio"
