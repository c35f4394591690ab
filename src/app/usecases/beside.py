"""Jobs that run beside all else, as long as whoever began them wants them to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from attrs import define, field


@define(eq=False)
class Beside:
    """Some jobs; nobody waits for them before their end."""

    _jobs: list[asyncio.Task[Any]] = field(factory=list, init=False)

    def begin(self, job: Coroutine[Any, Any, Any], name: str) -> None:
        """Let one run."""
        self._jobs.append(asyncio.get_running_loop().create_task(job, name=name))

    async def end(self) -> None:
        """Cancel all, and return when they are over, however they ended."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._jobs.clear()
