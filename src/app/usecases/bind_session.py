"""Bind a context to the session that serves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from attrs import frozen

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.bindings import Bindings
from opencode_a2a_server.app.usecases.check_place import DIRECTORY_FIELD, CheckPlace
from opencode_a2a_server.app.usecases.use_session import UseSession
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import ContextId, Principal, SessionId
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.session import Binding, Directory, Session
from opencode_a2a_server.domain.task import Task

_T = TypeVar("_T")
_TITLE_LENGTH = 80


class Patiently(Protocol):
    """How one call is made: again and again, as long as that makes sense."""

    async def __call__(self, call: Callable[[], Awaitable[_T]], /) -> _T:
        """Call."""
        ...


@frozen
class Bound:
    """The session that serves a task, and the one in whose place it stands because that one was lost."""

    session: Session
    replaced: SessionId | None = None


@frozen
class BindSession:
    """
    Give the session for a task: the one its message names, else that of its context, else a new one.

    A context keeps its session; one that a message names takes its place. A session that is lost, or has become
    somebody else's, is replaced by a new one in the same directory. What is new belongs to the task's principal.

    Raises:
        SessionNotFound: The message names a session that this principal does not have any more.
        InvalidRequest: The message names another directory than the session works in.
        AgentUnreachable, AgentFault, JournalUnavailable: As `patiently` leaves them.

    """

    agent: Agent
    bindings: Bindings
    sessions: UseSession
    places: CheckPlace

    async def __call__(self, task: Task, message: Message, patiently: Patiently) -> Bound:
        """Find the session, or make one. Only one at a time may ask for a context."""
        wishes, principal, context_id = message.wishes, task.principal, task.context_id
        if (named := wishes.session) is not None:
            found = await patiently(lambda: self.sessions.claim(principal, named))
            await self._keep(principal, context_id, found.session, patiently)
            return Bound(found.session)
        if message.context_id is None:  # one that the client did not name is new: nothing can be bound to it
            return Bound(await self._open(task, message, wishes.directory, patiently))
        bound = await patiently(lambda: self.bindings.find(principal, context_id))
        if bound is None:
            return Bound(await self._open(task, message, wishes.directory, patiently))
        await self.check(bound.session, wishes.directory)
        if await patiently(lambda: self.sessions.hold(principal, bound.session.id)):
            return Bound(bound.session)
        return await self._replace(task, message, bound.session, patiently)

    async def anew(self, task: Task, message: Message, lost: Session, patiently: Patiently) -> Bound:
        """Give another session in place of one that is lost: one that somebody made meanwhile, or a new one."""
        bound = await patiently(lambda: self.bindings.find(task.principal, task.context_id))
        if bound is not None and bound.session.id != lost.id:
            return Bound(bound.session, lost.id)
        return await self._replace(task, message, lost, patiently)

    async def check(self, session: Session, directory: Directory | None) -> None:
        """Refuse a directory which is not the session's own; it is not told."""
        if directory is not None and not await self.places.same(session.directory, directory):
            raise InvalidRequest(
                f"{DIRECTORY_FIELD} is not where the session works; leave it out, or begin a new context there",
                DIRECTORY_FIELD,
            )

    async def _replace(self, task: Task, message: Message, lost: Session, patiently: Patiently) -> Bound:
        return Bound(await self._open(task, message, lost.directory, patiently), lost.id)

    async def _open(self, task: Task, message: Message, where: Directory | None, patiently: Patiently) -> Session:
        title = " ".join(message.text.split())[:_TITLE_LENGTH]
        session = await patiently(lambda: self.agent.open_session(title, where))
        await patiently(lambda: self.sessions.begin(task.principal, session.id))
        await self._keep(task.principal, task.context_id, session, patiently)
        return session

    async def _keep(self, principal: Principal, context_id: ContextId, session: Session, patiently: Patiently) -> None:
        await patiently(lambda: self.bindings.bind(Binding(principal, context_id, session)))


__all__ = ["BindSession", "Bound", "Patiently"]
