"""Change sessions, without any work in them."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.ports.sessions import SessionDetails, SessionEditor
from opencode_a2a_server.app.usecases.check_capability import CheckCapability
from opencode_a2a_server.app.usecases.choose_directory import HERE, Named, Place, ReachSession
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.domain.ids import MessageId, Principal, SessionId


@frozen
class ChangeSessions:
    """
    Change sessions of the principal's, or claim them by that.

    One object, since every change is the same: use the session, and have it alone where a task at work in it would
    break. Who has a session made owns it. Raises what `ReachSession`, `RunTurns.lend` and `SessionEditor` raise.
    """

    editor: SessionEditor
    reach: ReachSession
    turns: RunTurns
    check: CheckCapability

    async def create(
        self, principal: Principal, title: str, parent: SessionId | None, place: Place = HERE
    ) -> SessionDetails:
        """Open a session; one with a parent is told as a sub-agent's is, and belongs to whom the parent does."""
        directory = await self.reach.choose(principal, place)
        if parent is None:
            made = await self.editor.create(directory, title, None)
        else:
            async with self.reach(principal, Named(parent)):
                made = await self.editor.create(directory, title, parent)
        await self.reach.use.begin(principal, made.id)
        return made

    async def rename(self, principal: Principal, named: Named, title: str) -> SessionDetails:
        """Give it another title."""
        async with self.reach(principal, named):
            return await self.editor.rename(named.id, title)

    async def delete(self, principal: Principal, named: Named) -> None:
        """
        Delete it for good.

        Raises:
            MethodDisabled, CapabilityMissing: Sessions are not deleted here, or not for this principal.

        """
        self.check(principal, Capability.SESSION_DELETE)
        async with self.reach(principal, named), self.turns.lend(named.id):
            await self.editor.delete(named.id)

    async def fork(self, principal: Principal, named: Named, before: MessageId | None) -> SessionDetails:
        """Copy it; the copy is the principal's."""
        async with self.reach(principal, named):
            made = await self.editor.fork(named.id, before)
        await self.reach.use.begin(principal, made.id)
        return made

    async def share(self, principal: Principal, named: Named) -> SessionDetails:
        """Let anybody read it who has the URL."""
        async with self.reach(principal, named):
            return await self.editor.share(named.id)

    async def unshare(self, principal: Principal, named: Named) -> SessionDetails:
        """Let nobody."""
        async with self.reach(principal, named):
            return await self.editor.unshare(named.id)

    async def revert(self, principal: Principal, named: Named, message: MessageId, part: str | None) -> SessionDetails:
        """Take it back, files included, to before a message or a part of it."""
        async with self.reach(principal, named), self.turns.lend(named.id):
            return await self.editor.revert(named.id, message, part)

    async def unrevert(self, principal: Principal, named: Named) -> SessionDetails:
        """Take that back."""
        async with self.reach(principal, named), self.turns.lend(named.id):
            return await self.editor.unrevert(named.id)
