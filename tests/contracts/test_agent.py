"""The contract of the port `Agent`, for each of its adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager

import pytest

from tests.contracts.agent import AgentContract
from tests.contracts.harness import AgentHarness
from tests.contracts.opencode import opencode_harness
from tests.contracts.scripted import scripted_harness

pytestmark = pytest.mark.anyio

HARNESSES: Mapping[str, Callable[[], AbstractAsyncContextManager[AgentHarness]]] = {
    "opencode": opencode_harness,
    "scripted": scripted_harness,
}
"""One line for each adapter of the port."""


@pytest.fixture(params=HARNESSES)
async def harness(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[AgentHarness]:
    """Make the adapter under test, ready to be made to do things."""
    async with HARNESSES[request.param]() as made:
        yield made


class TestAgent(AgentContract):
    """See `AgentContract`."""
