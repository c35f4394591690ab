"""Words between replicas, over the database they share."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from .reads import Asked
from .replica import SAID, TELL, Replica


@frozen
class NoTalk:
    """The port `Talk` for a store that is this process's alone: nobody listens."""

    async def say(self, word: str) -> None:
        """Say it to nobody."""

    def listen(self, ear: Callable[[str], None]) -> None:
        """Nobody says anything."""


@frozen
class SharedTalk:
    """The port `Talk` over a database."""

    _storage: Asked
    _replica: Replica

    async def say(self, word: str) -> None:
        """See `Talk.say`."""
        if not self._replica.others:
            return
        async with self._storage.asking() as connection:
            await connection.execute(TELL, f"{SAID}:{word}")

    def listen(self, ear: Callable[[str], None]) -> None:
        """See `Talk.listen`."""
        self._replica.listen(SAID, lambda word: ear(word) if word else None)
