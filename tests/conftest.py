"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys

import pytest

# What hundreds of processes load, those of the tests and those they start, is compiled once, not by each of them.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# What is forked here runs another program at once: gRPC needs to prepare nothing for it, nor to say that it could not.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, as the service does."""
    return "asyncio"


def pytest_collection_finish() -> None:
    """
    Leave what is loaded out of garbage collection.

    It lives as long as the tests do, and is so much that looking through it again and again takes a third of their time.
    """
    gc.collect()
    gc.freeze()
