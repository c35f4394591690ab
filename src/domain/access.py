"""What somebody may do: operations by scopes, what is dangerous by capabilities, directories and models by patterns."""

from __future__ import annotations

import enum
from collections.abc import Collection
from fnmatch import fnmatchcase

from attrs import frozen

from .ids import Principal
from .session import ModelChoice


class Capability(enum.Enum):
    """What is off unless the operator switches it on, and then for whom."""

    SESSION_SHELL = "session_shell"
    """Run any command in the runtime's shell."""
    SESSION_DELETE = "session_delete"
    """Delete sessions for good."""
    WORKSPACE_MUTATION = "workspace_mutation"
    """Make, reset and remove workspaces and worktrees; their start command is a shell's."""


EVERYTHING = "*"
READ = "read"
WRITE = "write"


def is_scope(text: str, operations: Collection[str]) -> bool:
    """Whether a scope names anything at all among these operations."""
    return text in (EVERYTHING, READ, WRITE) or any(fnmatchcase(name, text) for name in operations)


@frozen
class Grant:
    """
    What one credential is good for.

    A scope is `read`, `write`, `*` for both, or a pattern of operations' names, such as `opencode.sessions.*`.
    """

    scopes: tuple[str, ...] = (EVERYTHING,)
    capabilities: frozenset[Capability] = frozenset(Capability)

    def allows(self, operation: str, *, reads: bool) -> bool:
        """Whether an operation, which only reads or does not, is within the scopes."""
        kind = READ if reads else WRITE
        return any(scope in (EVERYTHING, kind) or fnmatchcase(operation, scope) for scope in self.scopes)


ALL = Grant()


@frozen
class Quota:
    """How much a principal may have; None is no bound of its own."""

    requests: int | None = None
    """Requests in a window, whose length the operator sets for all."""
    turns: int | None = None
    """Turns at once."""
    tokens: int | None = None
    """Tokens a day (UTC)."""
    cost: float | None = None
    """Cost a day, in the currency of OpenCode's price list."""


@frozen
class Reach:
    """
    What a principal may touch, whatever its credential; where nothing is named, everything.

    A pattern of directories is relative to the workspace; with a directory that fits it, all below it fit. A pattern
    of models is held against `provider/model`.
    """

    directories: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    quota: Quota = Quota()

    def holds(self, path: str) -> bool:
        """Whether a directory, relative to the workspace, may be worked in."""
        segments = _segments(path)
        return not self.directories or any(_fits(segments, _segments(pattern)) for pattern in self.directories)

    def fits(self, model: ModelChoice | None) -> bool:
        """Whether a model may be used; None is the runtime's own default, of which nothing is known."""
        if not self.models:
            return True
        named = None if model is None else f"{model.provider_id}/{model.model_id}"
        return named is not None and any(fnmatchcase(named, pattern) for pattern in self.models)


UNBOUNDED = Reach()


@frozen
class Caller:
    """Who asks, by which credential, and what that is good for."""

    principal: Principal
    credential: str = ""
    """A name for the credential that gives nothing of it away."""
    grant: Grant = ALL


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment not in ("", ".")]


def _fits(segments: list[str], pattern: list[str]) -> bool:
    if pattern and pattern[-1] == "**":
        pattern = pattern[:-1]
    begin = segments[: len(pattern)]
    return len(begin) == len(pattern) and all(map(fnmatchcase, begin, pattern))
