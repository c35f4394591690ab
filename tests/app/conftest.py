"""What tests of the application share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.app.house import House, Stage, living


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[House]:
    """Give the use cases, at work."""
    stage = Stage()
    async with stage.scripted, living(stage) as house:
        yield house
