"""Choose the directory that a method works in, or the session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from attrs import frozen

from opencode_a2a_server.app.usecases.check_place import DIRECTORY_FIELD, CheckPlace
from opencode_a2a_server.app.usecases.use_session import Use, UseSession
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Directory, Session


@frozen
class Place:
    """A directory as a caller named it, and in which field; None leaves it to the runtime."""

    given: str | None = None
    field: str = DIRECTORY_FIELD


HERE = Place()
"""Wherever the runtime works by itself."""


@frozen
class ChooseDirectory:
    """
    Choose a directory inside the workspace, or none.

    Raises what `CheckPlace` raises.
    """

    check: CheckPlace

    async def __call__(self, principal: Principal, place: Place) -> Directory | None:
        """Give the directory that is meant, if this principal may work there."""
        directory = None if place.given is None else await self.check(place.given, place.field)
        await self.check.reached(principal, directory, place.field)
        return directory


@frozen
class Named:
    """A session as a caller names it: by its id, and perhaps by the directory in which it is believed to work."""

    id: SessionId
    place: Place = HERE


@frozen
class ReachSession:
    """
    Reach the session that a caller names, to see it or to use it.

    Raises:
        InvalidRequest: It works in another directory than the caller believes; it would go on to do so.
        SessionNotFound: There is none for this principal.

    """

    use: UseSession
    choose: ChooseDirectory

    def __call__(self, principal: Principal, named: Named) -> AbstractAsyncContextManager[Use]:
        """Use it, as `UseSession` does."""
        return self._used(principal, named)

    async def see(self, principal: Principal, named: Named) -> Session:
        """Give it, without claiming it."""
        found = await self.use.see(principal, named.id)
        await self._compare(principal, named, found.session)
        return found.session

    @asynccontextmanager
    async def _used(self, principal: Principal, named: Named) -> AsyncIterator[Use]:
        async with self.use(principal, named.id) as use:
            await self._compare(principal, named, use.session)
            yield use

    async def _compare(self, principal: Principal, named: Named, session: Session) -> None:
        if named.place.given is None:  # whoever may use the session may do so where it works
            return
        chosen = await self.choose(principal, named.place)
        if chosen is not None and not await self.choose.check.same(chosen, session.directory):
            field = named.place.field
            raise InvalidRequest(f"session {session.id} works in another directory; leave {field} out", field)
