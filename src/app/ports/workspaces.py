"""Projects of a runtime, and the workspaces and worktrees it keeps for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import frozen

from opencode_a2a_server.domain.session import Directory


@frozen
class Project:
    """A project, as the runtime tells directories apart."""

    id: str
    worktree: str
    name: str | None = None
    vcs: str | None = None
    sandboxes: tuple[str, ...] = ()


@frozen
class Workspace:
    """A workspace."""

    id: str
    type: str = ""
    name: str | None = None
    branch: str | None = None
    directory: str | None = None
    project_id: str | None = None


@frozen
class NewWorkspace:
    """A workspace to make; `extra` is for the maker of its type."""

    type: str
    id: str | None = None
    branch: str | None = None
    extra: Mapping[str, Any] | None = None


@frozen
class Worktree:
    """A worktree; only one that was just made tells its name and branch."""

    directory: str
    name: str | None = None
    branch: str | None = None


@frozen
class NewWorktree:
    """A worktree to make; `start_command` is run in a shell when it is there."""

    name: str | None = None
    start_command: str | None = None


class Workspaces(Protocol):
    """
    Raises as `Agent` does.

    The directory says of which project; None is the one the runtime was started in.
    """

    async def projects(self) -> Sequence[Project]:
        """Give all projects."""
        ...

    async def project(self, directory: Directory | None) -> Project:
        """Give the directory's."""
        ...

    async def workspaces(self, directory: Directory | None) -> Sequence[Workspace]:
        """Give the project's workspaces."""
        ...

    async def create_workspace(self, directory: Directory | None, wanted: NewWorkspace) -> Workspace:
        """Make one."""
        ...

    async def remove_workspace(self, directory: Directory | None, workspace: str) -> Workspace | None:
        """Remove one; gives what it was, None if the runtime does not know it."""
        ...

    async def worktrees(self, directory: Directory | None) -> Sequence[str]:
        """Give the directories of the project's worktrees."""
        ...

    async def create_worktree(self, directory: Directory | None, wanted: NewWorktree) -> Worktree:
        """Make one; it is filled a moment later."""
        ...

    async def remove_worktree(self, directory: Directory | None, worktree: str) -> None:
        """Remove one, its branch included."""
        ...

    async def reset_worktree(self, directory: Directory | None, worktree: str) -> None:
        """Put one back to the project's main branch."""
        ...
