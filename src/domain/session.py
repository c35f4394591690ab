"""Sessions of the runtime, and which of them serves which context."""

from __future__ import annotations

from typing import NewType

from attrs import frozen

from .ids import ContextId, Principal, SessionId

Directory = NewType("Directory", str)
"""An absolute path on the runtime's host: where a session works."""


@frozen
class Session:
    """
    A conversation the runtime keeps.

    The directory is the one the runtime gave it, not the one asked for: some of OpenCode's routes answer only when
    they are told exactly this one.
    """

    id: SessionId
    directory: Directory


@frozen
class Binding:
    """Which session serves a context, and for whom."""

    principal: Principal
    context_id: ContextId
    session: Session


@frozen
class ModelChoice:
    """A model by the names OpenCode gives it."""

    provider_id: str
    model_id: str


@frozen
class PromptOptions:
    """What accompanies each prompt besides the message; None leaves the runtime its own default."""

    model: ModelChoice | None = None
    agent: str | None = None
    system: str | None = None
    variant: str | None = None
