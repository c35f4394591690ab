"""OpenCode's projects, workspaces and worktrees as the port `Workspaces`."""

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
class _Project:
    id: str
    worktree: str
    name: str | None = None
    vcs: str | None = None
    sandboxes: tuple[str, ...] = ()


@frozen
class _Workspace:
    id: str
    type: str = ""
    name: str | None = None
    branch: str | None = None
    directory: str | None = None
    project_id: str | None = None


@frozen
class _Worktree:
    directory: str
    name: str | None = None
    branch: str | None = None


@frozen
class OpenCodeWorkspaces:
    """Projects, workspaces and worktrees."""

    client: Client

    async def projects(self) -> Sequence[Project]:
        """See `Workspaces.projects`."""
        data = await self.client.call("GET", "/project")
        return [_project(told) for told in wire.read(data, tuple[_Project, ...])]

    async def project(self, directory: Directory | None) -> Project:
        """See `Workspaces.project`."""
        return _project(wire.read(await self._call("GET", "/project/current", directory), _Project))

    async def workspaces(self, directory: Directory | None) -> Sequence[Workspace]:
        """See `Workspaces.workspaces`."""
        data = await self._call("GET", "/experimental/workspace", directory)
        return [_workspace(told) for told in wire.read(data, tuple[_Workspace, ...])]

    async def create_workspace(self, directory: Directory | None, wanted: NewWorkspace) -> Workspace:
        """See `Workspaces.create_workspace`."""
        body: dict[str, Json] = {"type": wanted.type, "branch": wanted.branch}
        body["extra"] = None if wanted.extra is None else dict(wanted.extra)
        if wanted.id is not None:
            body["id"] = wanted.id
        data = await self._call("POST", "/experimental/workspace", directory, body)
        return _workspace(wire.read(data, _Workspace))

    async def remove_workspace(self, directory: Directory | None, workspace: str) -> Workspace | None:
        """See `Workspaces.remove_workspace`."""
        data = await self._call("DELETE", f"/experimental/workspace/{safe(workspace)}", directory)
        told = wire.parse(data) if data else None
        return None if told is None else _workspace(wire.structure(told, _Workspace))

    async def worktrees(self, directory: Directory | None) -> Sequence[str]:
        """See `Workspaces.worktrees`."""
        return list(wire.read(await self._call("GET", "/experimental/worktree", directory), tuple[str, ...]))

    async def create_worktree(self, directory: Directory | None, wanted: NewWorktree) -> Worktree:
        """See `Workspaces.create_worktree`."""
        body: dict[str, Json] = {"name": wanted.name, "startCommand": wanted.start_command}
        body = {name: value for name, value in body.items() if value is not None}
        told = wire.read(await self._call("POST", "/experimental/worktree", directory, body), _Worktree)
        return Worktree(told.directory, told.name, told.branch)

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


def _project(told: _Project) -> Project:
    return Project(told.id, told.worktree, told.name, told.vcs, told.sandboxes)


def _workspace(told: _Workspace) -> Workspace:
    return Workspace(told.id, told.type, told.name, told.branch, told.directory, told.project_id)
