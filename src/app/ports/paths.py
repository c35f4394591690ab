"""The disk the runtime works on."""

from __future__ import annotations

from typing import Protocol

from opencode_a2a_server.domain.workspace import Sight


class Paths(Protocol):
    """What can be seen of the runtime's disk from where the service runs."""

    async def look(self, path: str) -> Sight:
        """
        Look at an absolute path: where it really leads, and what is there.

        What is not there has a real path too, as far as its parents are. Raises nothing; a path that cannot be looked
        at has nothing there, and on a disk that is not ours everything is unseen, and left as it was said.
        """
        ...
