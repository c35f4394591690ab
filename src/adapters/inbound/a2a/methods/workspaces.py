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
from .row import Answer, ExtensionMethod, MethodServices, Risk, row
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


def _part(services: MethodServices) -> TendWorkspaces | None:
    return services.workspaces


ROWS: Final[tuple[ExtensionMethod, ...]] = (
    row(
        "opencode.projects.list",
        "list_projects",
        extension=WORKSPACE_CONTROL,
        summary="The projects OpenCode knows.",
        params=Params,
        answer=Answer(("items",), "ProjectSummary"),
        part=_part,
        call=_projects,
        since="1.4",
    ),
    row(
        "opencode.projects.current",
        "get_current_project",
        extension=WORKSPACE_CONTROL,
        summary="The project of the directory.",
        params=Placed,
        answer=Answer(("item",), "ProjectSummary"),
        part=_part,
        call=_project,
        since="1.4",
    ),
    row(
        "opencode.workspaces.list",
        "list_workspaces",
        extension=WORKSPACE_CONTROL,
        summary="The project's workspaces (experimental in OpenCode).",
        params=Placed,
        answer=Answer(("items",), "WorkspaceSummary"),
        part=_part,
        call=_list,
        since="1.4",
    ),
    row(
        "opencode.workspaces.create",
        "create_workspace",
        extension=WORKSPACE_CONTROL,
        summary="Make a workspace (experimental in OpenCode).",
        params=CreateWorkspace,
        answer=Answer(("item",), "WorkspaceSummary"),
        part=_part,
        call=_create,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
    row(
        "opencode.workspaces.remove",
        "remove_workspace",
        extension=WORKSPACE_CONTROL,
        summary="Remove a workspace (experimental in OpenCode).",
        params=OfWorkspace,
        answer=Answer(("item",), "WorkspaceSummary"),
        part=_part,
        call=_remove,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
    row(
        "opencode.worktrees.list",
        "list_worktrees",
        extension=WORKSPACE_CONTROL,
        summary="The directories of the project's worktrees (experimental in OpenCode).",
        params=Placed,
        answer=Answer(("items",), "string"),
        part=_part,
        call=_worktrees,
        since="1.4",
    ),
    row(
        "opencode.worktrees.create",
        "create_worktree",
        extension=WORKSPACE_CONTROL,
        summary="Make a worktree; `startCommand` is run in a shell there (experimental in OpenCode).",
        params=CreateWorktree,
        answer=Answer(("item",), "WorktreeSummary"),
        part=_part,
        call=_create_worktree,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
    row(
        "opencode.worktrees.remove",
        "remove_worktree",
        extension=WORKSPACE_CONTROL,
        summary="Remove a worktree and its branch (experimental in OpenCode).",
        params=OfWorktree,
        answer=Answer(("ok",)),
        part=_part,
        call=_remove_worktree,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
    row(
        "opencode.worktrees.reset",
        "reset_worktree",
        extension=WORKSPACE_CONTROL,
        summary="Put a worktree back to the project's main branch (experimental in OpenCode).",
        params=OfWorktree,
        answer=Answer(("ok",)),
        part=_part,
        call=_reset_worktree,
        since="1.4",
        risk=Risk.DANGER,
        capability=Capability.WORKSPACE_MUTATION,
        setting=_SETTING,
    ),
)
