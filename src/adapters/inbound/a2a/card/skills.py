"""Skills (A2A 1.0, 4.4.5): what the agent can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen


@frozen
class Skill:
    """Something the agent can do, with examples of how to ask for it."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    examples: tuple[str, ...] = ()

    def told(self) -> Mapping[str, Any]:
        """Tell it as a card does."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "tags": list(self.tags),
            "examples": list(self.examples),
        }


CHAT: Final = Skill(
    id="opencode.chat",
    name="Work on code",
    description=(
        "Reads, writes, runs and explains code in the agent's workspace. Messages of one context continue one "
        "session. Where a permission or an answer is needed, the task requires input and says what to answer."
    ),
    tags=("coding", "software-engineering", "opencode"),
    examples=(
        "Explain what this project does and how it is tested.",
        "Find out why the test of the parser fails, fix it and run the tests.",
        "Rename the module `util` to `text` and adapt its users.",
    ),
)

ANSWER: Final = Skill(
    id="opencode.interrupt.answer",
    name="Ask before acting",
    description=(
        "A task that needs a permission, or has a question, requires input and says what is asked, for people as text "
        "and for programs as data. A message to the task answers: yes, always or no (with a reason) for a permission; "
        "an option's number or label, or words, for a question."
    ),
    tags=("permission", "question", "human-in-the-loop", "opencode"),
    examples=("yes", "no: leave the migrations alone", "2"),
)

SESSIONS: Final = Skill(
    id="opencode.sessions.query",
    name="Look through sessions",
    description="Lists the sessions of the runtime and reads what was said in them, by JSON-RPC methods.",
    tags=("session", "history", "opencode"),
    examples=("List the sessions.", "Read the messages of a session."),
)

PROVIDERS: Final = Skill(
    id="opencode.providers.query",
    name="Look up providers and models",
    description="Lists the providers and models that the runtime can work with, by JSON-RPC methods.",
    tags=("provider", "model", "opencode"),
    examples=("List the providers.", "List the models of a provider."),
)

WORKSPACES: Final = Skill(
    id="opencode.workspace.control",
    name="Look after projects and worktrees",
    description="Lists the runtime's projects, workspaces and worktrees and, where that is allowed, makes and removes them.",
    tags=("project", "workspace", "worktree", "opencode"),
    examples=("List the projects.", "Make a worktree named trial."),
)

READING: Final = Skill(
    id="opencode.files.query",
    name="Read files and changes",
    description="Finds, lists and reads files the runtime works on, and tells what was changed and not committed.",
    tags=("file", "diff", "git", "opencode"),
    examples=("Read README.md.", "What was changed?"),
)
