"""See the runtime's projects, and make and remove workspaces and worktrees."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.ports.workspaces import NewWorkspace, NewWorktree, Project, Workspace, Workspaces, Worktree
from opencode_a2a_server.app.usecases.check_capability import CheckCapability
from opencode_a2a_server.app.usecases.choose_directory import ChooseDirectory, Place
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.session import Directory


@frozen
class TendWorkspaces:
    """
    What changes anything wants `Capability.WORKSPACE_MUTATION`.

    Raises what `ChooseDirectory`, `CheckCapability` and `Workspaces` raise.
    """

    workspaces: Workspaces
    choose: ChooseDirectory
    check: CheckCapability

    async def projects(self) -> Sequence[Project]:
        """Give all projects."""
        return await self.workspaces.projects()

    async def project(self, principal: Principal, place: Place) -> Project:
        """Give the directory's."""
        return await self.workspaces.project(await self.choose(principal, place))

    async def list(self, principal: Principal, place: Place) -> Sequence[Workspace]:
        """Give the project's workspaces."""
        return await self.workspaces.workspaces(await self.choose(principal, place))

    async def create(self, principal: Principal, place: Place, wanted: NewWorkspace) -> Workspace:
        """Make a workspace."""
        self.check(principal, Capability.WORKSPACE_MUTATION)
        return await self.workspaces.create_workspace(await self.choose(principal, place), wanted)

    async def remove(self, principal: Principal, place: Place, workspace: str) -> Workspace | None:
        """Remove one."""
        self.check(principal, Capability.WORKSPACE_MUTATION)
        return await self.workspaces.remove_workspace(await self.choose(principal, place), workspace)

    async def worktrees(self, principal: Principal, place: Place) -> Sequence[str]:
        """Give the directories of the project's worktrees."""
        return await self.workspaces.worktrees(await self.choose(principal, place))

    async def create_worktree(self, principal: Principal, place: Place, wanted: NewWorktree) -> Worktree:
        """Make a worktree."""
        self.check(principal, Capability.WORKSPACE_MUTATION)
        return await self.workspaces.create_worktree(await self.choose(principal, place), wanted)

    async def remove_worktree(self, principal: Principal, place: Place, worktree: str) -> None:
        """
        Remove one.

        Raises:
            InvalidRequest: The project has none there: the runtime would remove whatever it is told.

        """
        self.check(principal, Capability.WORKSPACE_MUTATION)
        await self.workspaces.remove_worktree(await self._of(principal, place, worktree), worktree)

    async def reset_worktree(self, principal: Principal, place: Place, worktree: str) -> None:
        """
        Put one back to the project's main branch.

        Raises:
            InvalidRequest: The project has none there.

        """
        self.check(principal, Capability.WORKSPACE_MUTATION)
        await self.workspaces.reset_worktree(await self._of(principal, place, worktree), worktree)

    async def _of(self, principal: Principal, place: Place, worktree: str) -> Directory | None:
        directory = await self.choose(principal, place)
        if worktree not in await self.workspaces.worktrees(directory):
            raise InvalidRequest(
                "the project has no such worktree; opencode.worktrees.list names them", "request.directory"
            )
        return directory
