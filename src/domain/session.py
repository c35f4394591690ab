"""Sessions of the runtime, and which of them serves which context."""

from __future__ import annotations

from typing import NewType

from attrs import evolve, frozen

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
class FoundSession:
    """A session as the runtime shows it; one with a parent is a sub-agent's."""

    session: Session
    parent: SessionId | None = None


@frozen
class Ownership:
    """
    Whom a session belongs to; with `until` (seconds since the epoch) it is only claimed, and free again from then on.

    A claim becomes final by the first success. A final ownership ends with the session.
    """

    session_id: SessionId
    principal: Principal
    until: float | None = None

    def stands(self, now: float) -> bool:
        """Whether it counts."""
        return self.until is None or now < self.until

    def over(self, held: Ownership | None, now: float) -> Ownership | None:
        """Give what becomes of a session that is held so when this is claimed; None if it is somebody else's."""
        if held is None or not held.stands(now):
            return self
        if held.principal != self.principal:
            return None
        if held.until is None or (self.until is not None and self.until < held.until):
            return held
        return self


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
class Wishes:
    """What a message asks for besides its text: who works on it, and where. None leaves it to us."""

    session: SessionId | None = None
    directory: Directory | None = None
    """As it was given, until it is checked; then the real path."""
    model: ModelChoice | None = None
    agent: str | None = None
    variant: str | None = None


NO_WISHES = Wishes()


@frozen
class PromptOptions:
    """What accompanies each prompt besides the message; None leaves the runtime its own default."""

    model: ModelChoice | None = None
    agent: str | None = None
    system: str | None = None
    variant: str | None = None

    def with_wishes(self, wishes: Wishes) -> PromptOptions:
        """Give what accompanies a message with wishes of its own. A variant belongs to the model it is set beside."""
        model = wishes.model or self.model
        variant = wishes.variant or (self.variant if model == self.model else None)
        return evolve(self, model=model, agent=wishes.agent or self.agent, variant=variant)
