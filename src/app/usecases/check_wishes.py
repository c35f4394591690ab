"""Check what a message asks for besides its text, before anything is kept of it."""

from __future__ import annotations

from attrs import evolve, frozen

from opencode_a2a_server.app.ports.bindings import Bindings
from opencode_a2a_server.app.usecases.bind_session import BindSession
from opencode_a2a_server.app.usecases.check_choice import CheckChoice
from opencode_a2a_server.app.usecases.check_place import CheckPlace
from opencode_a2a_server.app.usecases.use_session import UseSession
from opencode_a2a_server.domain.access import UNBOUNDED
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.session import NO_WISHES, FoundSession, Session, Wishes
from opencode_a2a_server.domain.task import Task

SESSION_FIELD = "metadata.shared.session.id"


@frozen
class CheckWishes:
    """
    Refuse what this principal may not use, what the runtime does not have, and what contradicts each other.

    That is the session, the directory, files of the workspace; model, agent and variant.

    Raises:
        SessionNotFound: There is no such session for this principal.
        Forbidden: The directory or the model is not among the principal's.
        InvalidRequest: Something is outside the workspace, or does not go together.
        ContentTypeNotSupported: Files of the workspace cannot be named here.
        AgentUnreachable, JournalUnavailable: Not now.

    """

    bindings: Bindings
    sessions: UseSession
    places: CheckPlace
    bind: BindSession
    choice: CheckChoice

    async def __call__(self, principal: Principal, message: Message) -> Message:
        """Check what needs no task; gives the message with the real path of its directory."""
        await self.places.files(principal, message)
        if (given := message.wishes.directory) is None:
            return message
        return evolve(message, wishes=evolve(message.wishes, directory=await self.places(given)))

    async def for_new(self, principal: Principal, message: Message) -> None:
        """Check a message that begins a task. A session that it names is claimed."""
        wishes = message.wishes
        if wishes.session is not None:
            found = await self.sessions.claim(principal, wishes.session)
            try:
                await self._check_found(principal, found, wishes)
            except InvalidRequest:
                await self.sessions.release(principal, wishes.session)
                raise
        elif wishes != NO_WISHES or self.places.reach_of(principal) != UNBOUNDED:
            bound = None
            if message.context_id is not None:
                bound = await self.bindings.find(principal, message.context_id)
            await self._check_in(principal, None if bound is None else bound.session, wishes)

    async def _check_found(self, principal: Principal, found: FoundSession, wishes: Wishes) -> None:
        if found.parent is not None:
            raise InvalidRequest(
                f"{SESSION_FIELD}: this is a sub-agent's session; name the one it works for", SESSION_FIELD
            )
        await self._check_in(principal, found.session, wishes)

    async def _check_in(self, principal: Principal, session: Session | None, wishes: Wishes) -> None:
        """Check what the session, or a new one, is to work with."""
        if session is None:
            await self.places.reached(principal, wishes.directory)
            await self.choice(principal, wishes, wishes.directory)
            return
        await self.bind.check(session, wishes.directory)
        await self.places.reached(principal, session.directory)
        await self.choice(principal, wishes, session.directory)

    async def for_task(self, task: Task, message: Message) -> None:
        """Check a message for a task that has begun: it stays in its session."""
        session, wishes = task.session, message.wishes
        if wishes.session is not None and (session is None or wishes.session != session.id):
            await self.sessions.see(task.principal, wishes.session)  # what may not be known is refused as such
            raise InvalidRequest(
                f"{SESSION_FIELD}: task {task.id} works in another session; leave taskId out to use this one",
                SESSION_FIELD,
            )
        if session is None:  # its session is not open yet
            wishes = evolve(wishes, directory=wishes.directory or task.worked_on.wishes.directory)
        await self._check_in(task.principal, session, wishes)


__all__ = ["CheckWishes"]
