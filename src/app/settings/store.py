"""Where tasks are kept, and for how long."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from opencode_a2a_server.app.ports.retention import Keeping

from .values import not_negative, setting


class StoreBackend(Enum):
    """Where tasks are kept."""

    DATABASE = "database"
    MEMORY = "memory"


@frozen
class StoreSettings:
    """Where tasks are kept."""

    backend: StoreBackend = setting(
        "A2A_TASK_STORE_BACKEND", "`database`, or `memory` (everything is forgotten at the end).", StoreBackend.DATABASE
    )
    url: str | None = setting(
        "A2A_TASK_STORE_DATABASE_URL",
        "`sqlite+aiosqlite:///` and a path, or `postgresql+asyncpg://user:password@host/name` (extra `postgres`). "
        "Default: a file named after the port in $STATE_DIRECTORY, else in $XDG_STATE_HOME/opencode-a2a-server "
        "(~/.local/state/opencode-a2a-server).",
        None,
    )
    stream_hours: float = setting(
        "A2A_RETENTION_STREAM_HOURS",
        "Hours from a task's end for which its stream can be resumed; then only the task, whole, is kept. 0 is for ever.",
        24.0,
        check=not_negative,
    )
    days: float = setting(
        "A2A_RETENTION_DAYS",
        "Days from a task's end for which it is kept. 0 is for ever.",
        0.0,
        check=not_negative,
    )
    tasks: int = setting(
        "A2A_RETENTION_TASKS",
        "Ended tasks that are kept, those which began last. 0 is no bound.",
        0,
        check=not_negative,
    )
    size: int = setting(
        "A2A_RETENTION_BYTES",
        "Bytes the store may use; beyond, ended tasks go, those which began first before others. 0 is no bound.",
        0,
        check=not_negative,
    )

    @property
    def keeping(self) -> Keeping:
        """The same as rules."""
        return Keeping(self.stream_hours * 3600, self.days * 86_400, self.tasks, self.size)
