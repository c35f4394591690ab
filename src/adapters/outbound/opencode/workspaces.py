"""
OpenCode's projects, workspaces and worktrees as the port `Workspaces`.

The port's classes have OpenCode's shapes, so they are read as such.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from opencode_a2a_server.app.ports.workspaces import NewWorkspace, NewWorktree, Project, Workspace, Worktree
from opencode_a2a_server.domain.message import Json
from opencode_a2a_server.domain.session import Directory

from . import wire
from .client import Client, safe, within

_MAKING = 60.0
"""Seconds a workspace or a worktree may take to be made; the start command runs on its own."""


@frozen
class OpenCodeWorkspaces:
    """Projects, workspaces and worktrees."""

    client: Client

    async def projects(self) -> Sequence[Project]:
        """See `Workspaces.projects`."""
        return list(wire.read(await self.client.call("GET", "/project"), tuple[Project, ...]))

    async def project(self, directory: Directory | None) -> Project:
        """See `Workspaces.project`."""
        return wire.read(await self._call("GET", "/project/current", directory), Project)

    async def workspaces(self, directory: Directory | None) -> Sequence[Workspace]:
        """See `Workspaces.workspaces`."""
        return list(wire.read(await self._call("GET", "/experimental/workspace", directory), tuple[Workspace, ...]))

    async def create_workspace(self, directory: Directory | None, wanted: NewWorkspace) -> Workspace:
        """See `Workspaces.create_workspace`."""
        body: dict[str, Json] = {"type": wanted.type, "branch": wanted.branch}
        body["extra"] = None if wanted.extra is None else dict(wanted.extra)
        if wanted.id is not None:
            body["id"] = wanted.id
        data = await self._call("POST", "/experimental/workspace", directory, body)
        return wire.read(data, Workspace)

    async def remove_workspace(self, directory: Directory | None, workspace: str) -> Workspace | None:
        """See `Workspaces.remove_workspace`."""
        data = await self._call("DELETE", f"/experimental/workspace/{safe(workspace)}", directory)
        told = wire.parse(data) if data else None
        return None if told is None else wire.structure(told, Workspace)

    async def worktrees(self, directory: Directory | None) -> Sequence[str]:
        """See `Workspaces.worktrees`."""
        return list(wire.read(await self._call("GET", "/experimental/worktree", directory), tuple[str, ...]))

    async def create_worktree(self, directory: Directory | None, wanted: NewWorktree) -> Worktree:
        """See `Workspaces.create_worktree`."""
        body: dict[str, Json] = {"name": wanted.name, "startCommand": wanted.start_command}
        body = {name: value for name, value in body.items() if value is not None}
        return wire.read(await self._call("POST", "/experimental/worktree", directory, body), Worktree)

    async def remove_worktree(self, directory: Directory | None, worktree: str) -> None:
        """See `Workspaces.remove_worktree`."""
        await self._call("DELETE", "/experimental/worktree", directory, {"directory": worktree})

    async def reset_worktree(self, directory: Directory | None, worktree: str) -> None:
        """See `Workspaces.reset_worktree`."""
        await self._call("POST", "/experimental/worktree/reset", directory, {"directory": worktree})

    async def _call(
        self, method: str, path: str, directory: Directory | None, body: dict[str, Json] | None = None
    ) -> bytes:
        patience = None if body is None else max(_MAKING, self.client.address.timeout)
        return await self.client.call(method, path, query=within(self.client, directory), body=body, read=patience)
