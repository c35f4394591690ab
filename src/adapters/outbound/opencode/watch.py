"""What is measured and traced of the calls to OpenCode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import field, frozen

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.meter import UNMETERED, CallEnd, Meter
from opencode_a2a_server.app.ports.tracer import UNTRACED, Fact, Span, Tracer, Work
from opencode_a2a_server.domain.errors import AgentFault, AgentUnreachable

_WORDS: Final = frozenset(
    [
        "abort",
        "agent",
        "children",
        "command",
        "config",
        "content",
        "current",
        "dispose",
        "diff",
        "file",
        "find",
        "fork",
        "global",
        "health",
        "init",
        "instance",
        "message",
        "messages",
        "mcp",
        "path",
        "permission",
        "project",
        "prompt_async",
        "provider",
        "providers",
        "question",
        "reject",
        "reply",
        "revert",
        "session",
        "shell",
        "status",
        "summarize",
        "symbol",
        "todo",
        "unrevert",
        "vcs",
        "worktree",
        "reset",
        "workspace",
        "experimental",
        "text",
    ]
)
"""Of OpenCode's paths: whatever else a segment is, is an id."""


@frozen
class Watch:
    """Who hears of calls."""

    clock: Clock
    meter: Meter = field(default=UNMETERED)
    tracer: Tracer = field(default=UNTRACED)

    @contextmanager
    def call(self, what: str) -> Iterator[Span]:
        """Watch a call, which is the body; `what` is its method and its path."""
        operation, end, began = operation_of(what), CallEnd.BROKEN, self.clock.monotonic()
        try:
            with self.tracer.begin(Work.CALL, operation) as span:
                span.tell(Fact.OPERATION, operation)
                yield span
            end = CallEnd.OK
        except AgentUnreachable:
            end = CallEnd.UNREACHABLE
            raise
        except AgentFault:
            end = CallEnd.REFUSED
            raise
        finally:
            self.meter.runtime_called(operation, end, self.clock.monotonic() - began)


def operation_of(what: str) -> str:
    """Name a call without the ids in its path, so that there is a bounded number of names."""
    method, _, path = what.partition(" ")
    return f"{method} {'/'.join(part if part in _WORDS or not part else '{id}' for part in path.split('/'))}"
