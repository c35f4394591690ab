"""Methods about projects, workspaces and worktrees."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.ports.workspaces import NewWorkspace, NewWorktree
from opencode_a2a_server.app.usecases.tend_workspaces import TendWorkspaces

from .read import Identifier, Params, Placed, Words
from .row import Answer, ExtensionMethod, Risk, Rows
from .told import plain
from .uris import WORKSPACE_CONTROL

_SETTING: Final = "A2A_ENABLE_WORKSPACE_MUTATIONS"


class WorkspaceRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workspace to make."""

    type: Words
    id: Annotated[str, Meta(pattern=r"^wrk[A-Za-z0-9_-]{0,125}\Z")] | None = None
    branch: Words | None = None
    extra: dict[str, Any] | None = None


class CreateWorkspace(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workspace to make."""

    request: WorkspaceRequest


class OfWorkspace(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which workspace is meant."""

    workspace_id: Identifier


class WorktreeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worktree to make."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")] | None = None
    startCommand: Words | None = None  # noqa: N815 - OpenCode's


class CreateWorktree(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worktree to make."""

    request: WorktreeRequest = WorktreeRequest()


class WorktreeNamed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worktree, by its directory."""

    directory: Words


class OfWorktree(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which worktree is meant."""

    request: WorktreeNamed


async def _projects(workspaces: TendWorkspaces, _call: Call, _asked: Params) -> Told:
    return {"items": plain(await workspaces.projects())}


async def _project(workspaces: TendWorkspaces, call: Call, asked: Placed) -> Told:
    return {"item": plain(await workspaces.project(call.principal, asked.place))}


async def _list(workspaces: TendWorkspaces, call: Call, asked: Placed) -> Told:
    return {"items": plain(await workspaces.list(call.principal, asked.place))}


async def _create(workspaces: TendWorkspaces, call: Call, asked: CreateWorkspace) -> Told:
    wanted = NewWorkspace(asked.request.type, asked.request.id, asked.request.branch, asked.request.extra)
    return {"item": plain(await workspaces.create(call.principal, asked.place, wanted))}


async def _remove(workspaces: TendWorkspaces, call: Call, asked: OfWorkspace) -> Told:
    return {"item": plain(await workspaces.remove(call.principal, asked.place, asked.workspace_id))}


async def _worktrees(workspaces: TendWorkspaces, call: Call, asked: Placed) -> Told:
    return {"items": list(await workspaces.worktrees(call.principal, asked.place))}


async def _create_worktree(workspaces: TendWorkspaces, call: Call, asked: CreateWorktree) -> Told:
    wanted = NewWorktree(asked.request.name, asked.request.startCommand)
    return {"item": plain(await workspaces.create_worktree(call.principal, asked.place, wanted))}


async def _remove_worktree(workspaces: TendWorkspaces, call: Call, asked: OfWorktree) -> Told:
    await workspaces.remove_worktree(call.principal, asked.place, asked.request.directory)
    return {"ok": True}


async def _reset_worktree(workspaces: TendWorkspaces, call: Call, asked: OfWorktree) -> Told:
    await workspaces.reset_worktree(call.principal, asked.place, asked.request.directory)
    return {"ok": True}


_ROWS: Final[Rows[TendWorkspaces]] = Rows(WORKSPACE_CONTROL, lambda services: services.workspaces)

ROWS: Final[tuple[ExtensionMethod, ...]] = (
    _ROWS.of(
        "opencode.projects.list",
        "list_projects",
        summary="The projects OpenCode knows.",
        params=Params,
        answer=Answer(("items",), "ProjectSummary"),
        call=_projects,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.projects.current",
        "get_current_project",
        summary="The project of the directory.",
        params=Placed,
        answer=Answer(("item",), "ProjectSummary"),
        call=_project,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.workspaces.list",
        "list_workspaces",
        summary="The project's workspaces (experimental in OpenCode).",
        params=Placed,
        answer=Answer(("items",), "WorkspaceSummary"),
        call=_list,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.workspaces.create",
        "create_workspace",
        summary="Make a workspace (experimental in OpenCode).",
        params=CreateWorkspace,
        answer=Answer(("item",), "WorkspaceSummary"),
        call=_create,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
    _ROWS.of(
        "opencode.workspaces.remove",
        "remove_workspace",
        summary="Remove a workspace (experimental in OpenCode).",
        params=OfWorkspace,
        answer=Answer(("item",), "WorkspaceSummary"),
        call=_remove,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
    _ROWS.of(
        "opencode.worktrees.list",
        "list_worktrees",
        summary="The directories of the project's worktrees (experimental in OpenCode).",
        params=Placed,
        answer=Answer(("items",), "string"),
        call=_worktrees,
        since="1.4",
    ),
    _ROWS.of(
        "opencode.worktrees.create",
        "create_worktree",
        summary="Make a worktree; `startCommand` is run in a shell there (experimental in OpenCode).",
        params=CreateWorktree,
        answer=Answer(("item",), "WorktreeSummary"),
        call=_create_worktree,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
    _ROWS.of(
        "opencode.worktrees.remove",
        "remove_worktree",
        summary="Remove a worktree and its branch (experimental in OpenCode).",
        params=OfWorktree,
        answer=Answer(("ok",)),
        call=_remove_worktree,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
    _ROWS.of(
        "opencode.worktrees.reset",
        "reset_worktree",
        summary="Put a worktree back to the project's main branch (experimental in OpenCode).",
        params=OfWorktree,
        answer=Answer(("ok",)),
        call=_reset_worktree,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
)
