"""Services on one store, in front of one upstream: as users run them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager

from ops.soaking.upstream import Upstream
from tests.e2e.service import RunningService, free_port


@asynccontextmanager
async def served(
    upstream: Upstream, store: str, replicas: int, settings: Mapping[str, str]
) -> AsyncIterator[list[RunningService]]:
    """Run so many; in threads, since they ask the upstream while they start."""
    chosen = {
        "OPENCODE_BASE_URL": f"http://127.0.0.1:{upstream.port}",
        "OPENCODE_DIRECTORY": upstream.fake.directory,
        "A2A_LOG_LEVEL": "WARNING",
        **settings,
    }
    stack = ExitStack()
    try:
        if store == "postgres":
            from tests.fakes.database import Database

            database = await asyncio.to_thread(stack.enter_context, Database())
            chosen["A2A_TASK_STORE_DATABASE_URL"] = database.url
        services = [RunningService(chosen | {"A2A_ADMIN_PORT": str(free_port())}) for _ in range(replicas)]
        for service in services:
            service.token = services[0].token
        for service in services:
            await asyncio.to_thread(stack.enter_context, service)
        yield services
    finally:
        await asyncio.to_thread(stack.close)
