"""The service under test: one for each module, with each binding in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conformance.agents import BINDINGS, Client, Service, serving


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on asyncio, as the service does."""
    return "asyncio"


@pytest.fixture(scope="module")
async def service(anyio_backend: str) -> AsyncIterator[Service]:
    """The service, as it is without further settings."""
    async with serving() as service:
        yield service


@pytest.fixture(params=BINDINGS)
def agent(service: Service, request: pytest.FixtureRequest) -> Client:
    """A client over each binding."""
    return Client(service, request.param)
