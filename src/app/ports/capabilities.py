"""Who may do what is dangerous."""

from __future__ import annotations

import enum
from typing import Protocol

from opencode_a2a_server.domain.ids import Principal


class Capability(enum.Enum):
    """What is off unless the operator switches it on, and then for whom."""

    SESSION_SHELL = "session_shell"
    """Run any command in the runtime's shell."""
    SESSION_DELETE = "session_delete"
    """Delete sessions for good."""
    WORKSPACE_MUTATION = "workspace_mutation"
    """Make, reset and remove workspaces and worktrees; their start command is a shell's."""


class May(Protocol):
    """Say whether a principal may use something that is switched on."""

    def __call__(self, principal: Principal, capability: Capability) -> bool:
        """Say it, at once."""
        ...
