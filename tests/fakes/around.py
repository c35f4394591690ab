"""What a runtime offers besides sessions, made up."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from opencode_a2a_server.app.ports.catalog import AgentOffered, CommandOffered, Model, Offer, Provider, ToolServer
from opencode_a2a_server.app.ports.files import Branch, Content, Entry, FileStatus, Match
from opencode_a2a_server.app.ports.sessions import FileDiff
from opencode_a2a_server.app.ports.workspaces import NewWorkspace, NewWorktree, Project, Workspace, Worktree
from opencode_a2a_server.domain.session import Directory


@define(eq=False)
class FakeCatalog:
    """See `Catalog`; `asked` is for which directories."""

    asked: list[Directory | None] = field(factory=list)

    async def models(self, directory: Directory | None) -> Offer:
        """See `Catalog.models`."""
        self.asked.append(directory)
        models = [
            Model("one", "small", "Small", default=True, connected=True),
            Model("two", "large", "Large", default=False, connected=False),
        ]
        providers = [Provider("one", "One", connected=True, model_count=1)]
        return Offer(providers, models, {"one": "small"}, ["one"])

    async def agents(self, directory: Directory | None) -> Sequence[AgentOffered]:
        """See `Catalog.agents`."""
        self.asked.append(directory)
        return [AgentOffered("build", "primary")]

    async def commands(self, directory: Directory | None) -> Sequence[CommandOffered]:
        """See `Catalog.commands`."""
        self.asked.append(directory)
        return [CommandOffered("hello", hints=("$1",))]

    async def tool_servers(self, directory: Directory | None) -> Sequence[ToolServer]:
        """See `Catalog.tool_servers`."""
        self.asked.append(directory)
        return [ToolServer("gone", "failed", "no such program")]


@define(eq=False)
class FakeFiles:
    """See `Files`; `asked` is what was asked for where."""

    asked: list[tuple[Directory | None, str]] = field(factory=list)

    async def find(self, directory: Directory | None, query: str, kind: str | None, limit: int) -> Sequence[str]:
        """See `Files.find`."""
        self.asked.append((directory, query))
        return [f"{query}{number}.py" for number in range(limit + 5)]

    async def search(self, directory: Directory | None, pattern: str) -> Sequence[Match]:
        """See `Files.search`."""
        self.asked.append((directory, pattern))
        return [Match("a.py", number, pattern) for number in range(200)]

    async def list(self, directory: Directory | None, path: str) -> Sequence[Entry]:
        """See `Files.list`."""
        self.asked.append((directory, path))
        return [Entry("a.py", "a.py", "file")]

    async def read(self, directory: Directory | None, path: str) -> Content:
        """See `Files.read`."""
        self.asked.append((directory, path))
        return Content("text", "hello")

    async def status(self, directory: Directory | None) -> Sequence[FileStatus]:
        """See `Files.status`."""
        return [FileStatus("a.py", "modified", 1, 2)]

    async def branch(self, directory: Directory | None) -> Branch:
        """See `Files.branch`."""
        return Branch()

    async def changes(self, directory: Directory | None, against: str) -> Sequence[FileDiff]:
        """See `Files.changes`."""
        self.asked.append((directory, against))
        return [FileDiff("a.py", "@@", 1, 2, "modified")]


@define(eq=False)
class FakeWorkspaces:
    """See `Workspaces`; what is done is seen in the lists."""

    made: dict[str, Workspace] = field(factory=dict)
    trees: dict[str, str] = field(factory=dict)
    """Worktrees, each with what was last done to it."""

    async def projects(self) -> Sequence[Project]:
        """See `Workspaces.projects`."""
        return [Project("p1", "/w", vcs="git")]

    async def project(self, directory: Directory | None) -> Project:
        """See `Workspaces.project`."""
        return Project("p1", directory or "/w")

    async def workspaces(self, directory: Directory | None) -> Sequence[Workspace]:
        """See `Workspaces.workspaces`."""
        return [*self.made.values()]

    async def create_workspace(self, directory: Directory | None, wanted: NewWorkspace) -> Workspace:
        """See `Workspaces.create_workspace`."""
        self.made["wrk_1"] = Workspace("wrk_1", wanted.type, branch=wanted.branch)
        return self.made["wrk_1"]

    async def remove_workspace(self, directory: Directory | None, workspace: str) -> Workspace | None:
        """See `Workspaces.remove_workspace`."""
        return self.made.pop(workspace, None)

    async def worktrees(self, directory: Directory | None) -> Sequence[str]:
        """See `Workspaces.worktrees`."""
        return [*self.trees]

    async def create_worktree(self, directory: Directory | None, wanted: NewWorktree) -> Worktree:
        """See `Workspaces.create_worktree`."""
        name = wanted.name or "tree"
        self.trees[f"/trees/{name}"] = wanted.start_command or "made"
        return Worktree(f"/trees/{name}", name, f"opencode/{name}")

    async def remove_worktree(self, directory: Directory | None, worktree: str) -> None:
        """See `Workspaces.remove_worktree`."""
        del self.trees[worktree]

    async def reset_worktree(self, directory: Directory | None, worktree: str) -> None:
        """See `Workspaces.reset_worktree`."""
        self.trees[worktree] = "reset"
